"""Agents of an account who see one another: within the account, while a widget is open."""

from __future__ import annotations

import asyncio

import pytest

from broker.errors import NotFound
from broker.messages.cluster.base import Done
from broker.messages.cluster.presence import PresenceState, PresenceUnwatch, PresenceWatch
from broker.messages.colleagues import (
    ColleagueAnswer,
    ColleagueCall,
    ColleagueCalled,
    ColleagueQuery,
    Colleagues,
    ColleagueSettled,
)
from tests.ledger.conftest import Town
from tests.ledger.fakes import ACCOUNT, FakeActor, FakeGateway
from tests.patience import PATIENCE, until


async def watch(
    gateway: FakeGateway,
    connection_id: str,
    agent_id: str | None,
    name: str = "",
    account_id: str = ACCOUNT,
) -> None:
    ask = PresenceWatch(
        connection_id=connection_id,
        account_id=account_id,
        key=f"eng of {connection_id}",
        agent_id=agent_id,
        name=name,
    )
    await gateway.link.call(ask, PresenceState)


async def names(actor: FakeActor) -> list[str]:
    assert actor.session_id is not None
    reply = await actor.link.call(ColleagueQuery(session_id=actor.session_id), Colleagues)
    return [each.name for each in reply.colleagues]


def called(gateway: FakeGateway) -> list[str]:
    return [each.connection_id for each in gateway.told("colleague.called", ColleagueCalled)]


def settled(gateway: FakeGateway) -> list[str]:
    return [each.connection_id for each in gateway.told("colleague.settled", ColleagueSettled)]


async def test_an_agent_is_seen_within_the_account_while_a_widget_is_open(town: Town) -> None:
    actor, gateway, other = await town.actor(), await town.gateway(), await town.gateway()
    await gateway.open()
    await watch(gateway, "c1", "8", "Robin")
    await watch(other, "c2", "8", "Robin")
    await watch(other, "c3", "9", "alex")
    await watch(other, "hidden", None, "Supervisor")
    await watch(other, "elsewhere", "10", "Stranger", account_id="another")
    assert await names(actor) == ["alex", "Robin"]
    await gateway.link.call(PresenceUnwatch(connection_id="c1"), Done)
    assert await names(actor) == ["alex", "Robin"]
    # The other gateway is gone, and with it whoever stood there.
    await other.link.close()
    async with asyncio.timeout(10.0 * PATIENCE):
        while await names(actor):
            pass


async def test_every_widget_of_who_is_asked_shows_it_until_one_answers(town: Town) -> None:
    actor, gateway, other = await town.actor(), await town.gateway(), await town.gateway()
    location = await gateway.open()
    await watch(gateway, "c1", "8", "Robin")
    await watch(other, "c2", "8", "Robin")
    await watch(other, "c3", "9", "Sam")
    call = ColleagueCall(
        session_id=location.session_id, agent_id="8", asked_by="Alex", about="Casey"
    )
    await actor.link.call(call, Done)
    await until(lambda: (called(gateway), called(other)) == (["c1"], ["c2"]), "both are called")
    (shown,) = gateway.told("colleague.called", ColleagueCalled)
    assert (shown.location, shown.asked_by, shown.about) == (location, "Alex", "Casey")

    answer = ColleagueAnswer(session_id=location.session_id, agent_id="8", comes=False)
    await other.link.call(answer, Done)
    await until(lambda: (settled(gateway), settled(other)) == (["c1"], ["c2"]), "both are told")
    await until(lambda: actor.declined == ["8"], "the session is told")
    await other.link.call(answer.model_copy(update={"comes": True}), Done)
    await until(lambda: len(settled(other)) == 2, "it is said again")
    assert actor.declined == ["8"]


async def test_nobody_is_asked_who_is_not_there_or_of_another_account(town: Town) -> None:
    actor, gateway = await town.actor(), await town.gateway()
    location = await gateway.open()
    await watch(gateway, "c1", "8", "Robin", account_id="another")
    call = ColleagueCall(session_id=location.session_id, agent_id="8", asked_by="Alex")
    with pytest.raises(NotFound):
        await actor.link.call(call, Done)
    unknown = ColleagueAnswer(session_id="none", agent_id="8", comes=True)
    with pytest.raises(NotFound):
        await gateway.link.call(unknown, Done)
    assert called(gateway) == []
