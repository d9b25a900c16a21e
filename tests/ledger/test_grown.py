"""What a look for a webhook reads: not all that waits for one that is down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.ledger import grown
from actors.ledger.database import Database
from actors.ledger.grown import FULL_MS
from tests.ledger.fakes import ACCOUNT
from tests.ledger.steps import Steps
from tests.ledger.waiting import ASK, NOW_MS, Waiting


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    await database.take_term(0)
    yield database
    await database.close()


@pytest.fixture
async def waiting(database: Database) -> AsyncIterator[Waiting]:
    waiting = Waiting(database)
    yield waiting
    await waiting.close()


async def test_what_waits_for_a_webhook_that_is_down_is_not_read_at_each_look(
    database: Database, waiting: Waiting
) -> None:
    """All sessions of a day do, and each event that anybody appends makes a look."""
    steps, taken = Steps(), []
    due = await waiting.add(3, due_ms=NOW_MS - 1)
    new = await waiting.add(2)
    await steps.of(database, reads=True)
    for _ in range(2):
        await waiting.add(1_000, due_ms=NOW_MS + 500)
        assert await waiting.look() == due + new
        steps.taken()
        assert (await waiting.look(), waiting.next_due_in_ms) == (due + new, 500)
        taken.append(steps.taken())
    assert 0 < taken[1] < 1.5 * taken[0]


async def test_a_look_finds_what_has_grown_since_and_what_nobody_told_of_a_while_later(
    waiting: Waiting,
) -> None:
    before = await waiting.add(1)
    assert await waiting.look() == before
    (told, untold) = await waiting.add(2)
    waiting.grown.add(ACCOUNT, told)
    assert await waiting.look() == [*before, told]
    waiting.now_ms += FULL_MS
    assert await waiting.look() == [*before, told, untold]


@pytest.mark.parametrize("first", ["former", "latter"])
async def test_two_looks_at_once_lose_nothing_of_what_either_found(
    waiting: Waiting, first: str
) -> None:
    """As of two keepers, of which one follows the other."""
    assert await waiting.look() == []
    [grew] = await waiting.add(1)
    looks = waiting.grown
    looks.begin(ACCOUNT, ASK.endpoint_id)
    # It has read by now; only the next one finds this.
    looks.add(ACCOUNT, grew)
    looks.begin(ACCOUNT, ASK.endpoint_id)
    for left in ([], [grew]) if first == "former" else ([grew], []):
        looks.end(ACCOUNT, ASK.endpoint_id, left)
    assert await waiting.look() == [grew]


async def test_a_look_that_fails_costs_nothing_of_what_it_was_to_find(
    database: Database, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await waiting.look() == []
    [grew] = await waiting.add(1)
    waiting.grown.add(ACCOUNT, grew)

    async def away(*_: object) -> None:
        raise OSError("away")

    with monkeypatch.context() as patched:
        patched.setattr(database, "read", away)
        with pytest.raises(OSError, match="away"):
            await waiting.look()
    assert await waiting.look() == [grew]


async def test_more_than_are_kept_in_mind_are_looked_for_among_all(
    waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grown, "MOST", 3)
    assert await waiting.look() == []
    names = await waiting.add(6)
    for each in names:
        waiting.grown.add(ACCOUNT, each)
    assert await waiting.look() == names


async def test_what_is_new_and_what_is_tried_again_take_turns(waiting: Waiting) -> None:
    late, new = await waiting.add(30, due_ms=NOW_MS - 1), await waiting.add(30)
    found = await waiting.look()
    half = ASK.sessions // 2
    assert found == late[:half] + new[:half]


async def test_what_waits_for_a_webhook_that_is_down_is_not_read_while_others_want_to_write(
    database: Database, waiting: Waiting
) -> None:
    """Whether some of it is for nobody any more is looked for every hour."""
    steps, taken = Steps(), []
    await waiting.skip()
    await steps.of(database)
    for _ in range(2):
        await waiting.add(1_000, due_ms=NOW_MS + 500)
        steps.taken()
        await waiting.skip()
        taken.append(steps.taken())
    assert 0 < taken[1] < 1.5 * taken[0]
