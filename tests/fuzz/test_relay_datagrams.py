"""The fuzz target's relay holds for what hypothesis makes up, and its scripts get through to it."""

from __future__ import annotations

from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.relay.transport.intake import Intake
from actors.relay.wire.rtcp import receiver_report

from .relay_datagrams import Repertoire, Step, World, play, seeds, step

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
