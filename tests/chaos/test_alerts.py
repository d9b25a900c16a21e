"""Each fault moves the metric that its alert watches, and the alert fires; no other one does.

The rules are those of `deploy/`, evaluated on what real gateways export; the time between two
scrapes is Prometheus' and passes at once.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import shutil
import signal
import socket
from collections import defaultdict
from collections.abc import Callable

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from broker.errors import Unavailable
from broker.messages.cluster.records import RecordPage, RecordQuery
from tests.chaos.conftest import GATEWAYS, STANDBYS
from tests.chaos.street import WAIT_S, Street, signalled
from tests.ledger import postgres
from tests.operations.promql import Query, Scrape, Vector
from tests.operations.test_metrics import rules
from tests.patience import PATIENCE
from tests.ports import media_ports
from tests.widget import Refused, Widget, agent_widget, consumer_widget

SCRAPE_S = 15.0
FLOOD, FLOOD_BYTES = 200, 60_000
"""Datagrams: three times what a socket's buffer holds, and sent before a gateway misses a beat."""
LATE_S = 1.5
SLOW, LATE = "SwitchboardLedgerSlow", "SwitchboardActorsLate"
BY_LOAD = frozenset({SLOW, LATE})
"""What a machine with too much to do brings about in a sound deployment, and is right to."""
SURFACES = 11
"""Connections of one consumer who is rung: each takeover moves them all."""


def seconds(text: str) -> float:
    """Read a duration such as `1m`."""
    match = re.fullmatch(r"(\d+)([smh])", text)
    assert match is not None, text
    return int(match[1]) * {"s": 1, "m": 60, "h": 3_600}[match[2]]


class Prometheus:
    """Scrapes the street's gateways, and knows which alerts fire."""

    def __init__(self, street: Street) -> None:
        self._street = street
        self._history: list[Scrape] = []
        self._since: dict[str, float] = {}
        self._queries = [
            (rule["alert"], Query(rule["expr"]), seconds(rule.get("for", "0s"))) for rule in rules()
        ]
        self._now_s = 0.0
        self.firing: set[str] = set()

    async def scrape(self) -> None:
        """Read every gateway once, a scrape later than the last time."""
        self._now_s += SCRAPE_S
        samples: dict[str, Vector] = defaultdict(dict)
        async with httpx.AsyncClient(trust_env=False, verify=False, timeout=5.0 * PATIENCE) as http:
            for name in GATEWAYS:
                target = {"job": "switchboard", "instance": name}
                try:
                    text = (await http.get(f"{self._street.parts[name].address}/metrics")).text
                except httpx.TransportError:
                    samples["up"][frozenset(target.items())] = 0.0
                    continue
                samples["up"][frozenset(target.items())] = 1.0
                for family in text_string_to_metric_families(text):
                    for one in family.samples:
                        labels = frozenset({**one.labels, **target}.items())
                        samples[one.name][labels] = one.value
        self._history.append(Scrape(self._now_s, samples))
        self.firing = set()
        for alert, query, for_s in self._queries:
            if not query.evaluate(self._history):
                self._since.pop(alert, None)
            elif self._now_s - self._since.setdefault(alert, self._now_s) >= for_s:
                self.firing.add(alert)

    async def watch(self, for_s: float, *, about: str = "") -> set[str]:
        """Scrape for so long; return what fires then, but of `BY_LOAD` only what this is about."""
        for _ in range(int(for_s / SCRAPE_S) + 1):
            await self.scrape()
        return self.firing - (BY_LOAD - {about})

    def value(self, metric: str, **labels: str) -> set[float]:
        """What the gateways that answer have shown last; of one of its series, if labels say so."""
        found = self._history[-1].samples.get(metric, {})
        return {value for of, value in found.items() if of >= set(labels.items())}

    async def until(self, metric: str, value: float, **labels: str) -> None:
        """Wait until every gateway that answers shows a value."""
        await self.waits(lambda: self.value(metric, **labels) == {value}, f"{metric} is {value}")

    async def grown(self, metric: str, **labels: str) -> None:
        """Wait until every gateway that answers shows more than it does now."""
        before = max(self.value(metric, **labels), default=0.0)
        await self.waits(
            lambda: min(self.value(metric, **labels), default=0.0) > before, f"more {metric}"
        )

    async def linked(self) -> None:
        """Wait until all who work for the ledger have their links."""
        for kind, links in (("keeper", 1), ("gateway", len(GATEWAYS)), ("pool", len(GATEWAYS))):
            await self.until("switchboard_ledger_links", links, kind=kind)

    async def waits(self, condition: Callable[[], bool], what: str) -> None:
        """Scrape until a condition holds."""
        try:
            async with asyncio.timeout(WAIT_S):
                while not condition():
                    await asyncio.sleep(0.02)
                    await self.scrape()
        except TimeoutError:
            raise AssertionError(f"In vain: {what}.") from None


@pytest.fixture
async def prometheus(street: Street) -> Prometheus:
    made = Prometheus(street)
    await made.scrape()
    await made.until("switchboard_standbys", STANDBYS)
    await made.linked()
    assert await made.watch(300.0) == set(), "nothing fires while nothing is wrong"
    return made


async def test_a_gateway_that_is_gone(street: Street, prometheus: Prometheus) -> None:
    street.parts[GATEWAYS[1]].kill()
    assert await prometheus.watch(30.0) == {"SwitchboardGatewayDown"}
    await street.gateway(GATEWAYS[1])
    assert await prometheus.watch(0.0) == set()


async def test_a_ledger_that_is_gone(street: Street, prometheus: Prometheus) -> None:
    street.parts["ledger"].kill()
    await prometheus.until("switchboard_gateway_ledger_up", 0.0)
    assert await prometheus.watch(60.0) == {"SwitchboardLedgerAway", "SwitchboardGatewayNotReady"}
    await street.ledger()
    await prometheus.until("switchboard_gateway_ledger_up", 1.0)
    await prometheus.linked()
    assert await prometheus.watch(0.0) == set()


async def test_standbys_that_are_gone_and_an_agent_who_waits(
    street: Street, prometheus: Prometheus
) -> None:
    for part in street.of("actor"):
        part.kill()
    await prometheus.until("switchboard_standbys", 0.0)
    assert await prometheus.watch(60.0) == {"SwitchboardNoStandbys"}
    agent = await agent_widget(street.parts[GATEWAYS[0]].address, "who waits")
    await agent.send("session.start", mode="video")
    await prometheus.until("switchboard_openings_waiting", 1.0)
    expected = {"SwitchboardNoStandbys", "SwitchboardOpeningsWaiting"}
    assert await prometheus.watch(30.0) == expected
    await street.actors(STANDBYS)
    await agent.expect("session.snapshot")
    await agent.insist("session.end")
    await agent.close()


async def test_actors_that_die_again_and_again(street: Street, prometheus: Prometheus) -> None:
    at = street.parts[GATEWAYS[0]].address
    surfaces = [await consumer_widget(at, "who is rung") for _ in range(SURFACES)]
    agent = await agent_widget(at, "who is rung")
    await agent.insist("session.start", mode="video")
    widgets = [agent, *surfaces]
    for epoch in (1, 2, 3):
        await asyncio.gather(*(hears(widget, epoch) for widget in widgets))
        if epoch < 3:
            street.holder().kill()
    assert await prometheus.watch(0.0) == {"SwitchboardSessionsMoving"}
    await agent.insist("session.end")
    for widget in widgets:
        await widget.close()


async def test_a_call_that_no_actor_can_go_on_with(street: Street, prometheus: Prometheus) -> None:
    await prometheus.until("switchboard_sessions_failed_total", 0.0)
    agent = await agent_widget(street.parts[GATEWAYS[0]].address, "who is out of luck")
    await agent.insist("session.start", mode="video")
    for epoch in (1, 2, 3, 4):
        await hears(agent, epoch)
        street.holder().kill()
    await agent.expect("session.ended", reason="takeover_exhausted")
    await prometheus.until("switchboard_sessions_failed_total", 1.0)
    assert await prometheus.watch(0.0) == {"SwitchboardSessionFailed"}
    await agent.close()


async def test_logs_that_nobody_removes(street: Street, prometheus: Prometheus) -> None:
    log = street.folder / "logs" / "worker-ab-01-7.err"
    log.parent.mkdir()
    log.touch()
    os.truncate(log, 3_000_000_000)  # a hole: it takes no room
    try:
        await prometheus.until("switchboard_ray_log_bytes", 3e9)
        assert await prometheus.watch(600.0) == {"SwitchboardRayLogs"}
    finally:
        shutil.rmtree(log.parent)
    await prometheus.until("switchboard_ray_log_bytes", 0.0)
    assert await prometheus.watch(0.0) == set()


async def hears(widget: Widget, epoch: int) -> None:
    await widget.expect("session.snapshot", epoch=epoch)


async def test_descriptors_that_run_out(street: Street, prometheus: Prometheus) -> None:
    gateway = street.parts[GATEWAYS[0]]
    crowd = [await consumer_widget(gateway.address, f"who waits {n}") for n in range(40)]
    before = gateway.process.rlimit(resource.RLIMIT_NOFILE)
    # A few are left, or it could not even be scraped.
    limit = round(gateway.process.num_fds() / 0.85)
    gateway.process.rlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        assert await prometheus.watch(120.0) == {"SwitchboardDescriptors"}
    finally:
        gateway.process.rlimit(resource.RLIMIT_NOFILE, before)
    assert await prometheus.watch(0.0) == set()
    for widget in crowd:
        await widget.close()


async def test_a_keeper_that_is_gone(street: Street, prometheus: Prometheus) -> None:
    street.parts["keeper"].kill()
    await prometheus.until("switchboard_ledger_links", 0.0, kind="keeper")
    assert await prometheus.watch(120.0) == {"SwitchboardPoolOrKeeperAway"}
    await street.keeper()
    await prometheus.linked()
    assert await prometheus.watch(0.0) == set()


async def test_accounts_that_cannot_be_taken_over(street: Street, prometheus: Prometheus) -> None:
    async def keeper_with(faults: int) -> None:
        await street.parts["keeper"].end()
        await street.keeper(account_faults=faults)
        await prometheus.until("switchboard_keeper_account_faults", faults)

    await keeper_with(1)
    try:
        assert await prometheus.watch(60.0) == set(), "a file may be written at this moment"
        assert await prometheus.watch(300.0) == {"SwitchboardAccountsWrong"}
    finally:
        await keeper_with(0)
    assert await prometheus.watch(0.0) == set()


async def test_a_database_that_is_gone(
    street: Street, prometheus: Prometheus, database: postgres.Server
) -> None:
    agent = await agent_widget(street.parts[GATEWAYS[0]].address, "who cannot begin")
    await asyncio.to_thread(database.crash)
    try:
        with pytest.raises(Refused):
            await agent.request("session.start", mode="video")
        errors = "switchboard_ledger_database_errors_total"
        await prometheus.grown(errors, during="write")
        assert await prometheus.watch(30.0) == set(), "once is no reason to act"
        async with street.link() as link:
            for _ in range(4):
                with pytest.raises(Unavailable):
                    await link.call(RecordQuery(), RecordPage, timeout=WAIT_S)
        await prometheus.grown(errors, during="read")
        assert await prometheus.watch(30.0) == {"SwitchboardDatabaseErrors"}
    finally:
        await asyncio.to_thread(database.start)
    await agent.insist("session.start", mode="video")
    await hears(agent, 1)
    await agent.insist("session.end")
    await agent.close()


async def test_a_database_that_is_slow(
    street: Street, prometheus: Prometheus, database: postgres.Server
) -> None:
    agent = await agent_widget(street.parts[GATEWAYS[0]].address, "who waits to be saved")
    await agent.insist("session.start", mode="video")
    await hears(agent, 1)
    frozen = database.processes()
    signalled(frozen, signal.SIGSTOP)
    try:
        await agent.send("guest.invite")
        await agent.expect("session.saving")
    finally:
        signalled(frozen, signal.SIGCONT)
    await prometheus.grown("switchboard_ledger_append_seconds_count")
    assert await prometheus.watch(60.0, about=SLOW) == {SLOW}
    await agent.insist("session.end")
    await agent.close()


async def test_media_that_is_not_read_in_time(street: Street, prometheus: Prometheus) -> None:
    agent = await agent_widget(street.parts[GATEWAYS[0]].address, "who is flooded")
    await agent.insist("session.start", mode="video")
    await hears(agent, 1)
    actor = street.holder()
    (media,) = media_ports([actor.process])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        actor.process.suspend()
        try:
            for _ in range(FLOOD):
                flood.sendto(bytes(FLOOD_BYTES), ("127.0.0.1", media))
        finally:
            actor.process.resume()
    # It says so once more when the session has ended.
    await agent.insist("session.end")
    dropped = "switchboard_relay_dropped_packets_total"
    await prometheus.grown(dropped, reason="kernel")
    assert await prometheus.watch(120.0) == {"SwitchboardRelayDrops"}
    await agent.close()


@pytest.mark.soak
async def test_actors_that_are_late(street: Street, prometheus: Prometheus) -> None:
    looks = "switchboard_actor_loop_late_seconds"

    def late() -> float:
        in_time = max(prometheus.value(f"{looks}_bucket", le="0.1"), default=0.0)
        return min(prometheus.value(f"{looks}_count"), default=0.0) - in_time

    async def held_up() -> None:
        before, actors = late(), [actor.process for actor in street.of("actor")]
        signalled(actors, signal.SIGSTOP)
        # Longer than from one look at the loop to the next, and shorter than a link waits.
        await asyncio.sleep(LATE_S)
        signalled(actors, signal.SIGCONT)
        await prometheus.waits(lambda: late() > before, "looks that came late")

    await held_up()
    assert await prometheus.watch(150.0, about=LATE) == set(), "once is no reason to act"
    await held_up()
    assert await prometheus.watch(150.0, about=LATE) == {LATE}


@pytest.mark.soak
async def test_requests_that_are_refused(street: Street, prometheus: Prometheus) -> None:
    async def refused(http: httpx.AsyncClient) -> None:
        assert (await http.get("/v1/sessions")).status_code == 401

    base = street.parts[GATEWAYS[0]].address
    for _ in range(2):
        # Anew each time: meanwhile a gateway closes what it kept open, maybe just as it is used.
        async with httpx.AsyncClient(
            base_url=base, trust_env=False, verify=False, timeout=WAIT_S
        ) as http:
            for _ in range(32):
                await asyncio.gather(*(refused(http) for _ in range(50)))
        await prometheus.watch(150.0)
    assert await prometheus.watch(0.0) == {"SwitchboardRefusals"}
