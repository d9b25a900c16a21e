"""Ratings: of ended sessions only, in the person's own subject, gone with the person."""

from __future__ import annotations

import pytest

from broker.errors import Conflict, NotFound
from broker.messages import upkeep
from broker.messages.cluster.base import Done
from broker.messages.cluster.records import RecordRate
from broker.messages.cluster.tenure import JournalEntry
from tests.ledger.conftest import Town
from tests.ledger.fakes import ACCOUNT
from tests.ledger.test_erasure import VISITOR, a_record


def rating(session_id: str, who: str = "consumer", stars: int = 4) -> RecordRate:
    return RecordRate(session_id=session_id, participant_id=who, stars=stars, comment="as ever")


async def test_a_rating_waits_for_the_end_and_goes_with_the_person(town: Town) -> None:
    actor, gateway, keeper = await a_record(town, ended=False)
    assert actor.session_id is not None
    mine = rating(actor.session_id)
    with pytest.raises(Conflict):
        await gateway.link.call(mine, Done)
    ended = JournalEntry(
        seq=3,
        at_ms=town.clock(),
        type="session.ended",
        version=1,
        body={"reason": "ended_by_agent", "by": None},
    )
    await actor.append(ended)
    for stars in (1, 4):
        await gateway.link.call(rating(actor.session_id, stars=stars), Done)
    bodies = {s.participant_id: s.body for s in (await gateway.record(actor.session_id)).subjects}
    assert bodies["consumer"]["rating"] == {
        "stars": 4,
        "comment": "as ever",
        "at_ms": town.clock(),
    }
    assert "rating" not in bodies["agent"]
    await keeper.call(upkeep.PersonErase(account_id=ACCOUNT, visitor_id=VISITOR), upkeep.Erasures)
    # Whoever is erased rates no more: nothing is written where they stood.
    await gateway.link.call(mine, Done)
    bodies = {s.participant_id: s.body for s in (await gateway.record(actor.session_id)).subjects}
    assert bodies["consumer"] == {}


async def test_nobody_rates_where_they_were_not(town: Town) -> None:
    actor, gateway, _ = await a_record(town, ended=True)
    assert actor.session_id is not None
    for wrong in (rating("no such session"), rating(actor.session_id, "nobody")):
        with pytest.raises(NotFound):
            await gateway.link.call(wrong, Done)
