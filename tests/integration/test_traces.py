"""A deployment whose environment asks for traces tells a collector of one call from every part."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.calls import Call
from tests.deployment import Deployment
from tests.patience import PATIENCE, until

pytestmark = [pytest.mark.soak, pytest.mark.timeout(180 * PATIENCE)]

PARTS = {"gateway", "session", "ledger"}


class Collector(ThreadingHTTPServer):
    """Takes spans, and keeps which parts told of which trace."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Take)
        self.parts: defaultdict[bytes, set[str]] = defaultdict(set)

    def take(self, body: bytes) -> None:
        for of_part in ExportTraceServiceRequest.FromString(body).resource_spans:
            said = {each.key: each.value.string_value for each in of_part.resource.attributes}
            for scope in of_part.scope_spans:
                for span in scope.spans:
                    self.parts[span.trace_id].add(said["switchboard.part"])


class Take(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Collector)
        self.server.take(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        for name, value in {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "NO_PROXY": "127.0.0.1",
        }.items():
            monkeypatch.setenv(name, value)
        yield server
        server.shutdown()
        serving.join()


async def test_every_part_tells_of_one_call(collector: Collector, tmp_path: Path) -> None:
    with Deployment(tmp_path, standbys=1) as running:
        call = Call(running)
        agent, consumer = await call.talking()
        await agent.request("media.mode", mode="voice")
        await until(
            lambda: any(parts == PARTS for parts in list(collector.parts.values())),
            "a trace that every part told of",
            30 * PATIENCE,
        )
        await agent.request("session.end")
        await consumer.expect("session.ended")
        await call.close()
