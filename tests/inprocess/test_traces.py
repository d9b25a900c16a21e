"""A widget's message is followed from the gateway to the ledger, and no span says whose it is."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from actors.session.config import SessionConfig
from gateway import tracing
from gateway.tracing import OpenTelemetry, traces_of
from tests.house import House, hang_up, house, settled
from tests.patience import PATIENCE, until
from tests.widget import Refused, accept, agent_widget, consumer_widget, ring

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
COLLECTOR = "http://127.0.0.1:9"
FACTS = {"switchboard.message", "switchboard.code"}


def path(spans: Sequence[ReadableSpan], span: ReadableSpan) -> list[str]:
    """The names from the beginning of its trace to a span; of what never ended, a question mark."""
    by_id = {each.context.span_id: each for each in spans if each.context is not None}
    names = [span.name]
    while span.parent is not None:
        if (parent := by_id.get(span.parent.span_id)) is None:
            return ["?", *names]
        assert parent.context is not None
        assert span.context is not None
        assert parent.context.trace_id == span.context.trace_id
        span = parent
        names.insert(0, span.name)
    return names


async def test_a_message_is_followed_from_the_gateway_to_the_ledger(tmp_path: Path) -> None:
    kept = InMemorySpanExporter()
    traces = OpenTelemetry("all", SimpleSpanProcessor(kept))
    async with house(tmp_path, standbys=1, traces=traces) as running:
        origin = await running.gateway("one")
        consumer = await consumer_widget(origin, "eng")
        agent = await agent_widget(origin, "eng")
        await ring(agent, consumer)
        await accept(consumer)
        await agent.expect("roster.changed")
        await agent.request("media.mode", mode="voice")
        with pytest.raises(Refused):
            await consumer.request("guest.invite")

        def said() -> list[ReadableSpan]:
            return [each for each in kept.get_finished_spans() if each.kind.name == "SERVER"]

        await until(lambda: "journal.append" in {each.name for each in said()}, "the spans")
        await agent.request("session.end")
        await hang_up(agent, consumer)
    spans = kept.get_finished_spans()
    paths = [path(spans, each) for each in spans]
    assert ["connection.hello"] in paths
    assert ["session.start", "session.open", "session.open"] in paths
    assert ["session.take", "trunk.hello", "session.attach"] in paths
    assert ["widget.message", "session.request", "journal.append", "journal.append"] in paths
    requests = [each for each in spans if each.name == "session.request"]
    told = {each.attributes["switchboard.message"]: each for each in requests if each.attributes}
    assert {"media.mode", "guest.invite"} <= told.keys()
    assert told["media.mode"].status.is_ok
    assert (told["guest.invite"].attributes or {})["switchboard.code"] == "not_permitted"
    facts = {name for each in spans for name in each.attributes or {}}
    assert facts <= FACTS, "no id of anybody"


async def test_a_move_is_followed_to_the_next_session_actor(tmp_path: Path) -> None:
    kept = InMemorySpanExporter()
    traces = OpenTelemetry("all", SimpleSpanProcessor(kept))
    async with house(tmp_path, standbys=0, traces=traces) as running:
        actors = [await running.standby() for _ in range(2)]
        agent = await agent_widget(await running.gateway("one"), "eng")
        await agent.request("session.start", mode="video")
        await agent.expect("session.snapshot", epoch=1)
        (holder,) = [actor for actor in actors if actor.media_port]
        await holder.close()
        await agent.expect("session.snapshot", epoch=2)
        await agent.request("session.end")
        await hang_up(agent)
    spans = kept.get_finished_spans()
    paths = [path(spans, each) for each in spans]
    assert ["session.move", "session.takeover", "session.takeover"] in paths
    assert ["session.move", "trunk.hello", "session.attach"] in paths
    assert max(map(len, paths)) <= 5, "what comes later does not belong to what came before"


class Older(House):
    """Its session actors are of a release that cuts a trunk on which it is told of a trace."""

    def config(self) -> SessionConfig:
        return replace(super().config(), traces=None)


async def test_a_session_actor_that_knows_no_traces_is_not_told_of_any(tmp_path: Path) -> None:
    kept = InMemorySpanExporter()
    traces = OpenTelemetry("all", SimpleSpanProcessor(kept))
    async with settled(tmp_path, lambda stack: Older(stack, traces=traces)) as running:
        await running.standby()
        await talk(await running.gateway("one"))
    names = {each.name for each in kept.get_finished_spans()}
    assert {"connection.hello", "session.start"} <= names
    assert not names & {"widget.message", "session.request", "session.attach"}


async def test_a_trace_that_is_not_kept_is_nobody_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    kept = InMemorySpanExporter()
    traces = OpenTelemetry("gateway", SimpleSpanProcessor(kept))
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_on")
    others = OpenTelemetry("others", SimpleSpanProcessor(kept))

    class Mixed(House):
        def config(self) -> SessionConfig:
            return replace(super().config(), traces=others)

    async with settled(tmp_path, lambda stack: Mixed(stack, traces=traces)) as running:
        await running.standby()
        await talk(await running.gateway("one"))
    assert kept.get_finished_spans() == ()


async def talk(origin: str) -> None:
    """A start, a change, an end."""
    agent = await agent_widget(origin, "eng")
    await agent.request("session.start", mode="video")
    await agent.expect("session.snapshot")
    await agent.request("media.mode", mode="voice")
    await agent.request("session.end")
    await hang_up(agent)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {ENDPOINT: COLLECTOR, "OTEL_SDK_DISABLED": "true"},
        {ENDPOINT: COLLECTOR, "OTEL_TRACES_EXPORTER": "none"},
        {ENDPOINT: COLLECTOR, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ],
)
def test_without_being_asked_for_there_are_none(environment: dict[str, str]) -> None:
    assert traces_of("gateway", environment) is None


@pytest.mark.parametrize(
    ("named", "exports"), [("otlp,console", True), ("console, otlp", True), ("jaeger", False)]
)
def test_an_exporter_that_is_not_ours_is_left_out_and_said(
    named: str, exports: bool, caplog: pytest.LogCaptureFixture
) -> None:
    traces = traces_of("gateway", {ENDPOINT: COLLECTOR, "OTEL_TRACES_EXPORTER": named})
    assert (traces is not None) is exports
    if traces is not None:
        traces.close()
    [said] = [each for each in caplog.records if each.message == "traces go nowhere but by otlp"]
    assert said.__dict__["left_out"] == sorted({"console", "jaeger"} & set(named.split(",")))


@pytest.mark.parametrize("told", [{ENDPOINT: COLLECTOR}, {"OTEL_TRACES_EXPORTER": "otlp"}])
def test_the_standard_variables_ask_for_them(told: dict[str, str]) -> None:
    traces = traces_of("gateway", told)
    assert isinstance(traces, OpenTelemetry)
    traces.close()


def test_what_is_left_is_given_to_the_collector_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    came: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        serving = threading.Thread(target=server.handle_request, daemon=True)
        serving.start()
        for name, value in {
            ENDPOINT: f"http://127.0.0.1:{server.server_port}",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
            "NO_PROXY": "127.0.0.1",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(tracing, "LAST_S", 10 * PATIENCE)
        traces = traces_of("gateway")
        assert traces is not None
        traces.begin("widget.message", "server").end("not_permitted")
        traces.close()
        serving.join(10 * PATIENCE)
    ((where, told),) = came
    assert where == "/v1/traces"
    assert all(word in told for word in (b"widget.message", b"gateway", b"not_permitted"))


def test_a_collector_that_does_not_answer_holds_up_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    answers, closed = threading.Event(), threading.Event()

    class Stuck(SpanProcessor):
        def shutdown(self) -> None:
            answers.wait(10 * PATIENCE)
            closed.set()

    monkeypatch.setattr(tracing, "LAST_S", 0.05)
    OpenTelemetry("gateway", Stuck()).close()
    assert not closed.is_set()
    answers.set()
    assert closed.wait(10 * PATIENCE)


def test_a_process_without_them_loads_nothing_of_them() -> None:
    text = (
        "import sys, gateway.compose.session_host as host, gateway.tracing as tracing\n"
        "assert tracing.traces_of('session', {}) is None\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
