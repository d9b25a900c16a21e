"""What the media benchmark makes of what it measured: costs, their parts, and what was lost."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest

from benchmarks.histogram import Histogram
from benchmarks.measurement import Measurement
from benchmarks.media.beside import MediaLoad, MediaReport
from benchmarks.result import ScenarioResult
from benchmarks.scenarios.media import Round, Side, against_load, cost, dropped, in_and_out, judge

IDLE = 0.01
IN_US, OUT_US = 18.0, 5.0


def side(
    kind: str,
    size: int,
    *,
    times: float = 1.0,
    lost: int = 0,
    drops: int = 0,
    delay: float = 0.001,
    profile: str = "GCM",
) -> Side:
    """Three rounds of a server that takes `times` 18 µs for a packet in and 5 for one out."""
    load = cast(MediaLoad, SimpleNamespace(profiles=[profile]))
    made = Side(f"{kind} {size}", cast(psutil.Process, None), load, idle=IDLE)
    sent, packets = 500 * size, 500 * size * (size - 1)
    for number in range(3):
        histogram = Histogram()
        for _ in range(100):
            histogram.record(delay)
        report = MediaReport(
            seconds=5.0,
            sent=5 * sent,
            packets=5 * packets,
            repaired=0,
            lost=lost,
            wrong=0,
            undecryptable=0,
            key_requests=0,
            delays=histogram,
            lateness=Histogram(),
            receivers=size - 1,
        )
        busy = IDLE + times * (sent * IN_US + packets * OUT_US) / 1e6
        measurement = Measurement(made.name, number, {"delay": histogram}, Histogram(), 5 * sent, 0)
        made.rounds.append(Round(number, report, busy, drops, measurement))
    return made


def judged(
    *sides: Side, sizes: tuple[int, ...] = (4, 6), blocked: int = 0, again: int = 0
) -> ScenarioResult:
    """Judge these, when so many rounds were measured in vain before."""
    result = ScenarioResult("media", "", {})
    judge(result, sides, sizes, blocked, [[]] * again)
    return result


def lost_of(result: ScenarioResult) -> float:
    (found,) = [t for t in result.targets if t.name == "packets lost below 80 % of a core"]
    assert found.value is not None
    return found.value


def test_the_cost_of_a_packet_is_what_is_spent_beyond_silence() -> None:
    for size in (4, 6):
        one = side("switchboard", size)
        assert cost(one, one.rounds[0]) == pytest.approx(OUT_US + IN_US / (size - 1))


def test_two_sizes_tell_what_a_packet_in_takes_and_one_out() -> None:
    found = in_and_out([side("switchboard", 4), side("switchboard", 6)])
    assert found is not None
    assert found["in_us"] == pytest.approx(IN_US)
    assert found["out_us"] == pytest.approx(OUT_US)
    # One size, or the same twice, tells nothing of it.
    assert in_and_out([side("switchboard", 4)]) is None
    assert in_and_out([side("switchboard", 4), side("switchboard", 4)]) is None


def test_each_kind_of_server_is_a_line_from_the_least_load_on() -> None:
    lines = against_load([side("switchboard", 4), side("janus", 4), side("switchboard", 6)])
    assert [(line.name, len(line.points)) for line in lines] == [("switchboard", 2), ("janus", 1)]
    assert [rate for rate, _ in lines[0].points] == [6_000, 15_000]


def test_ours_is_held_against_the_peers_of_its_size_and_what_is_not_compared_is_not_judged() -> (
    None
):
    sides = [side("switchboard", n) for n in (4, 16)]
    sides += [side("janus", n, times=2.0, delay=0.003) for n in (4, 16)]
    result = judged(*sides, sizes=(4,))
    ratio, delay, lost = result.targets
    assert ratio.name == "processor time of a forwarded packet, 4 participants"
    assert ratio.ratio == pytest.approx(0.5)
    assert not ratio.met, "half is more than a third"
    assert delay.value == pytest.approx(-2.0, rel=0.1)
    assert (lost_of(result), lost.met) == (0, True)
    assert str(result.facts["cost over the peer's, 16 participants"]).startswith("0.50 ")


def test_who_encrypts_otherwise_is_not_compared() -> None:
    sides = [side("switchboard", 4), side("janus", 4, profile="CM")]
    result = judged(*sides, sizes=(4,))
    assert result.noise == ["the SRTP profiles differ: switchboard 4 GCM, janus 4 CM"]
    assert result.judged() == []
    assert judged(side("switchboard", 4), side("janus", 4), sizes=(4,)).noise == []


def test_what_was_lost_counts_while_there_was_room_whoever_threw_it_away() -> None:
    assert lost_of(judged(side("switchboard", 4, lost=2))) == 6
    assert lost_of(judged(side("switchboard", 4, drops=1))) == 3
    # What could not be sent at once.
    assert lost_of(judged(side("switchboard", 4), blocked=5)) == 5
    # It may have been while others disturbed a round that does not count.
    assert lost_of(judged(side("switchboard", 4), blocked=5, again=1)) == 0
    # Not of the peer, and not of who has more to do than four fifths of a processor.
    assert lost_of(judged(side("switchboard", 4), side("janus", 4, lost=9))) == 0
    overloaded = side("switchboard", 6, times=20.0, lost=9)
    assert lost_of(judged(side("switchboard", 4), overloaded, blocked=5)) == 0
    facts = judged(side("switchboard", 4), overloaded, blocked=5).facts
    assert facts["packets that our relays could not send"] == 5


def test_a_side_is_described_by_its_cipher_its_silence_and_every_round() -> None:
    told = judged(side("switchboard", 4, lost=2, drops=1), side("switchboard", 6)).facts
    one = cast(dict[str, Any], told["switchboard 4"])
    assert (one["srtp_profile"], one["idle_share"]) == (["GCM"], IDLE)
    expected = {
        "busy_share": 0.076,
        "cost_us": 11.0,
        "packets_in_per_second": 2_000,
        "packets_out_per_second": 6_000,
        "lost": 2,
        "dropped_by_the_kernel": 1,
    }
    assert {name: one[name] for name in expected} == {n: [v] * 3 for n, v in expected.items()}
    assert (
        one["delay_ms"]
        == [{"50": pytest.approx(1.0, rel=0.01), "99": pytest.approx(1.0, rel=0.01)}] * 3
    )
    assert told["switchboard, in and out"] == {"in_us": IN_US, "out_us": OUT_US}


def test_what_the_kernel_throws_away_is_counted_by_port() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as talks,
    ):
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.bind(("127.0.0.1", 0))
        talks.bind(("127.0.0.1", 0))
        ports = frozenset({deaf.getsockname()[1]})
        before = dropped(ports)
        for _ in range(100):
            talks.sendto(bytes(1000), deaf.getsockname())
        deaf.setblocking(False)
        taken = 0
        try:
            while deaf.recv(2048):
                taken += 1
        except BlockingIOError:
            pass
        assert 0 < taken < 100
        assert dropped(ports) - before == 100 - taken
        assert dropped(frozenset({talks.getsockname()[1]})) == 0
