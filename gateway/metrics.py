"""What a gateway counts, without labels of session, participant or visitor."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from broker.errors import ErrorCode


class Metrics:
    """The counters of one gateway, in a registry of its own so that tests can run several."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.connections = Gauge(
            "switchboard_gateway_connections",
            "Widget WebSockets open now.",
            registry=self.registry,
        )
        self.refusals = Counter(
            "switchboard_gateway_refusals_total",
            "HTTP requests refused and connections ended for a reason, by stable code.",
            ["code"],
            registry=self.registry,
        )
        # To Prometheus a series that appears has not grown: the first burst of a code would not
        # count. The codes are a closed set, so all of them are there from the beginning.
        for code in ErrorCode:
            self.refusals.labels(code=code.value)
        self.moves = Counter(
            "switchboard_gateway_moves_total",
            "Connections moved to a session's next actor.",
            registry=self.registry,
        )
        self.last_move_seconds = Gauge(
            "switchboard_gateway_last_move_seconds",
            "How long the latest move of a connection took.",
            registry=self.registry,
        )

    def render(self) -> bytes:
        """Write everything in Prometheus' text format."""
        return generate_latest(self.registry)
