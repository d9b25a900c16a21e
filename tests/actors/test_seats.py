"""Seats belong to a transport: what a widget is told is who is heard in its own slots."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from actors.session.person import Person
from broker.words import PublishSource, Surface
from tests.actors.crafted import again, connect, offered, request_of
from tests.actors.stage import Stage, Trunk
from tests.patience import until
from tests.relay.client import CraftedClient
from tests.relay.stranger import echo


class Call:
    """An agent and three others who all send, each by a crafted client."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.clients: list[CraftedClient] = []

    async def connect(self, person: Person, trunk: Trunk) -> CraftedClient:
        client = await connect(self.stage, person, trunk)
        self.clients.append(client)
        return client

    async def guest(self, name: str) -> tuple[Person, Trunk, CraftedClient]:
        person, trunk = await self.stage.guest(name, admitted=True)
        return person, trunk, await self.connect(person, trunk)


@pytest.fixture
async def call(stage: Stage) -> AsyncIterator[Call]:
    made = Call(stage)
    yield made
    for client in made.clients:
        client.vanish()


def told(trunk: Trunk) -> dict[int, str]:
    """Who sits where, as a widget reduces what it hears."""
    seats: dict[int, str | None] = {}
    for message in trunk.heard:
        if message["type"] == "session.snapshot":
            seats = {}
        if message["type"] in ("session.snapshot", "media.seats"):
            found = [seat for seat in message["seats"] if seat["kind"] == "seat"]
            seats |= {seat["index"]: seat["participant_id"] for seat in found}
    return {index: who for index, who in seats.items() if who is not None}


async def heard(client: CraftedClient, speakers: list[CraftedClient]) -> dict[int, str]:
    """Who is heard in which seat, by what reaches its audio slot."""
    client.heard.clear()
    for speaker in speakers:
        speaker.send_audio(speaker.participant_id.encode())
    await until(lambda: len(client.heard) >= len(speakers))
    return {
        index: each.content.decode()
        for index in range(4)
        for each in client.heard_on(client.seat(index)[0])
    }


async def test_what_nobody_has_said_that_they_send_is_not_passed_on(call: Call) -> None:
    """The roster shows it off: nobody would know of it, nor could who moderates turn it off."""
    stage = call.stage
    frame, consumer = await stage.talking()
    agent = await call.connect(stage.agent, frame)
    casey = await connect(stage, stage.consumer(), consumer, says=False)
    call.clients.append(casey)
    await until(lambda: told(frame))
    casey.send_audio(b"unsaid")
    for client in (casey, agent):
        await echo(client)
    assert agent.heard == []
    sent = {"microphone": True, "camera": False, "screen": False}
    stage.ask(stage.consumer(), consumer, "media.publish", **sent)
    assert await heard(agent, [casey]) == {0: casey.participant_id}


async def test_each_widget_is_told_of_the_seats_of_its_own_transport(call: Call) -> None:
    stage = call.stage
    frame, consumer = await stage.talking()
    in_frame = await call.connect(stage.agent, frame)
    bea, bea_trunk, _ = await call.guest("bea")
    casey = await call.connect(stage.consumer(), consumer)
    _, _, dora = await call.guest("dora")
    await until(lambda: len(told(frame)) == 3)
    assert told(frame)[0] == bea.participant_id
    stage.ask(bea, bea_trunk, "session.leave")
    await until(lambda: len(told(frame)) == 2)
    in_frame.send_frame(key=True)

    # A window of one's own: until it shows something, the frame goes on.
    window = stage.connect(stage.agent, Surface.POP_OUT)
    await stage.settle()
    assert told(window) == {}
    in_window = await call.connect(stage.agent, window)
    await until(lambda: len(told(window)) == 2)
    assert (set(told(frame)), set(told(window))) == ({1, 2}, {0, 1})
    for trunk, client in ((frame, in_frame), (window, in_window)):
        assert await heard(client, [casey, dora]) == told(trunk)

    # Who comes during the handover sits in the first free place of each.
    _, _, eve = await call.guest("eve")
    await until(lambda: len(told(frame)) == len(told(window)) == 3)
    for trunk, client in ((frame, in_frame), (window, in_window)):
        assert await heard(client, [casey, dora, eve]) == told(trunk)

    # The window has taken over, then connects anew after somebody has left.
    in_window.send_frame(key=True)
    await until(lambda: frame.last("media.transport")["state"] == "closed")
    seats_told = frame.types().count("media.seats")
    again = await call.connect(stage.agent, window)
    await until(lambda: set(told(window)) == {0, 1, 2})
    assert await heard(again, [casey, dora, eve]) == told(window)
    assert frame.types().count("media.seats") == seats_told


async def test_a_snapshot_tells_the_seats_of_the_widget_that_it_is_for(call: Call) -> None:
    stage = call.stage
    frame, consumer = await stage.talking()
    await call.connect(stage.agent, frame)
    await call.connect(stage.consumer(), consumer)
    await until(lambda: told(frame))
    other = stage.connect(stage.agent, Surface.POP_OUT)
    back = stage.connect(
        stage.agent, Surface.AGENT_FRAME, widget_id=frame.connection.widget_id, attempt=1
    )
    await stage.settle()
    assert other.last("session.snapshot")["seats"] == []
    seats = back.last("session.snapshot")["seats"]
    assert [seat["participant_id"] for seat in seats if seat["participant_id"]] == [
        stage.consumer().participant_id
    ]


async def test_a_transport_that_is_built_anew_leaves_nobody_in_a_seat_that_is_empty_now(
    call: Call,
) -> None:
    stage = call.stage
    frame, consumer = await stage.talking()
    first = await call.connect(stage.agent, frame)
    await call.connect(stage.consumer(), consumer)
    bea, bea_trunk, _ = await call.guest("bea")
    await until(lambda: len(told(frame)) == 2)
    # It is gone without a word, and whoever sat in it leaves before the widget is back.
    first.vanish()
    stage.requests.handle(
        stage.agent,
        frame.connection,
        b'{"type":"media.close","transport_id":"%b"}' % first.transport_id.encode(),
    )
    stage.ask(bea, bea_trunk, "session.leave")
    await stage.settle()
    again = await call.connect(stage.agent, frame)
    await until(lambda: len(told(frame)) == 1)
    assert await heard(again, [call.clients[1]]) == told(frame)


async def test_a_transport_that_was_given_up_and_is_offered_again_is_told_of(call: Call) -> None:
    """A widget whose newer connection failed renegotiates the one that still stands."""
    stage = call.stage
    frame, consumer = await stage.talking()
    first = await call.connect(stage.agent, frame)
    casey = await call.connect(stage.consumer(), consumer)
    first.send_frame(key=True)
    await until(lambda: len(told(frame)) == 1)
    # Another is offered and comes to nothing.
    given_up = first.transport_id
    offered(stage, stage.agent, frame)
    frame.heard.clear()
    bea, bea_trunk, bea_client = await call.guest("bea")
    await until(lambda: len(stage.session.media.snapshot()["transports"]) == 4)  # type: ignore[arg-type]
    bea_client.send_audio()
    await until(lambda: any(each.content for each in first.heard))
    assert told(frame) == {}, "what it gave up"
    again(stage, stage.agent, frame, first)
    assert first.transport_id == given_up
    await stage.settle()
    assert set(told(frame).values()) == {casey.participant_id, bea.participant_id}
    stage.ask(bea, bea_trunk, "session.leave")
    await until(lambda: len(told(frame)) == 1)


async def test_what_is_told_of_layers_before_an_answer_leaves_is_told_behind_it_again(
    call: Call,
) -> None:
    """An answer says which are off, and may be older: it leaves once all before it is durable."""
    stage = call.stage
    frame, consumer = await stage.talking()
    first = await call.connect(stage.agent, frame)
    who, transport = stage.agent.participant_id, first.transport_id

    def needed(*rids: str) -> None:
        stage.session.media.layers_wanted(who, transport, PublishSource.CAMERA, rids)

    needed("q")
    again(stage, stage.agent, frame, first)
    assert frame.types()[-1] == "media.answer", "nothing has changed since"
    stage.ledger.open.clear()
    stage.ask(stage.consumer(), consumer, "session.leave")
    frame.heard.clear()
    stage.ask(stage.agent, frame, "media.offer", **request_of(first))
    needed("q", "h")
    stage.ledger.open.set()
    await until(lambda: "media.answer" in frame.types())
    said = [each for each in frame.heard if each["type"] in ("media.answer", "media.layers")]
    assert [each.get("rids") for each in said] == [["q", "h"], None, ["q", "h"]]


async def test_who_speaks_is_told_to_every_widget(call: Call) -> None:
    """From the level of a real voice in the relay to each widget's message."""
    frame, consumer = await call.stage.talking()
    await call.connect(call.stage.agent, frame)
    casey = await call.connect(call.stage.consumer(), consumer)

    def told_of() -> list[object]:
        return [
            trunk.last("media.speaker")["participant_id"]
            for trunk in (frame, consumer)
            if "media.speaker" in trunk.types()
        ]

    def speaks() -> bool:
        casey.send_audio(level=10)
        return told_of() == [call.stage.consumer().participant_id] * 2

    await until(speaks)
    await until(lambda: told_of() == [None, None])


async def test_the_sizes_that_a_widget_tells_are_those_of_its_own_transport(call: Call) -> None:
    """A window of one's own covers the frame it was opened from, which tells that it is hidden."""
    stage = call.stage
    frame, consumer = await stage.talking()
    await call.connect(stage.agent, frame)
    casey = await call.connect(stage.consumer(), consumer)
    window = stage.connect(stage.agent, Surface.POP_OUT)
    await stage.settle()
    in_window = await call.connect(stage.agent, window)
    await until(lambda: len(told(window)) == 1)

    def show(trunk: Trunk, width: int, height: int) -> None:
        slot = {"kind": "seat", "index": 0, "width": width, "height": height}
        data = json.dumps({"type": "media.view", "slots": [slot]}).encode()
        stage.requests.handle(stage.agent, trunk.connection, data)

    _, video = in_window.seat(0)
    show(window, 640, 360)
    show(frame, 0, 0)
    casey.send_frame(key=True, parts=(b"seen",))
    await until(lambda: in_window.heard_on(video))
    show(window, 0, 0)
    # A widget that carries nothing has nothing to say of it.
    show(stage.connect(stage.agent, Surface.AGENT_FRAME), 640, 360)
    casey.send_frame(key=True, parts=(b"unseen",))
    casey.send_audio(b"heard")
    await until(lambda: in_window.heard_on(in_window.seat(0)[0]))
    assert [each.content for each in in_window.heard_on(video)] == [b"seen"]
