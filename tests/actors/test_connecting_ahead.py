"""While it rings the consumer's connection to the relay may stand already, without any right."""

from __future__ import annotations

import json

import pytest

from actors.relay import RelayConfig
from actors.session.media import MOST_SEATS
from broker.policy import Policy
from broker.words import Surface
from tests.actors.crafted import offer
from tests.actors.stage import Stage


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
