"""The keeper's shell: one loop per endpoint, one for what is due by the clock."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from actors.keeper.delivery import Deliverer, DeliveryPolicy, Endpoint
from actors.ledger import keeping
from actors.ledger_link import LedgerLink, LinkTiming
from actors.link import Tls
from broker.errors import SwitchboardError
from broker.messages.cluster.base import Done, read
from broker.messages.cluster.members import LinkHello

_log = logging.getLogger(__name__)
_DAY_MS = 24 * 3_600_000
_LONGEST_REST_S = 60.0
_RESTS = 4
"""After a look that found nothing due the next one waits for so many times what this one took: with
a day's sessions of a webhook that is down to look through, that is a fifth of one connection."""


@dataclass(frozen=True, slots=True)
class KeeperPolicy:
    """How often the keeper looks, and what it throws away."""

    delivery: DeliveryPolicy = field(default_factory=DeliveryPolicy)
    poll_s: float = 5.0
    """How often an endpoint is looked after when the ledger did not say that there is something."""
    parallel_sessions: int = 4
    """Sessions of one endpoint that are delivered at once."""
    reconcile_s: float = 15.0
    expire_s: float = 3600.0
    retention_days: Mapping[str, int] = field(default_factory=dict)
    """By account: records of sessions that ended longer ago are deleted. Absent: kept."""


class Keeper:
    """Delivers webhooks, ends what nobody owns, applies retention.

    It holds nothing that is not in the ledger: kill it at any moment and start another. Two at
    once deliver some events twice, no worse. `close()` ends its link and what it was sending.

    `knows_all` says whether there are no other endpoints: only then is it known which were taken
    away, and whose events wait for nobody.
    """

    def __init__(
        self,
        resolve: Callable[[], Awaitable[tuple[str, int]]],
        key: bytes,
        hello: LinkHello,
        *,
        now_ms: Callable[[], int],
        endpoints: Sequence[Endpoint] = (),
        knows_all: bool = True,
        policy: KeeperPolicy | None = None,
        timing: LinkTiming | None = None,
        tls: Tls | None = None,
    ) -> None:
        self._policy = policy or KeeperPolicy()
        self._now_ms = now_ms
        self._endpoints = tuple(endpoints)
        self._knows_all = knows_all
        self._of_account: dict[str, list[str]] = {}
        for endpoint in self._endpoints:
            self._of_account.setdefault(endpoint.account_id, []).append(endpoint.endpoint_id)
        self._deliverer = Deliverer(self._policy.delivery, now_ms)
        self._grew = {endpoint.endpoint_id: asyncio.Event() for endpoint in self._endpoints}
        self._link = LedgerLink(
            resolve, key, hello, on_notice=self._on_notice, timing=timing, tls=tls
        )
        self._tasks: list[asyncio.Task[None]] = []
        self.account_faults = 0
        """How much of the accounts, as they stand written now, its owner could not take over."""

    async def start(self) -> None:
        """Begin; returns at once."""
        if self._tasks:
            return
        await self._link.start()
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._every(self._policy.reconcile_s, self._reconcile)),
            loop.create_task(self._every(self._policy.expire_s, self._expire)),
            *(loop.create_task(self._serve(endpoint)) for endpoint in self._endpoints),
        ]
        if self._knows_all:
            self._tasks.append(loop.create_task(self._every(self._policy.expire_s, self._skip)))

    async def close(self) -> None:
        """Stop; what was not settled is delivered by the next keeper. Harmless when closed."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._link.close()
        await self._deliverer.close()

    def _on_notice(self, method: str, payload: bytes) -> None:
        if method != "outbox.grew":
            return
        accounts = read(keeping.OutboxGrew, payload).accounts
        for endpoint in self._endpoints:
            if accounts is None or endpoint.account_id in accounts:
                self._grew[endpoint.endpoint_id].set()

    async def _every(self, period_s: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except SwitchboardError as error:
                _log.info("The ledger could not be asked.", extra={"why": str(error)})
            except Exception:
                # A reply that cannot be read, of another release: the next one may be.
                _log.exception("A chore of the keeper broke.")
            await asyncio.sleep(period_s)

    async def _reconcile(self) -> None:
        ask = keeping.Reconcile(account_faults=self.account_faults)
        found = await self._link.call(ask, keeping.Reconciled, timeout=30)
        if found.ended:
            _log.warning("Sessions were lost.", extra={"sessions": len(found.ended)})

    async def _expire(self) -> None:
        for account_id, days in self._policy.retention_days.items():
            try:
                await self._expire_of(account_id, self._now_ms() - days * _DAY_MS)
            except Exception as error:
                # What cannot be deleted of one account must not keep the others' for good.
                facts = {"account_id": account_id, "why": repr(error)}
                _log.warning("Records were not deleted.", extra=facts)

    async def _expire_of(self, account_id: str, before_ms: int) -> None:
        ask = keeping.RecordExpire(account_id=account_id, before_ms=before_ms)
        while (await self._link.call(ask, keeping.Expired, timeout=30)).count >= ask.limit:
            pass

    async def _skip(self) -> None:
        ask = keeping.OutboxSkip(accounts=sorted(self._of_account), endpoints=self._of_account)
        await self._link.call(ask, Done, timeout=30)

    async def _serve(self, endpoint: Endpoint) -> None:
        """Deliver what is due for one endpoint, for ever.

        What was sent and could not be settled is sent again: after a rest that grows, or the
        receiver would get it once a second for as long as the ledger can read and not write.
        """
        grew, loop = self._grew[endpoint.endpoint_id], asyncio.get_running_loop()
        ask = keeping.OutboxTake(endpoint_id=endpoint.endpoint_id, account_id=endpoint.account_id)
        broken = 0
        while True:
            grew.clear()
            wait_s, rest_s = self._policy.poll_s, 0.0
            begun_s, found = loop.time(), None
            try:
                found = await self._link.call(ask, keeping.OutboxParcels, timeout=30)
                if found.parcels:
                    await self._deliver_all(endpoint, found.parcels)
                    broken = 0
                    continue
                rest_s = min(_RESTS * (loop.time() - begun_s), wait_s)
                if found.next_due_in_ms is not None:
                    wait_s = min(wait_s, found.next_due_in_ms / 1000)
            except SwitchboardError as error:
                _log.info("The ledger could not be asked.", extra={"why": str(error)})
                wait_s = min(wait_s, 1.0)
            except Exception:
                # One endpoint's trouble must neither end its loop nor touch another's.
                _log.exception("A delivery broke.", extra={"endpoint_id": endpoint.endpoint_id})
            if found is not None and found.parcels:
                rest_s = min(self._deliverer.retry_in_ms(broken) / 1000, _LONGEST_REST_S)
                broken += 1
            await asyncio.sleep(rest_s)
            try:
                async with asyncio.timeout(wait_s):
                    await grew.wait()
            except TimeoutError:
                pass

    async def _deliver_all(self, endpoint: Endpoint, parcels: list[keeping.Parcel]) -> None:
        gate = asyncio.Semaphore(self._policy.parallel_sessions)

        async def one(parcel: keeping.Parcel) -> None:
            async with gate:
                await self._deliver(endpoint, parcel)

        outcomes = await asyncio.gather(
            *(one(parcel) for parcel in parcels), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _deliver(self, endpoint: Endpoint, parcel: keeping.Parcel) -> None:
        deliverer = self._deliverer
        outcome = await deliverer.deliver(endpoint, parcel)
        retry_in_ms: int | None = None
        dead: str | None = None
        if outcome.why is not None:
            # Only the first event of a parcel has a past; a later one fails for the first time.
            first = outcome.delivered_seq == 0
            if first and deliverer.is_over(parcel, outcome):
                dead = outcome.why
            else:
                retry_in_ms = deliverer.retry_in_ms(parcel.attempts if first else 0)
        failed = next(
            (each.seq for each in parcel.entries if each.seq > outcome.delivered_seq), None
        )
        if parcel.again:
            delivered_seq = parcel.entries[0].seq
        else:
            delivered_seq = outcome.delivered_seq
        await self._link.call(
            keeping.OutboxSettle(
                endpoint_id=endpoint.endpoint_id,
                session_id=parcel.session_id,
                delivered_seq=delivered_seq,
                retry_in_ms=retry_in_ms,
                refused=outcome.refused,
                dead=dead,
                failed_seq=None if outcome.why is None else failed,
                again=parcel.again,
                endpoints=self._of_account[endpoint.account_id],
            ),
            Done,
            timeout=30,
        )
