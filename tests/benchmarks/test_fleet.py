"""What so many sessions need: it grows with them, and the first thing used up is the scarce one."""

from __future__ import annotations

import argparse
import itertools
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.fleet import (
    BUSY_AT_MOST,
    MEMBERS,
    SIZES,
    Assumptions,
    Costs,
    Media,
    fleet,
    fleets,
)
from benchmarks.result import ScenarioResult
from benchmarks.scenarios.capacity import Capacity, scale
from gateway.commands.deployment import MOST_RESERVE

COSTS = Costs(
    start_processor_s=1.4,
    memory_mb=66.0,
    request_ms=0.4,
    packet_us=20.0,
    sound_us=30.0,
    ledger_appends_s=1_000.0,
)
NEEDS = Assumptions(
    minutes=8.0,
    media=Media(size=2.0),
    requests_s=1.0,
    started_share=0.2,
    appends=14.0,
    processors=8,
    memory_gb=32.0,
    network_gigabits=10.0,
)


def test_each_size_needs_no_less_than_a_smaller_one() -> None:
    found = fleets(COSTS, NEEDS)
    assert [each.sessions for each in found] == list(SIZES)
    for less, more in itertools.pairwise(found):
        assert more.machines >= less.machines
        assert more.standbys >= less.standbys
        assert more.shards >= less.shards
        assert more.deployments >= less.deployments


def test_a_million_sessions_by_hand() -> None:
    found = fleet(1_000_000, COSTS, NEEDS)
    opened_s = 1_000_000 / 480
    reserved = found.reserve * found.deployments
    held_gb = (1_000_000 + found.standbys + reserved) * 66 / 1024
    assert found.first == "memory"
    assert found.machines == pytest.approx(held_gb / (32 * BUSY_AT_MOST) + 1, abs=1)
    assert found.standbys == pytest.approx(opened_s * 1.4 + 2 * (opened_s * 1.4) ** 0.5, abs=1)
    assert found.deployments == pytest.approx(1_000_000 / (MEMBERS - found.reserve), rel=0.01)
    # 2,083 sessions a second, 14 appends each, 700 a second of a ledger: 42 would do.
    assert found.shards == found.deployments


@pytest.mark.parametrize(
    ("scarce", "name"),
    [
        ({"processors": 1}, "processors"),
        ({"memory_gb": 1.0}, "memory"),
        ({"network_gigabits": 0.1}, "network"),
    ],
)
def test_what_is_scarce_is_used_up_first(scarce: dict[str, float], name: str) -> None:
    assert fleet(10_000, COSTS, replace(NEEDS, **scarce)).first == name  # type: ignore[arg-type]


def test_packets_keep_processors_busy() -> None:
    cheap, dear = (fleet(10_000, replace(COSTS, packet_us=us), NEEDS) for us in (200.0, 400.0))
    # 10,000 sessions, 360 packets each, 200 us more each: 720 processors.
    assert dear.machines - cheap.machines == pytest.approx(720 / 8 / BUSY_AT_MOST, abs=1)


def test_two_people_forward_each_others_packets() -> None:
    assert Media(size=2.0).processors(COSTS) == pytest.approx(2 * 180 * 20e-6)
    assert Media(size=2.0).gigabits() == pytest.approx(2 * 180 * 8_800e-9)


def test_sessions_without_cameras_forward_sound_at_its_own_cost() -> None:
    assert Media(size=3.0, video_share=0.0).processors(COSTS) == pytest.approx(6 * 50 * 30e-6)
    half = Media(size=3.0, video_share=0.5)
    assert half.processors(COSTS) == pytest.approx((6 * 180 * 20e-6 + 6 * 50 * 30e-6) / 2)
    assert half.gigabits() == pytest.approx((6 * 180 * 8_800e-9 + 6 * 50 * 1_300e-9) / 2)


def test_fewer_cameras_need_fewer_machines() -> None:
    dear = replace(COSTS, packet_us=200.0, sound_us=200.0)
    shares = [replace(NEEDS, media=Media(2.0, share)) for share in (1.0, 0.5, 0.0)]
    machines = [fleet(10_000, dear, needs).machines for needs in shares]
    assert machines[0] > machines[1] > machines[2]


def test_requests_keep_processors_busy() -> None:
    needs = replace(NEEDS, processors=1, requests_s=0.0)
    quiet, asked = (fleet(10_000, COSTS, replace(needs, requests_s=n)) for n in (0.0, 10.0))
    # 10,000 sessions, 10 requests each, 0.4 ms each: 40 processors, of which 70 % may be busy.
    assert asked.machines - quiet.machines == pytest.approx(40 / BUSY_AT_MOST, abs=1)


def test_a_ledger_that_is_slow_makes_shards() -> None:
    found = fleet(5_000, replace(COSTS, ledger_appends_s=50.0), NEEDS)
    # 10.4 sessions a second, 14 appends each, 35 a second of a ledger.
    assert (found.shards, found.deployments) == (5, 1)


@given(st.integers(1, 2_000_000), st.floats(10, 500), st.floats(1, 120))
def test_the_others_can_take_what_one_machine_has(
    sessions: int, memory_mb: float, minutes: float
) -> None:
    costs, needs = replace(COSTS, memory_mb=memory_mb), replace(NEEDS, minutes=minutes)
    found = fleet(sessions, costs, needs)
    assert found.machines >= 2
    assert found.reserve * found.machines >= sessions
    left_gb = (found.machines - 1) * needs.memory_gb * BUSY_AT_MOST
    held = sessions + found.standbys + found.reserve * found.deployments
    assert held * memory_mb / 1024 <= left_gb * 1.001
    assert (sessions + found.standbys) / found.deployments + found.reserve <= MEMBERS
    assert found.reserve <= MOST_RESERVE, "`up` takes it"


def test_the_command_says_it_for_each_size_and_what_it_rests_on() -> None:
    parser = argparse.ArgumentParser()
    Capacity().add_options(parser)
    result = ScenarioResult("capacity", "", {})
    scale(result, COSTS, parser.parse_args([]))
    for size in SIZES:
        said = str(result.facts[f"{size:,} sessions at once"])
        assert re.fullmatch(
            r"\d+ machines \(first used up: \w+\), \d+ standbys, --reserve \d+, "
            r"ledger shards \d+ in \d+ deployments",
            said,
        )
    assert result.facts["measured"] == (
        "start, memory, request, packet, packet of sound, ledger's appends: here"
    )
    assert "appends of a session" in str(result.facts["assumed"])


def test_what_is_given_is_not_said_to_be_measured() -> None:
    parser = argparse.ArgumentParser()
    Capacity().add_options(parser)
    result = ScenarioResult("capacity", "", {})
    scale(result, COSTS, parser.parse_args(["--ledger-appends", "500", "--packet-us", "54"]))
    assert result.facts["measured"] == "start, memory, request, packet of sound: here"
    assert str(result.facts["assumed"]).endswith("packet, ledger's appends: options")
