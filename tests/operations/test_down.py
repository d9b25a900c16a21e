"""`switchboard down` ends no call that it was not told to end, also where nobody knows of one."""

from __future__ import annotations

from typing import Any

import pytest
import ray
from ray.exceptions import ActorUnavailableError

from broker.messages.cluster.nodes import PoolLevel
from gateway.commands.down import live_sessions, refuse_live
from gateway.compose import cluster
from gateway.settings import Away, BadSettings


class Ledger:
    """Stands for the handle of a ledger that has so many sessions; `None`: it does not answer."""

    def __init__(self, live: int | None) -> None:
        self._live = live

    @property
    def level(self) -> Ledger:
        return self

    async def remote(self) -> PoolLevel:
        if self._live is None:
            raise ActorUnavailableError("It is being restarted.", None)
        return PoolLevel(standbys=0, live=self._live, queued=0)


@pytest.mark.parametrize(
    ("ledgers", "live"),
    [((), 0), ((0,), 0), ((2, 3), 5), ((None,), None), ((0, None), None)],
    ids=["no deployment", "none", "two ledgers", "away", "one of two away"],
)
async def test_live_sessions_are_known_only_where_every_ledger_answers(
    monkeypatch: pytest.MonkeyPatch, ledgers: tuple[int | None, ...], live: int | None
) -> None:
    there = {f"ledger-{number}": Ledger(each) for number, each in enumerate(ledgers)}
    monkeypatch.setattr(cluster, "find_actors", lambda: [*there, "pool", "session-1"])
    monkeypatch.setattr(ray, "get_actor", lambda name, namespace: there[name])
    assert await live_sessions() == live


async def test_a_ray_that_does_not_answer_is_no_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def find() -> Any:
        raise ValueError("The GCS is away.")

    monkeypatch.setattr(cluster, "find_actors", find)
    with pytest.raises(Away):
        await live_sessions()


@pytest.mark.parametrize(("live", "said"), [(3, "3 sessions are live"), (None, "does not say")])
def test_who_may_talk_is_not_cut_off_unasked(live: int | None, said: str) -> None:
    with pytest.raises(BadSettings, match=said):
        refuse_live(live)
    refuse_live(0)
