"""The fuzz target's relay holds for what hypothesis makes up, and its scripts get through to it."""

from __future__ import annotations

import gc
import random
import struct
from collections import deque
from contextlib import closing
from types import BuiltinFunctionType, FunctionType, ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.relay import Relay
from actors.relay.transport.intake import Intake
from actors.relay.wire.rtcp import receiver_report
from tests.relay.recording import RecordingListener

from .relay_datagrams import Repertoire, Step, Wire, World, play, seeds, step

_STEPS = st.builds(step, st.sampled_from(Step), st.binary(max_size=255), st.integers(0, 2))


@settings(max_examples=25, deadline=None)
@given(st.lists(_STEPS, max_size=20))
def test_no_script_harms_a_relay(steps: list[bytes]) -> None:
    play(b"".join(steps))


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(seeds()), st.data())
def test_no_changed_script_harms_a_relay(seed: bytes, data: st.DataObject) -> None:
    changed = bytearray(seed)
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(0, len(changed) - 1))
        changed[place] = data.draw(st.integers(0, 255))
    play(bytes(changed))


def test_many_scripts_are_played_in_one_world_and_what_goes_wrong_tells_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with closing(Repertoire()) as repertoire:
        for script in seeds() * 3:
            repertoire.play(script)
        monkeypatch.setattr(Intake, "receive_rtcp", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError) as wrong:
            repertoire.play(step(Step.RTCP, receiver_report(1, ())))
    assert seeds()[-1].hex() in wrong.value.__notes__[0]


def test_what_a_script_sends_gets_through() -> None:
    """Else a fuzzer would try nothing but what is thrown away at the door."""
    with closing(World()) as world:
        for script in seeds():
            world.play(script)
        ada, ben = (world.relay.transports[name] for name in ("ada", "ben"))
        assert world.media_to(world.peers[3]) > 10
        assert len(ada.intake.layers) == 4
        assert ben.intake.feedback.key_frames_wanted > 0
        assert not ben.estimate.is_untold(world.moment)
        assert sum(slot.repairs.sent for slot in ben.all_slots()) > 0
        assert world.relay.transports["gus"]._association._dtls._received > 100
        world.look()


def test_what_goes_wrong_inside_is_not_contained(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(World()) as world:
        monkeypatch.setattr(Intake, "receive_rtcp", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            world.play(step(Step.RTCP, receiver_report(1, ())))


EACH = 300
"""Of each kind of wrong datagram."""
MOST_KEPT = EACH // 10
"""Things that may be kept of them: reporters, repairs and steps of a line have their own bounds."""


def wrong(kind: Step, number: int) -> bytes:
    """Make one step of this kind whose bytes nobody has thought about."""
    noise = random.Random(number)
    body = noise.randbytes(noise.randrange(5, 60))
    if kind in (Step.RAW, Step.STRANGE) and number % 2:
        # A Binding request that calls a name (RFC 8489 §14.3).
        name = body[:4].hex().encode()
        attribute = struct.pack("!HH", 6, len(name)) + name
        head = struct.pack("!HHI12s", 1, len(attribute), 0x2112A442, body[:12].ljust(12))
        body = head + attribute
    return step(kind, body, noise.randrange(3))


def things_held(relay: Relay) -> int:
    """Count what is in all that a relay holds and that can grow: its lists, dicts, sets, deques."""
    others = (type, ModuleType, FunctionType, BuiltinFunctionType, Wire, RecordingListener, World)
    seen: set[int] = set()
    found: list[object] = [relay]
    count = 0
    while found:
        each = found.pop()
        if id(each) in seen or isinstance(each, others):
            continue
        seen.add(id(each))
        count += len(each) if isinstance(each, list | dict | set | deque) else 0
        found += gc.get_referents(each)
    return count


@pytest.mark.parametrize(
    "kind",
    [Step.RAW, Step.STRANGE, Step.RTP, Step.RTCP, Step.FEEDBACK, Step.CHECK],
    ids=lambda kind: kind.name.lower(),
)
def test_what_is_wrong_leaves_nothing_of_it_in_the_relay(kind: Step) -> None:
    """Whoever has the keys, or only an address, may send nonsense for as long as they like."""
    with closing(World()) as world:
        for script in seeds():
            world.play(script)

        def held() -> int:
            # What is kept for a second for who may ask for it again.
            for _ in range(30):
                world.pass_time(0.05)
            return things_held(world.relay)

        before = held()
        for number in range(EACH):
            world.play(wrong(kind, number))
            if number % 10 == 0:
                world.pass_time(0.02)
        assert not world.over
        assert held() - before < MOST_KEPT < before
