"""What widgets are told, whatever is lost in between: everything for them, in order, once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from actors.relay import Grade
from actors.session.told import REPLAY_MESSAGES, Told
from broker.messages.facts import TextSaid
from broker.words import PublishSource, Surface
from tests.actors.crafted import offer
from tests.actors.stage import Stage, Trunk

WIDGETS = ("frame", "pop_out")
STEP_MS = 600
"""Slow enough for the pace of requests, and all steps within the grace time."""


@dataclass
class Widget:
    """One widget of the agent over all its connections."""

    widget_id: str
    trunk: Trunk | None = None
    heard: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Take in what came over the present connection."""
        if self.trunk is not None:
            self.heard += self.trunk.heard
            self.trunk.heard.clear()

    @property
    def last_seq(self) -> int:
        return max((message["seq"] for message in self.heard), default=0)


steps = st.lists(
    st.one_of(
        st.sampled_from(["text", "camera", "mode", "stall", "go", "away"]).map(
            lambda word: (word, "")
        ),
        st.tuples(
            st.sampled_from(["ask", "drop", "back", "slow", "fast"]), st.sampled_from(WIDGETS)
        ),
    ),
    max_size=50,
)

HASTY = [
    ("away", ""),
    ("stall", ""),
    ("back", "frame"),
    ("text", ""),
    ("ask", "frame"),
    ("ask", "frame"),
    ("go", ""),
]
"""Somebody who comes back and asks before what they missed could be told."""


class Play:
    """An agent with several widgets, a consumer who does things, and a ledger that may stall."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.widgets = {name: Widget(name) for name in WIDGETS}
        self.consumer: Trunk
        self.said = 0
        self.camera = False

    async def begin(self) -> None:
        first, self.consumer = await self.stage.talking()
        self.stage.disconnect(self.stage.agent, first)
        for widget in self.widgets.values():
            await self.step("back", widget.widget_id)

    async def step(self, word: str, name: str) -> None:
        stage, widget = self.stage, self.widgets.get(name)
        stage.now_ms += STEP_MS
        match word:
            case "text":
                self.said += 1
                stage.ask(stage.consumer(), self.consumer, "text.send", text=str(self.said))
            case "mode":
                mode = ("voice", "video")[self.said % 2]
                stage.ask(stage.consumer(), self.consumer, "media.mode", mode=mode)
            case "camera":
                self.camera = not self.camera
                sent = {"microphone": True, "camera": self.camera, "screen": False}
                stage.ask(stage.consumer(), self.consumer, "media.publish", **sent)
            case "stall":
                stage.ledger.open.clear()
            case "go":
                stage.ledger.open.set()
            case "away":
                for each in self.widgets.values():
                    self.turn("drop", each)
        if widget is not None:
            self.turn(word, widget)
        await stage.settle()
        for each in self.widgets.values():
            each.listen()

    def turn(self, word: str, widget: Widget) -> None:
        stage, trunk = self.stage, widget.trunk
        if word == "back" and trunk is None:
            last_seq = widget.last_seq or None
            widget.trunk = stage.connect(
                stage.agent, Surface.AGENT_FRAME, last_seq=last_seq, widget_id=widget.widget_id
            )
        elif trunk is None:
            return
        elif word == "ask":
            request = f"{widget.widget_id}.{len(widget.asked)}"
            widget.asked.append(request)
            sent = {"microphone": True, "camera": True, "screen": False}
            stage.ask(stage.agent, trunk, "media.publish", id=request, **sent)
        elif word == "drop":
            widget.listen()
            widget.trunk = None
            stage.disconnect(stage.agent, trunk)
        elif word == "slow":
            trunk.end.link.pause_writing()
        elif word == "fast":
            trunk.end.link.resume_writing()

    async def end(self) -> None:
        """Everything heals, and everybody comes back."""
        await self.step("go", "")
        for name in WIDGETS:
            await self.step("fast", name)
            await self.step("back", name)


async def play(script: list[tuple[str, str]]) -> None:
    scene = Play()
    await scene.begin()
    for word, name in script:
        await scene.step(word, name)
    await scene.end()
    told = scene.stage.agent.told
    for widget in scene.widgets.values():
        seqs = [message["seq"] for message in widget.heard]
        assert seqs == sorted(set(seqs)), "in order, once"
        types = [message["type"] for message in widget.heard]
        assert types.count("session.snapshot") == 1, "nothing that could not be made up for"
        texts = [m["text"] for m in widget.heard if m["type"] == "text.said"]
        assert texts == [str(number + 1) for number in range(scene.said)]
        answered = [m["reply_to"] for m in widget.heard if m["type"] == "request.done"]
        assert answered == widget.asked, "its own replies, and no other's"
        skipped = {
            seq for seq, _, only in told._kept if only in (None, widget.widget_id) and seq > seqs[0]
        } - set(seqs)
        rosters = {seq for seq, data, _ in told._kept if b'"type":"roster.changed"' in data}
        assert skipped <= rosters, "only a roster, for a later one"
    await scene.stage.close()


@settings(max_examples=60)
@given(script=steps)
@example(script=HASTY)
def test_every_widget_is_told_everything_in_order_once(script: list[tuple[str, str]]) -> None:
    asyncio.run(play(script))


def test_what_is_no_longer_kept_is_made_up_for_by_a_snapshot() -> None:
    told = Told()
    for number in range(REPLAY_MESSAGES + 2):
        told.add(b'{"n":%d}' % number)
    assert told.missed_since(1, "w") is None
    missed = told.missed_since(2, "w")
    assert missed is not None
    assert len(missed) == REPLAY_MESSAGES
    assert told.missed_since(told.seq + 1, "w") is None


async def test_a_widget_that_rang_and_was_away_is_told_where_the_answer_was_given() -> None:
    stage = Stage()
    _, launcher = await stage.ringing()
    seen, rang = launcher.heard[-1]["seq"], launcher.connection.widget_id
    invitation = launcher.last("session.snapshot")["invitation"]["invitation_id"]
    person = stage.consumer()
    stage.disconnect(person, launcher)
    window = stage.connect(person, Surface.WINDOW)
    await stage.settle()
    stage.ask(person, window, "invitation.accept", invitation_id=invitation, mode="video")
    await stage.settle()
    back = stage.connect(person, Surface.LAUNCHER, last_seq=seen, widget_id=rang)
    await stage.settle()
    assert back.last("invitation.elsewhere")["invitation_id"] == invitation
    assert "session.snapshot" not in back.types()
    assert "invitation.elsewhere" not in window.types()
    await stage.close()


async def test_a_widget_that_rang_and_was_away_is_told_that_it_does_no_more() -> None:
    stage = Stage()
    agent, launcher = await stage.ringing()
    seen, rang = launcher.heard[-1]["seq"], launcher.connection.widget_id
    stage.disconnect(stage.consumer(), launcher)
    stage.ask(stage.agent, agent, "invitation.cancel")
    await stage.settle()
    back = stage.connect(stage.consumer(), Surface.LAUNCHER, last_seq=seen, widget_id=rang)
    await stage.settle()
    assert back.types() == ["invitation.changed", "session.left"]
    assert back.heard[0]["invitation"]["state"] == "cancelled"
    await stage.close()


async def test_a_snapshot_is_followed_by_the_signals_that_still_hold(stage: Stage) -> None:
    """They were told once, when they changed: whoever missed that would not learn it any more."""
    agent, consumer = await stage.talking()
    media, away = stage.session.media, stage.consumer().participant_id
    transport = offer(stage, consumer)["transport_id"]
    await stage.settle()
    seen, widget = consumer.heard[-1]["seq"], consumer.connection.widget_id
    stage.disconnect(stage.consumer(), consumer)
    for rids in (("q", "h"), ("q",)):
        media.layers_wanted(away, transport, PublishSource.CAMERA, rids)
    for speaker in (away, stage.agent.participant_id):
        media.speaker_changed(speaker)
    media.quality_changed(stage.agent.participant_id, Grade.POOR, "loss_up")
    for _ in range(REPLAY_MESSAGES):
        stage.session.tell(None, TextSaid(seq=0, participant_id=away, text="much is said"))
    back = stage.connect(stage.consumer(), Surface.LAUNCHER, last_seq=seen, widget_id=widget)
    other = stage.connect(stage.consumer(), Surface.WINDOW)
    await stage.settle()
    assert back.types()[0] == other.types()[0] == "session.snapshot"
    assert back.last("media.speaker")["participant_id"] == stage.agent.participant_id
    assert other.last("media.quality")["grade"] == back.last("media.quality")["grade"] == "poor"
    assert back.last("media.layers")["rids"] == ["q"]
    # Another widget sends nothing by this transport.
    assert "media.layers" not in other.types()
    # Nor has it to do with whoever has left.
    media.quality_changed(away, Grade.FAIR, "delay")
    stage.ask(stage.consumer(), back, "session.leave")
    await stage.settle()
    agent.heard.clear()
    stage.session.show_snapshot(stage.agent, only=agent.connection)
    graded = [m["participant_id"] for m in agent.heard if m["type"] == "media.quality"]
    assert graded == [stage.agent.participant_id]
