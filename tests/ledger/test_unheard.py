"""A session that was committed, and whose ledger did not hear that it was."""

from __future__ import annotations

from typing import Any

import pytest

from actors.ledger.database import Work
from actors.ledger.rows import NewSession
from actors.ledger.writer import Writer
from broker.errors import Conflict, ErrorCode, Unavailable
from broker.messages.cluster.sessions import SessionLocate
from broker.messages.cluster.trunk import Location
from tests.ledger.conftest import Town
from tests.ledger.fakes import ACCOUNT, opening
from tests.patience import until

NAME = "n" * 24


@pytest.fixture
def unheard(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The session whose commit nobody hears of: the first one that is made."""
    names: list[str] = []
    do = Writer.do

    async def does(writer: Writer, job: Work[Any]) -> Any:
        done = await do(writer, job)
        if isinstance(job, NewSession) and not names:
            names.append(job.session_id)
            raise Unavailable(ErrorCode.LEDGER_AWAY, "The database did not answer in time.")
        return done

    monkeypatch.setattr(Writer, "do", does)
    return names


async def test_a_request_that_made_it_is_answered_with_it(town: Town, unheard: list[str]) -> None:
    first, gateway = await town.actor(), await town.gateway()
    ask = opening("eng-1", ACCOUNT).model_copy(update={"session_id": NAME})
    with pytest.raises(Unavailable):
        await gateway.link.call(ask, Location)
    await until(lambda: first.stopped, "that nobody knows what it holds")
    await first.die()
    second = await town.actor()
    made = await gateway.link.call(ask, Location)
    assert (made.session_id, made.epoch, made.port) == (NAME, 2, second.port)
    assert unheard == [NAME]


async def test_who_finds_it_in_the_way_finds_it(town: Town, unheard: list[str]) -> None:
    first, gateway = await town.actor(), await town.gateway()
    with pytest.raises(Unavailable):
        await gateway.open()
    await until(lambda: first.stopped, "that nobody knows what it holds")
    await first.die()
    second = await town.actor()
    with pytest.raises(Conflict):
        await gateway.open()
    await until(lambda: second.stopped, "the standby that was given for nothing")
    await second.die()
    third = await town.actor()
    found = await gateway.link.call(SessionLocate(session_id=unheard[0]), Location)
    assert (found.epoch, found.port) == (2, third.port)
