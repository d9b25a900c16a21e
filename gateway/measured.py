"""What session actors and ledgers have counted, shown by a gateway: no port of theirs is needed.

Every gateway shows the same: `max by (node, ledger)` of their answers is the deployment's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from pydantic import ValidationError

from broker.errors import SwitchboardError
from broker.measures import APPEND, LOOP, Buckets, Count, Standing
from broker.messages.cluster.exporting import Measured, MeasureList, MeasureQuery
from gateway.links.directory import Call, Reply
from gateway.tasks import repeat

PERIOD_S = 2.0
TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Family:
    """A metric, made of the words of one family, or of one word that stands alone."""

    name: str
    text: str
    label: str = ""
    """What tells the words of the family apart; empty: there is one."""
    unit: float = 1.0
    """What one of the words' counts is of the metric's unit."""


OF_NODES: Mapping[str, Family] = {
    "packets": Family(
        "switchboard_relay_packets",
        "RTP and RTCP packets that came in authentic, or went out.",
        "direction",
    ),
    "bytes": Family("switchboard_relay_bytes", "Bytes of those packets.", "direction"),
    "dropped": Family(
        "switchboard_relay_dropped_packets", "Packets that were not passed on.", "reason"
    ),
    "nacked": Family(
        "switchboard_relay_nacked_packets",
        "Packets that receivers asked for once more.",
        "outcome",
    ),
    "key_frames": Family(
        "switchboard_relay_key_frame_requests",
        "Requests for key frames, of receivers to the relay and of the relay to senders.",
        "direction",
    ),
    "layer_switches": Family(
        "switchboard_relay_layer_switches",
        "Receivers that went on with another simulcast layer of the same person.",
    ),
    "cpu_ms": Family(
        "switchboard_actor_cpu_seconds", "Processor time of the session actors.", unit=0.001
    ),
    "loop": Family(
        "switchboard_actor_loop_late_seconds",
        "How much later than due the loop of a session actor came, looked at once a second.",
    ),
    "transports": Family("switchboard_relay_transports", "Peer connections.", "state"),
    "grades": Family(
        "switchboard_relay_participants",
        "Participants with a live peer connection, by its quality.",
        "grade",
    ),
    "sessions": Family("switchboard_actor_sessions", "Sessions that actors hold.", "state"),
    "unsaved": Family(
        "switchboard_actor_sessions_unsaved", "Sessions of which something waits to be saved."
    ),
    "participants": Family(
        "switchboard_actor_participants", "People in sessions and their lobbies.", "attendance"
    ),
    "resident": Family(
        "switchboard_actor_resident_bytes",
        "Memory of the session actors; what they share counts in each.",
    ),
    "resident_most": Family(
        "switchboard_actor_resident_most_bytes", "Memory of the largest session actor."
    ),
    "tasks": Family(
        "switchboard_actor_tasks",
        "Tasks of the session actors; one that stands by has as many whatever it held before.",
    ),
    "actors": Family("switchboard_actors", "Session actors, by whether they report.", "reports"),
}
OF_LEDGERS: Mapping[str, Family] = {
    "append": Family(
        "switchboard_ledger_append_seconds",
        "How long the ledger took over an append, from its arrival to its answer.",
    ),
    "transactions": Family("switchboard_ledger_transactions", "Write transactions committed."),
    "database_errors": Family(
        "switchboard_ledger_database_errors", "What the database failed.", "during"
    ),
    "reconciles": Family(
        "switchboard_keeper_reconciles", "How often the keeper had ghosts looked for."
    ),
    "ghosts": Family(
        "switchboard_keeper_ghosts", "Sessions that nobody had held for too long, ended as lost."
    ),
    "deliveries": Family(
        "switchboard_keeper_deliveries", "Deliveries to webhooks, by what came of them.", "outcome"
    ),
    "writes_waiting": Family("switchboard_ledger_writes_waiting", "Writes that wait."),
    "links": Family("switchboard_ledger_links", "Members that have a link.", "kind"),
    "ledger_resident": Family("switchboard_ledger_resident_bytes", "Memory of the ledger."),
    "account_faults": Family(
        "switchboard_keeper_account_faults",
        "What the keeper could not take over of the accounts file, and of the secrets it names.",
    ),
}
_BUCKETS: Mapping[str, Buckets] = {"loop": LOOP, "append": APPEND}
_Word = Count | Standing


class Ledgers(Protocol):
    """The part of a `Directory` that is needed here."""

    async def ask(self, request: Call, reply: type[Reply], *, timeout_s: float = 3.0) -> Reply: ...


class MeasuredCollector(Collector):
    """Asks the ledgers now and then, and shows the last answer.

    Its owner runs `run` as a task. What a ledger that is away has counted is absent rather than
    stale.
    """

    def __init__(self, ledgers: Ledgers, registry: CollectorRegistry) -> None:
        self._ledgers = ledgers
        self._last: Sequence[Measured] = ()
        registry.register(self)

    async def run(self) -> None:
        """Ask until cancelled."""
        await repeat(self.refresh, PERIOD_S)

    async def refresh(self) -> None:
        """Ask once; a ledger of another release may know no such call, or answer otherwise."""
        try:
            said = await self._ledgers.ask(MeasureQuery(), MeasureList, timeout_s=TIMEOUT_S)
        except (SwitchboardError, ValidationError):
            self._last = ()
        else:
            self._last = said.measured

    def collect(self) -> Iterator[Metric]:
        nodes = [each for each in self._last if each.node]
        ledgers = [each for each in self._last if not each.node]
        for family, shown in OF_NODES.items():
            yield _metric(family, shown, nodes, ("ledger", "node"))
        for family, shown in OF_LEDGERS.items():
            yield _metric(family, shown, ledgers, ("ledger",))


def words_of(family: str) -> list[_Word]:
    """The words of a family, in their order."""
    words: tuple[_Word, ...] = (*Count, *Standing)
    return [each for each in words if each.family == family]


def _metric(
    family: str, shown: Family, told: Sequence[Measured], labels: tuple[str, ...]
) -> Metric:
    """Show every word, also one that has counted nothing: what appears has not grown."""
    if family in _BUCKETS:
        return _histogram(_BUCKETS[family], shown, told, labels)
    words = words_of(family)
    of = [*labels, *filter(None, [shown.label])]
    made: CounterMetricFamily | GaugeMetricFamily = GaugeMetricFamily(
        shown.name, shown.text, labels=of
    )
    if isinstance(words[0], Count):
        made = CounterMetricFamily(shown.name, shown.text, labels=of)
    for each in told:
        for word in words:
            mine = [word.which] if shown.label else []
            made.add_metric([*_whose(each, labels), *mine], _value(each, word) * shown.unit)
    return made


def _histogram(
    buckets: Buckets, shown: Family, told: Sequence[Measured], labels: tuple[str, ...]
) -> Metric:
    made = HistogramMetricFamily(shown.name, shown.text, labels=labels)
    for each in told:
        numbers = accumulate(each.counts.get(word, 0) for word in buckets.words)
        bounds = (word.which for word in buckets.words)
        made.add_metric(
            _whose(each, labels),
            list(zip(bounds, numbers, strict=True)),
            each.counts.get(buckets.total, 0) / 1e6,
        )
    return made


def _value(each: Measured, word: _Word) -> int:
    return each.counts.get(word, 0) if isinstance(word, Count) else each.standing.get(word, 0)


def _whose(each: Measured, labels: tuple[str, ...]) -> list[str]:
    return [str(getattr(each, name)) for name in labels]
