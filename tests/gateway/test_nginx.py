"""The nginx that is shipped, in front of gateways of two releases."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
import websockets
from fastapi import FastAPI
from websockets.typing import Origin, Subprotocol

from broker.messages import SUBPROTOCOL
from gateway.commands import probe
from gateway.serve import BROWSER_KEEP_ALIVE_S, KEEP_ALIVE_S, EdgeServer
from gateway.settings import Limits, Settings
from gateway.site.assets import Assets
from tests.gateway.conftest import ENGAGEMENT, Widget, World
from tests.ledger.certificates import make_certificate
from tests.patience import until
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "deploy" / "nginx" / "switchboard.conf"
RUNBOOK = ROOT / "docs" / "operations.md"
CHANNEL = ROOT / "widgets" / "channel" / "channel.js"


def program() -> str:
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    assert found is not None, "install Debian's nginx"
    return found


def written(folder: Path, gateways: list[int], port: int, certificate: Path, key: Path) -> Path:
    """Write the shipped file with the places of a test, and what nginx needs around it."""
    text = SHIPPED.read_text()
    servers = "".join(f"server 127.0.0.1:{each};\n" for each in gateways)
    for found, put in (
        (r"(?:    server 10\.\S+;\n)+", servers),
        (r"listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        (r"server_name video\.example\.com", "server_name localhost"),
        (r"/etc/nginx/video\.example\.com\.pem", str(certificate)),
        (r"/etc/nginx/video\.example\.com\.key", str(key)),
        (r"/var/cache/nginx/switchboard", str(folder / "cache")),
    ):
        text, count = re.subn(found, put, text)
        assert count == 1, found
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    made = folder / "nginx.conf"
    made.write_text(
        f"{'user root;' if os.getuid() == 0 else ''} daemon off;\n"
        f"pid {folder}/pid; error_log stderr warn; events {{}}\n"
        f"http {{ access_log off; {temporary} {text} }}\n"
    )
    return made


@dataclass
class Front:
    """nginx, and the gateways behind it."""

    origin: str
    trust: ssl.SSLContext
    gateways: list[World]

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.origin, verify=self.trust, trust_env=False)


@pytest.fixture
async def front(settings: Settings, tmp_path: Path) -> AsyncIterator[Front]:
    """Two gateways, the second of a later release, whose agent's page has other files."""
    port = free_port()
    origin = f"https://localhost:{port}"
    given = replace(settings, trusted_proxies=("127.0.0.1",), allowed_origins=(origin,))
    later = tmp_path / "later"
    shutil.copytree(settings.widgets, later)
    later.joinpath("entry", "agent.js").write_text("export const later = true;\n")
    certificate, key = make_certificate(tmp_path, "localhost")
    async with AsyncExitStack() as stack:
        worlds = [World(given), World(replace(given, widgets=later))]
        for world in worlds:
            await world.start()
            stack.push_async_callback(world.stop)
        made = written(tmp_path, [world.port for world in worlds], port, certificate, key)
        words = (program(), "-p", str(tmp_path), "-c", str(made))
        nginx = await asyncio.create_subprocess_exec(*words)
        try:
            await until(
                lambda: nginx.returncode is None and probe.answers_tcp("127.0.0.1", port, 0.1),
                "nginx listens",
                every=0.05,
            )
            yield Front(origin, ssl.create_default_context(cafile=certificate), worlds)
        finally:
            nginx.terminate()
            await nginx.wait()


async def files_of_a_page(http: httpx.AsyncClient) -> tuple[str, list[int]]:
    """Load the agent's page as a browser does; its revision, and each of its files' status."""
    page = (await http.get("/agent")).text
    paths = re.findall(r'"(/assets/[^"]+)"', page)
    statuses = [(await http.get(path)).status_code for path in paths]
    return paths[0].split("/")[2], statuses


async def test_pages_of_two_releases_find_their_files(front: Front) -> None:
    here, later = (Assets.read(world.settings.widgets).revision for world in front.gateways)
    async with front.http() as http:
        loaded = [await files_of_a_page(http) for _ in range(6)]
        assert {revision for revision, _ in loaded} == {here, later}
        assert {status for _, statuses in loaded for status in statuses} == {200}
        assert (await http.get(f"/assets/{'0' * 16}/entry/agent.js")).status_code == 404
        # What a gateway counts is shown to who reaches the gateway itself.
        assert (await http.get("/metrics")).status_code == 404
        async with front.gateways[0].http() as inside:
            assert (await inside.get("/metrics")).status_code == 200
        # The last gateway of the earlier release goes. A page of it is still open.
        await front.gateways[0].server.stop()
        kept = await http.get(f"/assets/{here}/entry/agent.js")
        assert (kept.status_code, kept.text) == (200, "export{};\n")
        for _ in range(3):
            assert (await files_of_a_page(http)) == (later, [200, 200])


async def test_a_widget_speaks_through_nginx_to_whichever_gateway(front: Front) -> None:
    for world in front.gateways:
        session = await world.session()
        world.ledger.live["eng-1"] = session.location
    for _ in front.gateways:
        socket = await websockets.connect(
            front.origin.replace("https", "wss") + "/v1/connect",
            ssl=front.trust,
            origin=Origin(front.origin),
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            proxy=None,
        )
        widget = Widget(socket)
        front.gateways[0].widgets.append(widget)
        token = front.gateways[0].agent_token()
        await widget.greet(token=token, surface="agent_frame", engagement=ENGAGEMENT)
        assert (await widget.until("session.snapshot"))["session_id"] == "s-1"
    open_now = [world.room.metrics.registry for world in front.gateways]
    counts = [each.get_sample_value("switchboard_gateway_connections") for each in open_now]
    assert counts == [1, 1]


def seconds(pattern: str, path: Path) -> float:
    """The one number that a file says there, in seconds."""
    (found,) = re.findall(pattern, path.read_text())
    return float(found.replace("_", ""))


def test_whoever_waits_waits_longer_than_the_other_is_silent() -> None:
    ping_s = seconds(r"const PING_MS = ([\d_]+);", CHANNEL) / 1_000
    silence_s = seconds(r"const SILENCE_MS = ([\d_]+);", CHANNEL) / 1_000
    said_s = seconds(r"idle time-out above (\d+) s", RUNBOOK)
    read_s = seconds(r"proxy_read_timeout (\d+)s;", SHIPPED)
    assert 2 * ping_s < silence_s < Limits().silent_s <= said_s < read_s
    # Idle connections to a gateway: the proxy closes them first.
    kept_s = seconds(r"\n    keepalive_timeout (\d+)s;", SHIPPED)
    assert kept_s < KEEP_ALIVE_S == seconds(r"for less than (\d+) s", RUNBOOK)
    given: tuple[tuple[tuple[str, ...], int], ...] = (
        ((), BROWSER_KEEP_ALIVE_S),
        (("10.0.2.5",), KEEP_ALIVE_S),
    )
    for proxies, expected in given:
        server = EdgeServer(FastAPI(), [], trusted_proxies=proxies)
        assert server._server.config.timeout_keep_alive == expected
