"""Parts of two releases side by side, as in a rolling upgrade: a call goes to and fro between them.

`tests/chaos/test_upgrade.py` does the same on Ray, node by node.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.records import whole
from tests.chaos.releases import put_other_release
from tests.chaos.street import Street, Talk, resumed, until
from tests.patience import PATIENCE

pytestmark = [pytest.mark.soak, pytest.mark.timeout(180 * PATIENCE)]


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The sources of the other release."""
    return put_other_release(tmp_path / "other")


@pytest.fixture
def releases(other: Path, tmp_path: Path) -> Iterator[tuple[Street, Street]]:
    """The street of each release, older first, in one folder and on one database."""
    folder = tmp_path / "street"
    folder.mkdir()
    database = f"sqlite:///{folder}/ledger.sqlite3"
    older = Street(folder, database, root=other, first=100)
    newer = Street(folder, database)
    try:
        yield older, newer
    finally:
        older.close()
        newer.close()


async def moved(call: Talk, epoch: int) -> None:
    """Both have heard of the tenure; each changes something in it."""
    for widget in (call.agent, call.consumer):
        await widget.expect("session.snapshot", epoch=epoch)
    await call.agent.insist("guest.invite")
    await call.consumer.insist("media.mode", mode="voice" if epoch % 2 else "video")


async def test_a_call_outlives_every_step_of_an_upgrade(
    releases: tuple[Street, Street],
) -> None:
    older, newer = releases
    await older.ledger()
    await older.actors(1)
    first, second = await older.gateway("gateway-1"), await newer.gateway("gateway-2")
    call = await Talk.begin(first, second)
    await moved(call, 1)
    for epoch, (before, after) in enumerate(
        [(older, newer), (newer, older), (older, newer)], start=2
    ):
        await after.actors(1)
        if epoch == 4:
            # The last step: ledger and gateway, before the last actor of the older release.
            older.parts["ledger"].kill()
            await newer.ledger()
            older.parts["gateway-1"].kill()
            await call.agent.expect_close()
            call.agent = await resumed(call.agent, second)
            await call.agent.insist("guest.invite")
        holder = before.holder()
        holder.kill()
        await moved(call, epoch)
    await call.end()
    await until(lambda: not any(part.holds for part in newer.of("actor")), "nobody holds it")
    record = await newer.record(call.session_id)
    types = whole(record.model_dump()["events"])
    assert types["guest.invited"] == 5
    assert types["participant.mode_changed"] == 4
    assert "participant.left" not in types
