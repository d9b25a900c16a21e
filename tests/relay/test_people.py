"""What the relay tells people about people: who speaks, and how good a connection is."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from aiortc.rtp import RtcpSrPacket
from hypothesis import given
from hypothesis import strategies as st

from actors.relay import Grade, MediaRights, PublishSource, SeatKind
from actors.relay.forwarding.loudness import Loudness
from actors.relay.people.quality import Measured, QualityWatch, judge, lost_of_all
from actors.relay.people.seating import arrange
from actors.relay.people.speaker import SpeakerChoice
from actors.relay.wire.rtcp import Report, ntp_of, receiver_report
from gateway.api.media_view import media_state
from tests.patience import until

from .client import CraftedClient
from .conftest import Call, call_in_virtual_time

MICROPHONE = (PublishSource.MICROPHONE,)


def test_a_cough_does_not_change_the_speaker() -> None:
    choice = SpeakerChoice()
    assert choice.decide({"ada": 90, "ben": 0}, 0.0) == "ada"
    assert choice.decide({"ada": 80, "ben": 100}, 0.2) == "ada"
    assert choice.decide({"ada": 90, "ben": 0}, 0.4) == "ada"
    assert choice.decide({"ada": 80, "ben": 100}, 0.6) == "ada"
    assert choice.decide({"ada": 80, "ben": 100}, 1.1) == "ben"


def test_somebody_slightly_louder_does_not_take_over() -> None:
    choice = SpeakerChoice()
    choice.decide({"ada": 90, "ben": 0}, 0.0)
    for step in range(20):
        assert choice.decide({"ada": 85, "ben": 90}, step / 5) == "ada"


def test_who_has_fallen_silent_gives_way_to_somebody_who_speaks_softly() -> None:
    choice = SpeakerChoice()
    choice.decide({"ada": 90, "ben": 0}, 0.0)
    # What is left of Ada is the noise of her room.
    found = [choice.decide({"ada": 70, "ben": 74}, step / 4) for step in range(1, 5)]
    assert found == ["ada", "ada", "ben", "ben"]


def test_after_a_while_of_silence_nobody_speaks() -> None:
    choice = SpeakerChoice()
    assert choice.decide({"ada": 90}, 0.0) == "ada"
    assert choice.decide({"ada": 10}, 1.9) == "ada"
    assert choice.decide({"ada": 10}, 2.2) is None


def test_a_speaker_who_left_is_not_the_speaker() -> None:
    choice = SpeakerChoice()
    choice.decide({"ada": 90}, 0.0)
    assert choice.decide({}, 0.2) is None
    choice.decide({"ada": 90}, 0.4)
    assert choice.decide({"ben": 100}, 0.6) == "ben"


def test_loudness_follows_a_voice_and_forgets_it() -> None:
    loudness = Loudness()
    for step in range(50):
        loudness.heard(30, step / 50)
    assert loudness.at(1.0) > 90
    assert loudness.at(2.0) == 0.0


def test_the_grade_names_its_reason() -> None:
    assert judge(Measured()) == (Grade.GOOD, "")
    assert judge(Measured(loss_down=0.05)) == (Grade.FAIR, "loss_down")
    assert judge(Measured(loss_up=0.2, round_trip=0.4)) == (Grade.POOR, "loss_up")
    assert judge(Measured(round_trip=0.4)) == (Grade.FAIR, "delay")
    assert judge(Measured(silence=6)) == (Grade.POOR, "silent")
    assert judge(Measured(narrow=7)) == (Grade.GOOD, "")
    assert judge(Measured(narrow=700)) == (Grade.FAIR, "bandwidth")
    assert judge(Measured(narrow=9, loss_down=0.05)) == (Grade.FAIR, "loss_down")


def test_a_grade_does_not_flicker() -> None:
    watch = QualityWatch()
    assert not watch.measured(Measured(loss_up=0.2))
    assert not watch.measured(Measured())
    assert not watch.measured(Measured(loss_up=0.2))
    assert watch.measured(Measured(loss_up=0.2))
    assert (watch.grade, watch.reason) == (Grade.POOR, "loss_up")


def test_silence_is_over_at_once_and_what_it_lost_is_judged_as_ever() -> None:
    for after, reason in ((Measured(), ""), (Measured(loss_up=0.2), "loss_up")):
        watch = QualityWatch()
        assert not watch.measured(Measured(silence=6.0))
        assert watch.measured(Measured(silence=8.0))
        assert (watch.grade, watch.reason) == (Grade.POOR, "silent")
        assert watch.measured(after)
        assert (watch.grade, watch.reason) == (Grade.GOOD, "")
        assert watch.measured(after) is bool(reason)
        assert watch.reason == reason


people = st.lists(st.sampled_from("abcdefgh"), unique=True)


@given(st.lists(people, max_size=6), st.integers(0, 5))
def test_people_keep_their_seats(changes: list[list[str]], count: int) -> None:
    seated: list[str | None] = [None] * count
    for wanted in changes:
        before = seated
        seated = arrange(before, wanted)
        assert len(seated) == count
        taken = [person for person in seated if person is not None]
        assert len(set(taken)) == len(taken)
        assert set(taken) <= set(wanted)
        assert len(taken) == min(count, len(wanted))
        for old, new in zip(before, seated, strict=True):
            if old in wanted:
                assert new == old


@given(people, people, st.data(), st.integers(1, 5))
def test_the_speaker_is_always_seated(
    first: list[str], wanted: list[str], data: st.DataObject, count: int
) -> None:
    seated = arrange([None] * count, first)
    speaker = data.draw(st.sampled_from(wanted)) if wanted else None
    spoke = data.draw(st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 100)))
    after = arrange(seated, wanted, speaker, spoke)
    assert speaker is None or speaker in after
    assert len({p for p in after if p}) == min(count, len(wanted))
    # At most one who was wanted lost a seat, and nobody changed places.
    lost = [old for old, new in zip(seated, after, strict=True) if old in wanted and new != old]
    assert len(lost) <= 1
    if lost:
        assert speaker not in seated
        kept = [p for p in after if p != speaker and p is not None]
        assert all(spoke.get(lost[0], -1) <= spoke.get(p, -1) for p in kept)


async def say(people: dict[str, CraftedClient], speaker: str, seconds: float) -> None:
    """Let everybody send audio, one of them loud."""
    for _ in range(round(seconds * 50)):
        for name, client in people.items():
            client.send_audio(name.encode(), level=10 if name == speaker else 127)
        await asyncio.sleep(0.02)


async def three_speak_before_two_seats(call: Call) -> None:
    ben = await call.join("ben", publish=(), seats=2)
    people = {name: await call.join(name, publish=MICROPHONE) for name in ("ada", "cy", "dee")}

    def seated() -> list[str | None]:
        told = call.listener.occupants("ben")
        return [told.get((SeatKind.SEAT, index)) for index in range(2)]

    assert seated() == ["ada", "cy"]
    for speaker, expected in (
        ("ada", ["ada", "cy"]),
        ("dee", ["ada", "dee"]),
        ("cy", ["cy", "dee"]),
        ("dee", ["cy", "dee"]),
    ):
        await say(people, speaker, 1.5)
        assert seated() == expected
        for index, name in enumerate(expected):
            audio, _ = ben.seat(index)
            assert ben.heard_on(audio)[-1].content == name.encode()
    # Who finds none is not lost: the next free seat is theirs.
    call.relay.remove("dee")
    assert seated() == ["cy", "ada"]


def test_who_speaks_takes_the_seat_of_the_one_silent_longest() -> None:
    call_in_virtual_time(three_speak_before_two_seats)


async def speakers_of_a_restless_session(call: Call) -> list[float]:
    """Mute whoever speaks, as often as messages could; return when a speaker was told."""
    loop = asyncio.get_running_loop()
    people = {name: await call.join(name, publish=MICROPHONE) for name in ("ada", "ben", "cy")}
    told: list[float] = []

    def note() -> None:
        told.append(loop.time())
        for name in people:
            mute = name == call.listener.speakers[-1]
            call.relay.set_published(name, {PublishSource.MICROPHONE: not mute})

    call.listener.on_speaker = note
    for _ in range(250):
        for client in people.values():
            client.send_audio(b"x", level=10)
        await asyncio.sleep(0.02)
    return told


def test_the_speaker_is_told_five_times_a_second_at_most() -> None:
    told = call_in_virtual_time(speakers_of_a_restless_session)
    assert len(told) > 10
    assert all(later - earlier > 0.999 for earlier, later in zip(told, told[5:], strict=False))


async def test_the_speaker_is_told_from_the_levels_in_the_packets(call: Call) -> None:
    ada = await call.join("ada")
    await call.join("ben")
    for _ in range(60):
        ada.send_audio(level=20)
    await until(lambda: call.listener.speakers == ["ada"])
    call.relay.set_published("ada", {PublishSource.MICROPHONE: False})
    await until(lambda: call.listener.speakers == ["ada", None])


def report(
    call: Call, client: CraftedClient, ssrc: int, trip: float, *, loss: int = 0, jitter: int = 0
) -> None:
    """Report on a slot: all but `trip` of what passed since its own report was the client's."""
    sent = [r for r in client.reports if isinstance(r, RtcpSrPacket) and r.ssrc == ssrc]
    compact = sent[-1].sender_info.ntp_timestamp >> 16 & 0xFFFFFFFF
    now = ntp_of(asyncio.get_running_loop().time() + call.relay.epoch) >> 16 & 0xFFFFFFFF
    delay = now - compact - round(trip * 65536) & 0xFFFFFFFF
    block = Report(ssrc, loss, 0, 1, jitter, compact, delay)
    client.send_rtcp(receiver_report(1, [block]))


async def one_line_with_loss_and_delay(call: Call) -> dict[str, Any]:
    """Let Ada talk to Ben for five seconds; Ben reports loss and jitter."""
    ada = await call.join("ada")
    ben = await call.join("ben")
    ssrc, _ = ben.slots[ben.seat(0)[0]]
    ben.acknowledge()
    for step in range(250):
        ada.send_audio(bytes(100), level=20)
        if step % 50 == 49:
            report(call, ben, ssrc, 0.1, loss=20, jitter=960)
        await asyncio.sleep(0.02)
    snapshot: dict[str, Any] = json.loads(json.dumps(call.relay.snapshot()))
    return snapshot


def test_the_snapshot_is_json_and_says_how_every_line_is() -> None:
    """Per transport and subscription: bit rate, loss, round trip, jitter, estimate, layer."""
    snapshot = call_in_virtual_time(one_line_with_loss_and_delay)
    assert snapshot["participants"]["ben"] == {"quality": "fair", "reason": "loss_down"}
    transports = {t["participant_id"]: t for t in snapshot["transports"]}
    (subscription,) = [s for s in transports["ben"]["subscriptions"] if s["feeding"]]
    assert subscription["packets"] == 250
    assert subscription["participant_id"] == "ada"
    assert 30_000 < subscription["bitrate"] < 45_000
    assert subscription["loss"] == 0.078
    assert subscription["jitter_ms"] == 20
    assert 95 <= subscription["round_trip_ms"] < 110
    assert subscription["rid"] == ""
    ben = transports["ben"]
    assert ben["bitrate_out"] == subscription["bitrate"]
    assert ben["loss_out"] == subscription["loss"]
    assert ben["round_trip_ms"] == subscription["round_trip_ms"]
    assert ben["estimate"] > 0
    ada = transports["ada"]
    assert 30_000 < ada["bitrate_in"] < 45_000
    assert ada["loss_in"] == 0
    (microphone,) = [p for p in ada["publications"] if p["source"] == "microphone"]
    (layer,) = microphone["layers"]
    assert layer["codec"] == "opus"
    assert layer["packets"] == 250
    assert layer["jitter_ms"] < 20

    # The server API shows it as it is.
    shown = media_state(snapshot).model_dump(mode="json")
    assert [t["participant_id"] for t in shown["transports"]] == ["ada", "ben"]
    for view, told in zip(shown["transports"], snapshot["transports"], strict=True):
        for name, value in view.items():
            if name not in ("publications", "subscriptions"):
                assert value == told[name], name
    assert shown["transports"][1]["subscriptions"][0].items() <= subscription.items()
    assert shown["transports"][0]["publications"][0]["layers"][0].items() <= layer.items()
    assert shown["drops"] == snapshot["drops"]
    assert snapshot["drops"] == {
        "kernel": 0,
        "mistakes": 0,
        "sends_blocked": 0,
        "sends_failed": 0,
        "strangers": 0,
    }


async def grades_of_bad_lines(call: Call) -> dict[str, tuple[Grade, str]]:
    """Make one thing bad for each of three people; return what is told of them."""
    people = {name: await call.join(name) for name in ("silent", "loses", "slow", "well")}
    slow = people["slow"]
    people["silent"].stop_checking()
    people["silent"].answers_checks = False
    for step in range(430):
        for name, client in people.items():
            if name != "silent" or step < 25:
                client.send_audio(deliver=name != "loses" or step % 5 > 0)
        if step % 50 == 49:
            ssrc = next(ssrc for mid, (ssrc, _) in slow.slots.items() if slow.heard_on(mid))
            report(call, slow, ssrc, 0.4)
        await asyncio.sleep(0.02)
    return {name: (grade, reason) for name, grade, reason in call.listener.grades}


async def grades_of_who_hears_a_silent_one(call: Call) -> list[tuple[str, Grade, str]]:
    """Let Ben lose one packet in two of a voice that says nothing, as browsers send it (DTX)."""
    ada, ben = await call.join("ada"), await call.join("ben")
    ada.send_audio()
    await until(lambda: ben.heard)
    (ssrc,) = {heard.packet.ssrc for heard in ben.heard}
    for _ in range(12):
        for _ in range(2):
            ada.send_audio()
            await asyncio.sleep(0.4)
        report(call, ben, ssrc, 0.05, loss=128)
    return call.listener.grades


def test_one_packet_of_few_makes_no_bad_line() -> None:
    """Of many who are silent somebody always loses one: everybody's line would be called bad."""
    assert call_in_virtual_time(grades_of_who_hears_a_silent_one) == []
    assert lost_of_all([(0.5, 2)] * 6 + [(0.0, 88)]) == 0.06


def test_a_line_is_graded_by_what_is_measured_on_it() -> None:
    assert call_in_virtual_time(grades_of_bad_lines) == {
        "silent": (Grade.POOR, "silent"),
        "loses": (Grade.POOR, "loss_up"),
        "slow": (Grade.FAIR, "delay"),
    }


async def test_a_whisper_reaches_its_audience_and_nobody_else_is_told_of_it(call: Call) -> None:
    ada = await call.join("ada")
    ben = await call.join("ben")
    rights = MediaRights(True, False, False, False, frozenset({"ada"}))
    boss = await call.join("boss", rights=rights)
    for _ in range(60):
        boss.send_audio(level=20)
    await until(lambda: len(ada.heard) == 60)
    assert ben.heard == []
    # Not even a seat, and never the speaker.
    seated = [(to, seat.participant_id) for to, seat in call.listener.seats]
    assert ("ada", "boss") in seated
    assert ("ben", "boss") not in seated
    assert call.listener.speakers == []
    call.relay.set_rights("boss", replace(rights, audience=None))
    boss.send_audio(level=20)
    await until(lambda: len(ben.heard) == 1)


async def test_a_mistake_in_one_step_costs_the_others_nothing(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben = await call.join("ada"), await call.join("ben")

    made: list[object] = []

    def mistaken(person: object, now: float, *, on_time: bool) -> None:
        made.append(person)
        raise ZeroDivisionError

    monkeypatch.setattr("actors.relay.pulse.choose_layers", mistaken)
    await until(lambda: len(made) > 2)
    ada.send_audio(level=20)
    await until(lambda: ben.heard)
    await until(lambda: [report for report in ben.reports if isinstance(report, RtcpSrPacket)])
    for _ in range(100):
        if call.listener.speakers:
            break
        ada.send_audio(level=20)
        await asyncio.sleep(0.02)
    assert call.listener.speakers == ["ada"]
