"""What a whole deployment adds to its gateway's metrics: its level, and the process itself."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from broker.messages.cluster.nodes import PoolLevel
from gateway.tasks import repeat

PERIOD_S = 2.0
_LOG = logging.getLogger(__name__)


class Level(Collector):
    """Asks the ledger for its level now and then, and shows the last answer.

    Its owner runs `run` as a task. While the ledger is away the counts are absent rather than
    stale: a graph then has a hole where nobody knew.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[PoolLevel | None]],
        ready: Callable[[], bool],
        ledger_ready: Callable[[], bool],
    ) -> None:
        self._ask = ask
        self._ready = ready
        self._ledger_ready = ledger_ready
        self._last: PoolLevel | None = None

    def install(self, registry: CollectorRegistry) -> None:
        """Show it, and the process's memory and descriptors, at `/metrics`."""
        registry.register(self)
        ProcessCollector(registry=registry)

    async def run(self) -> None:
        """Ask until cancelled."""
        await repeat(self.refresh, PERIOD_S)

    async def refresh(self) -> None:
        """Ask once. Whatever it fails by, a gateway without this graph is a gateway."""
        try:
            self._last = await self._ask()
        except Exception:
            _LOG.exception("the level was not told")
            self._last = None

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "switchboard_gateway_ready",
            "1 while the gateway takes new widgets.",
            value=float(self._ready()),
        )
        yield GaugeMetricFamily(
            "switchboard_gateway_ledger_up",
            "1 while the gateway's link to the ledger is up.",
            value=float(self._ledger_ready()),
        )
        level = self._last
        if level is None:
            return
        for name, text, value in (
            ("switchboard_sessions_live", "Sessions that have not ended.", level.live),
            ("switchboard_standbys", "Session actors ready for a session.", level.standbys),
            (
                "switchboard_standbys_reusable",
                "Session actors ready for another session of the account they had.",
                sum(node.reusable for node in level.nodes),
            ),
            ("switchboard_openings_waiting", "Starts that wait for a standby.", level.queued),
        ):
            yield GaugeMetricFamily(name, text, value=float(value))
        for name, text, value in (
            (
                "switchboard_sessions_failed",
                "Sessions that the ledger ended because no actor could go on with them.",
                level.failed,
            ),
            ("switchboard_openings_waited", "Starts that found no standby.", level.waited),
        ):
            yield CounterMetricFamily(name, text, value=float(value))
