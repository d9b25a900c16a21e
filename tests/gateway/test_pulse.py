"""The heartbeat of trunks, tick by tick."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from broker.messages.cluster.trunk import Location
from gateway.connections import switchroom
from gateway.links.trunks import Pulse
from gateway.settings import Limits, Settings
from tests.gateway.conftest import World
from tests.patience import until


class Line:
    """A trunk that answers pings, or does not."""

    def __init__(self, port: int, *, answers: bool = True) -> None:
        self.location = Location(
            session_id="s", epoch=1, host="h", port=port, account_id="a", engagement_key="k"
        )
        self.heard = 0
        self.told = 0
        self.answers = answers
        self.pings = 0
        self.suspected = False

    def ping(self) -> None:
        self.pings += 1
        self.heard += self.answers

    def talk(self) -> None:
        """A message each way."""
        self.told += 1
        self.heard += self.answers

    def suspect(self) -> None:
        self.suspected = True


def ticked(pulse: Pulse, ticks: int, *, start: float = 0.0) -> float:
    for number in range(ticks):
        pulse.tick(start + number * 0.25)
    return start + ticks * 0.25


def test_four_beats_without_an_answer_are_silence() -> None:
    limits = Limits()
    assert (limits.trunk_ping_s, limits.trunk_silent_s) == (0.25, 1.0)


def test_an_actor_that_answers_is_never_suspected() -> None:
    pulse, line = Pulse(0.25, 1.0), Line(1)
    pulse.watch(line)
    ticked(pulse, 40)
    assert (line.suspected, line.pings) == (False, 40)


def test_one_second_of_silence_is_suspect_for_every_trunk_of_the_actor() -> None:
    pulse, one, two, other = Pulse(0.25, 1.0), Line(1, answers=False), Line(1), Line(2)
    two.answers = False
    for line in (one, two, other):
        pulse.watch(line)
    ticked(pulse, 5)
    assert not one.suspected
    ticked(pulse, 1, start=1.25)
    assert [line.suspected for line in (one, two, other)] == [True, True, False]


def test_one_ping_serves_all_trunks_of_an_actor() -> None:
    pulse = Pulse(0.25, 1.0)
    lines = [Line(1) for _ in range(50)]
    for line in lines:
        pulse.watch(line)
    ticked(pulse, 4)
    assert sum(line.pings for line in lines) == 4


def test_who_is_talked_with_is_not_pinged_and_is_suspect_as_soon_as_others() -> None:
    pulse, line = Pulse(0.25, 1.0), Line(1)
    pulse.watch(line)
    now = ticked(pulse, 1)
    for _ in range(8):
        line.talk()
        now = ticked(pulse, 1, start=now)
    assert line.pings == 1, "only before anything was said"
    line.answers = False
    line.talk()
    now = ticked(pulse, 4, start=now)
    assert (line.pings, line.suspected) == (5, False), "what was said had no answer"
    ticked(pulse, 1, start=now)
    assert line.suspected


def test_an_actor_that_only_talks_is_pinged_or_it_would_believe_its_gateway_dead() -> None:
    pulse, line = Pulse(0.25, 1.0), Line(1)
    pulse.watch(line)
    for number in range(8):
        line.heard += 1
        pulse.tick(number * 0.25)
    assert line.pings == 8


def test_a_late_tick_proves_nothing() -> None:
    pulse, line = Pulse(0.25, 1.0), Line(1, answers=False)
    pulse.watch(line)
    now = ticked(pulse, 5)
    ticked(pulse, 1, start=now + 30.0)
    assert not line.suspected


def test_a_dropped_trunk_is_not_looked_at() -> None:
    pulse, line = Pulse(0.25, 1.0), Line(1, answers=False)
    pulse.watch(line)
    pulse.drop(line)
    pulse.drop(line)
    ticked(pulse, 10)
    assert (line.pings, line.suspected) == (0, False)


async def test_a_mistake_in_one_beat_ends_neither_the_heartbeat_nor_the_sweep(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats = Counter[str]()

    def mistaken(name: str) -> Callable[[object, float], None]:
        def step(room: object, now: float) -> None:
            beats[name] += 1
            raise RuntimeError("made for this test")

        return step

    monkeypatch.setattr(switchroom, "SWEEP_S", 0.01)
    monkeypatch.setattr(Pulse, "tick", mistaken("tick"))
    monkeypatch.setattr(switchroom.Switchroom, "sweep", mistaken("sweep"))
    world = World(replace(settings, limits=replace(settings.limits, trunk_ping_s=0.01)))
    await world.start()
    try:
        await until(lambda: min(beats["tick"], beats["sweep"]) > 2, "both go on")
    finally:
        await world.stop()
