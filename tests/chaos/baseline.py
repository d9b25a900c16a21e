"""What a deployment consists of and weighs before a fault, and must again when all is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress

import psutil

from gateway.compose.session_host import ORPHAN_S
from tests.chaos.street import KEPT_BYTES, POOLED, WAIT_S, Weight
from tests.operations.cluster import SESSIONS, SINGLES
from tests.patience import until

GATEWAY = "gateway"
FEW = 8
"""Descriptors that any process may have more: Ray's own lines to who came meanwhile, and files that
whoever has held a session has read."""


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

    def _weigh(self) -> dict[psutil.Process, tuple[str, Weight]]:
        """What there is of the deployment, each with what it is."""
        found = {}
        kinds = [(GATEWAY, each) for each in self._gateways()]
        for process in self._below():
            with suppress(psutil.Error):
                title = process.cmdline()[:1]
                kinds += [(each, process) for each in (*SINGLES, SESSIONS) if each in str(title)]
        for kind, process in kinds:
            with suppress(psutil.Error):
                found[process] = kind, Weight.of(process)
        return found

    def _over(self) -> list[str]:
        """What there is too much or too little of."""
        now = self._weigh()
        counts = Counter(kind for kind, _ in now.values())
        before = Counter(kind for kind, _ in self._before.values())
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
        # The pool has a line to each session actor, the ledger two (counted: 52 to 26 of them).
        lines = max(0, counts[SESSIONS] - before[SESSIONS])
        more_of = {"ray::LedgerHost": POOLED + max(self._most, 2 * lines), "ray::PoolHost": lines}
        for process, (kind, weight) in now.items():
            if process not in self._before:
                continue
            _, once = self._before[process]
            more = more_of.get(kind, 0)
            if weight.descriptors > once.descriptors + FEW + more:
                over.append(f"{process}: {weight.descriptors} descriptors, not {once.descriptors}")
            if weight.memory > once.memory + KEPT_BYTES:
                over.append(f"{process}: {weight.memory} bytes, not {once.memory}")
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
