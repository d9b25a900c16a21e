"""What a deployment consists of and weighs before a fault, and must again when all is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

import psutil

from gateway.compose.session_host import ORPHAN_S
from tests.chaos.street import WAIT_S
from tests.operations.cluster import SESSIONS, SINGLES
from tests.patience import until

GATEWAY = "gateway"
POOLED = 5
"""Connections to the database that a ledger may open at any time, and keep."""
KEPT_BYTES = 24 * 1024 * 1024
"""A part that outlived a fault may have so much more memory: code that ran for the first time."""
FEW = 8
"""Descriptors that any process may have more: Ray's own lines to who came meanwhile, and files that
whoever has held a session has read."""


@dataclass(frozen=True, slots=True)
class Weight:
    """One process: what it is, its descriptors, and its resident bytes."""

    kind: str
    descriptors: int
    memory: int


class Baseline:
    """What there was when it was made; `back` waits until there is no more than that.

    `gateways` and `below` return the gateways' processes, and all that Ray's nodes started. At
    `most` so many session actors may stand by, or as many as the ledger has `known` (`None`: it
    does not say): with whoever comes the pool keeps more ready, and a process that held a session
    waits for its account's next. One that a killed pool was starting ends by itself, after
    `ORPHAN_S`.
    """

    def __init__(
        self,
        gateways: Callable[[], Iterable[psutil.Process]],
        below: Callable[[], Iterable[psutil.Process]],
        most: int,
        known: Callable[[], int | None],
    ) -> None:
        self._gateways = gateways
        self._below = below
        self._most = most
        self._known = known
        self._before = self._weigh()

    def _weigh(self) -> dict[psutil.Process, Weight]:
        found = {}
        kinds = [(GATEWAY, each) for each in self._gateways()]
        for process in self._below():
            with suppress(psutil.Error):
                title = process.cmdline()[:1]
                kinds += [(each, process) for each in (*SINGLES, SESSIONS) if each in str(title)]
        for kind, process in kinds:
            with suppress(psutil.Error):
                found[process] = Weight(kind, process.num_fds(), process.memory_info().rss)
        return found

    def _over(self) -> list[str]:
        """What there is too much or too little of."""
        now = self._weigh()
        counts = Counter(each.kind for each in now.values())
        before = Counter(each.kind for each in self._before.values())
        over = [
            f"{counts[kind]} {kind} instead of {before[kind]}"
            for kind in (GATEWAY, *SINGLES)
            if counts[kind] != before[kind]
        ]
        if counts[SESSIONS] > self._most:
            known = self._known()
            if known is None:
                over.append(
                    f"{counts[SESSIONS]} {SESSIONS}, and the ledger does not say of how many"
                )
            elif counts[SESSIONS] > known:
                over.append(f"{counts[SESSIONS]} {SESSIONS}, of which the ledger knows {known}")
        for process, weight in now.items():
            once = self._before.get(process)
            if once is None:
                continue
            # A ledger has a link to each session actor.
            more = POOLED + self._most if weight.kind == "ray::LedgerHost" else 0
            if weight.descriptors > once.descriptors + FEW + more:
                over.append(f"{once} has {weight.descriptors} descriptors")
            if weight.memory > once.memory + KEPT_BYTES:
                over.append(f"{once} has {weight.memory} bytes")
        return over

    async def back(self) -> None:
        """Wait until nothing is over."""
        over: list[str] = []

        def is_back() -> bool:
            over[:] = self._over()
            return not over

        try:
            await until(is_back, "as it was before", ORPHAN_S + WAIT_S, every=0.05)
        except AssertionError:
            raise AssertionError(f"not as it was before the fault: {over}") from None
