"""What a gateway shows of session actors and ledgers, as Prometheus reads it."""

from __future__ import annotations

from typing import TypeVar

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from broker.errors import ErrorCode, Malformed, SwitchboardError, Unavailable
from broker.measures import APPEND, LOOP, Count, Standing
from broker.messages.cluster.base import ClusterMessage
from broker.messages.cluster.exporting import Measured, MeasureList, MeasureQuery
from gateway.links.directory import Call
from gateway.measured import OF_LEDGERS, OF_NODES, MeasuredCollector, words_of

R = TypeVar("R", bound=ClusterMessage)
Labels = dict[str, str]


class Ledgers:
    """Answers as it is told."""

    def __init__(self, *measured: Measured) -> None:
        self.measured = list(measured)
        self.failure: SwitchboardError | None = None

    async def ask(self, request: Call, reply: type[R], *, timeout_s: float = 3.0) -> R:
        assert isinstance(request, MeasureQuery)
        if self.failure is not None:
            raise self.failure
        answer = MeasureList(measured=self.measured)
        assert isinstance(answer, reply)
        return answer


class Shown:
    """A gateway's endpoint."""

    def __init__(self, ledgers: Ledgers) -> None:
        self._registry = CollectorRegistry()
        self.collector = MeasuredCollector(ledgers, self._registry)

    async def samples(self) -> list[tuple[str, Labels, float]]:
        await self.collector.refresh()
        text = generate_latest(self._registry).decode()
        return [
            (sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]

    async def value(self, name: str, **labels: str) -> float:
        found = [value for at, of, value in await self.samples() if (at, of) == (name, labels)]
        assert len(found) == 1, (name, labels)
        return found[0]


NODE = {"ledger": "0", "node": "n"}


def test_every_word_is_shown_and_every_family_has_words() -> None:
    families = [*OF_NODES, *OF_LEDGERS]
    assert len(families) == len(set(families))
    shown = [word for family in families for word in words_of(family)]
    shown += [LOOP.total, APPEND.total]
    assert sorted(map(str, shown)) == sorted([*map(str, Count), *map(str, Standing)])
    names = [each.name for each in (*OF_NODES.values(), *OF_LEDGERS.values())]
    assert len(names) == len(set(names))


async def test_units_are_prometheus_own_and_buckets_add_up() -> None:
    node = Measured(
        ledger=0,
        node="n",
        counts={
            Count.CPU_MS: 1_500,
            Count.LOOP_5_MS: 90,
            Count.LOOP_250_MS: 8,
            Count.LOOP_MORE: 2,
            Count.LOOP_US: 7_250_000,
            Count.DROPPED_KERNEL: 4,
        },
        standing={Standing.TRANSPORTS_RECONNECTING: 3},
    )
    shown = Shown(Ledgers(node, Measured(ledger=0, counts={Count.APPEND_MORE: 1})))
    assert await shown.value("switchboard_actor_cpu_seconds_total", **NODE) == 1.5
    late = "switchboard_actor_loop_late_seconds"
    assert await shown.value(f"{late}_bucket", le="0.1", **NODE) == 90
    assert await shown.value(f"{late}_bucket", le="0.25", **NODE) == 98
    assert await shown.value(f"{late}_bucket", le="+Inf", **NODE) == 100
    assert await shown.value(f"{late}_count", **NODE) == 100
    assert await shown.value(f"{late}_sum", **NODE) == 7.25
    dropped = "switchboard_relay_dropped_packets_total"
    assert await shown.value(dropped, reason="kernel", **NODE) == 4
    assert await shown.value(dropped, reason="late", **NODE) == 0, "there from the beginning"
    assert await shown.value("switchboard_relay_transports", state="reconnecting", **NODE) == 3
    append = "switchboard_ledger_append_seconds_bucket"
    assert await shown.value(append, le="3.0", ledger="0") == 0
    assert await shown.value(append, le="+Inf", ledger="0") == 1


async def test_several_ledgers_and_nodes_stand_side_by_side() -> None:
    at = [
        Measured(ledger=ledger, node=node, counts={Count.PACKETS_OUT: 10 * ledger + len(node)})
        for ledger in (0, 1)
        for node in ("", "n", "nn")
    ]
    shown = Shown(Ledgers(*at))
    name = "switchboard_relay_packets_total"
    found = {
        (of["ledger"], of["node"]): value
        for at, of, value in await shown.samples()
        if at == name and of["direction"] == "out"
    }
    assert found == {("0", "n"): 1, ("0", "nn"): 2, ("1", "n"): 11, ("1", "nn"): 12}


@pytest.mark.parametrize(
    "failure",
    [
        Unavailable(ErrorCode.LEDGER_AWAY, "The ledger does not answer at the moment."),
        Malformed(ErrorCode.MALFORMED, "There is no such method."),
    ],
    ids=["away", "of the release before"],
)
async def test_what_a_ledger_does_not_say_is_absent(failure: SwitchboardError) -> None:
    ledgers = Ledgers(Measured(ledger=0), Measured(ledger=0, node="n"))
    shown = Shown(ledgers)
    assert await shown.samples()
    ledgers.failure = failure
    assert await shown.samples() == []
    ledgers.failure = None
    assert await shown.samples()
