"""Run apps under uvicorn on sockets that we bound, and stop them politely."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from gateway.connections.switchroom import Switchroom
from gateway.connections.websocket_protocol import WebSocketProtocol
from gateway.settings import BadSettings, Settings, is_loopback

BACKLOG = 2_048
KEEP_ALIVE_S = 75
"""How long a proxy may keep an idle connection, to send the next request into it. It must be the
proxy that closes it: a request that crosses with our closing is an error at somebody's screen."""
BROWSER_KEEP_ALIVE_S = 5
"""The same without a proxy: browsers come from so many places, and each holds descriptors."""
MAX_WEBSOCKET_BYTES = 1024 * 1024
"""Above this uvicorn itself closes with 1009; up to here we refuse with a code of ours."""


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: our command owns the process's signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class EdgeServer:
    """One app on listening sockets.

    Its owner runs `run` as a task and calls `stop`; the sockets are closed with it. `started` is
    set once requests are answered.
    """

    def __init__(
        self,
        app: FastAPI,
        sockets: Sequence[socket.socket],
        *,
        trusted_proxies: Sequence[str] = (),
        stop_bound_s: float = 5.0,
    ) -> None:
        self._sockets = list(sockets)
        self._room: Switchroom | None = getattr(app.state, "switchroom", None)
        self.started = asyncio.Event()
        config = uvicorn.Config(
            app,
            lifespan="on",
            ws=WebSocketProtocol,
            ws_max_size=MAX_WEBSOCKET_BYTES,
            # Liveness is our own heartbeat; compression costs more than it saves on a trunk.
            ws_ping_interval=None,
            ws_per_message_deflate=False,
            access_log=False,
            log_config=None,
            server_header=False,
            backlog=BACKLOG,
            proxy_headers=bool(trusted_proxies),
            forwarded_allow_ips=list(trusted_proxies),
            timeout_keep_alive=KEEP_ALIVE_S if trusted_proxies else BROWSER_KEEP_ALIVE_S,
            timeout_graceful_shutdown=max(1, round(stop_bound_s)),
            callback_notify=self._on_notify,
        )
        self._server = _Server(config)
        self._server_task: asyncio.Task[None] | None = None

    @property
    def ports(self) -> list[int]:
        """The ports listened on."""
        return [int(each.getsockname()[1]) for each in self._sockets]

    async def run(self) -> None:
        """Serve until `stop`, or until cancelled."""
        task = asyncio.create_task(self._serve())
        self._server_task = task
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Readiness off, 1001 to widgets, a bounded wait, then close. Harmless when stopped."""
        if self._room is not None and not self._room.stopping:
            await self._room.stop()
        self._server.should_exit = True
        if self._server_task is not None:
            await asyncio.wait((self._server_task,))

    async def _serve(self) -> None:
        try:
            await self._server.serve(sockets=self._sockets)
        finally:
            for each in self._sockets:
                each.close()

    async def _on_notify(self) -> None:
        self.started.set()


def bind(host: str, port: int) -> socket.socket:
    """Bind and listen on a TCP port.

    Raises:
        BadSettings: it is taken, or not ours to take, in one sentence with what to do.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        match error.errno:
            case errno.EADDRINUSE:
                why = f"Port {port} is in use; stop what listens there, or choose another port."
            case errno.EACCES:
                why = f"Port {port} needs more rights; choose a port above 1023."
            case errno.EADDRNOTAVAIL:
                why = f"{host} is no address of this machine; choose another address to bind."
            case _:
                why = f"{host}:{port} cannot be listened on ({error.strerror})."
        raise BadSettings(why) from error
    except OverflowError:
        listening.close()
        raise BadSettings(f"{port} is no port; choose one from 1 to 65535.") from None
    return listening


def gateway_server(
    settings: Settings, app: FastAPI, sockets: Sequence[socket.socket]
) -> EdgeServer:
    """Put a gateway's app on its sockets.

    Raises:
        BadSettings: a demo on an address that others can reach.
    """
    if settings.demo is not None:
        for each in sockets:
            host = str(each.getsockname()[0])
            if not is_loopback(host):
                raise BadSettings(
                    f"Demo mode mints tokens for anybody, so it binds loopback only, not {host}."
                )
    return EdgeServer(
        app,
        sockets,
        trusted_proxies=settings.trusted_proxies,
        stop_bound_s=settings.limits.stop_bound_s,
    )
