"""While it rings the consumer's connection to the relay may stand already, without any right."""

from __future__ import annotations

import itertools
import json

import pytest

from actors.relay import Relay, RelayConfig
from actors.session.media import MOST_SEATS
from broker.policy import Policy
from broker.words import Surface
from tests.actors.stage import Message, Stage, Trunk
from tests.relay.client import CraftedClient
from tests.relay.recording import RecordingListener

_numbers = itertools.count(1)


def offer(stage: Stage, trunk: Trunk) -> Message:
    """Offer as the consumer's widget does and return the reply."""
    client = CraftedClient(Relay(RelayConfig(), RecordingListener()), f"t{next(_numbers)}")
    layout = client.layout
    request = stage.ask(
        stage.consumer(),
        trunk,
        "media.offer",
        transport_id=client.transport_id,
        epoch=1,
        sdp=client.offer(),
        publish=[{"mid": mid, "source": source} for mid, source in layout.publish.items()],
        seats=[{"audio_mid": audio, "video_mid": video} for audio, video in layout.seats],
        screens=list(layout.screens),
    )
    (reply,) = [message for message in trunk.heard if message.get("reply_to") == request]
    return reply


def transports(stage: Stage) -> list[str]:
    found = stage.session.media.snapshot()["transports"]
    assert isinstance(found, list)
    return [transport["transport_id"] for transport in found]


@pytest.mark.parametrize(("people", "seats"), [(8, 7), (250, MOST_SEATS)])
async def test_a_large_session_has_no_more_seats_than_an_offer_may_hold(
    people: int, seats: int
) -> None:
    stage = Stage(Policy(participant_limit=people))
    try:
        agent = await stage.begin()
        await stage.settle()
        media = agent.last("session.snapshot")["media"]
        assert media["seats"] == seats
        offered = 3 + 2 * media["seats"] + media["screens"]
        assert offered <= RelayConfig().max_offer_sections
    finally:
        await stage.close()


async def test_an_offer_is_answered_while_it_rings(stage: Stage) -> None:
    _, consumer = await stage.ringing()
    assert offer(stage, consumer)["type"] == "media.answer"
    assert stage.session.rights(stage.consumer().participant_id) is None


async def test_an_answered_invitation_keeps_the_connection(stage: Stage) -> None:
    _, consumer = await stage.ringing()
    transport = offer(stage, consumer)["transport_id"]
    stage.accept(consumer)
    await stage.settle()
    assert transports(stage) == [transport]
    rights = stage.session.rights(stage.consumer().participant_id)
    assert rights is not None
    assert rights.takes_part


async def test_a_declined_invitation_closes_it(stage: Stage) -> None:
    _, consumer = await stage.ringing()
    offer(stage, consumer)
    invitation = consumer.last("session.snapshot")["invitation"]["invitation_id"]
    stage.ask(stage.consumer(), consumer, "invitation.decline", invitation_id=invitation)
    await stage.settle()
    assert transports(stage) == []


async def test_of_several_surfaces_that_ring_the_newest_is_connected(stage: Stage) -> None:
    _, launcher = await stage.ringing()
    offer(stage, launcher)
    window = stage.connect(stage.consumer(), Surface.WINDOW)
    await stage.settle()
    newest = offer(stage, window)["transport_id"]
    assert transports(stage) == [newest]


async def test_a_closed_invitation_connects_nobody(stage: Stage) -> None:
    agent, consumer = await stage.ringing()
    stage.ask(stage.agent, agent, "invitation.cancel")
    await stage.settle()
    assert offer(stage, consumer)["code"] == "not_in_session"
    assert transports(stage) == []


async def test_nobody_closes_anothers_connection(stage: Stage) -> None:
    agent, consumer = await stage.ringing()
    transport = offer(stage, consumer)["transport_id"]
    close = json.dumps({"type": "media.close", "transport_id": transport}).encode()
    stage.requests.handle(stage.agent, agent.connection, close)
    assert transports(stage) == [transport]
    stage.requests.handle(stage.consumer(), consumer.connection, close)
    assert transports(stage) == []
