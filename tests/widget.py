"""A widget without a browser: speaks the wire over a real WebSocket and remembers what it heard."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tests.patience import PATIENCE

Message = dict[str, Any]
WAIT_S = 10.0 * PATIENCE
CONNECT_S = 3 * WAIT_S
"""A hundred connect at once in some tests."""
TAKEN_S = 60.0 * PATIENCE
"""How long somebody insists; a dead node's sessions are elsewhere after 14 s."""
AGAIN_S = 0.05
CLAIM = "a consumer's own secret"


Answer = TypeVar("Answer")


class Refused(Exception):
    """The broker refused a request."""

    def __init__(self, message: Message) -> None:
        super().__init__(message["code"], message["message"])
        self.code: str = message["code"]
        self.retryable: bool = message["retryable"]


class Widget:
    """One connection. `expect` waits for a message; nothing is ever slept for."""

    def __init__(self, connection: ClientConnection) -> None:
        self._socket = connection
        self._numbers = itertools.count(1)
        # As a page does: what a person asked on an earlier connection is remembered by its id.
        self._prefix = secrets.token_hex(4)
        self._changed = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())
        self.heard: list[Message] = []
        self.closed: int | None = None

    @classmethod
    async def dial(
        cls, origin: str, *, page: str | None = None, sock: socket.socket | None = None
    ) -> Widget:
        """Connect without a word, from a page of the gateway's own origin or another.

        `sock` is a connection to the gateway that is there already.
        """
        connection = await connect(
            origin.replace("http", "ws", 1) + "/v1/connect",
            origin=page or origin,  # type: ignore[arg-type]
            subprotocols=["switchboard.v1"],  # type: ignore[list-item]
            max_size=None,
            open_timeout=CONNECT_S,
            sock=sock,
            # Else the environment is read for one each time.
            proxy=None,
        )
        return cls(connection)

    async def send(self, type_: str, **fields: Any) -> str:
        """Send a message with a fresh id; returns the id."""
        request_id = fields.pop("id", f"{self._prefix}.{next(self._numbers)}")
        await self._socket.send(json.dumps({"type": type_, "id": request_id, **fields}))
        return str(request_id)

    async def send_raw(self, data: str | bytes) -> None:
        """Send anything."""
        await self._socket.send(data)

    async def tell(self, type_: str, **fields: Any) -> None:
        """Send a message that carries no id."""
        await self._socket.send(json.dumps({"type": type_, **fields}))

    async def request(self, type_: str, *, limit_s: float = WAIT_S, **fields: Any) -> Message:
        """Send and wait for the reply. Raises Refused."""
        before = len(self.heard)
        request_id = await self.send(type_, **fields)
        reply = await self.expect(reply_to=request_id, after=before, limit_s=limit_s)
        if reply["type"] == "request.refused":
            raise Refused(reply)
        return reply

    async def insist(self, type_: str, **fields: Any) -> Message:
        """Request, again while it is refused as retryable, each time as a request of its own."""
        return await insisted(lambda: self.request(type_, **fields))

    async def expect(
        self, type_: str | None = None, *, after: int = 0, limit_s: float = WAIT_S, **fields: Any
    ) -> Message:
        """Wait for a message of this type whose fields equal these, heard at or after a place."""

        def found() -> Message | None:
            for message in self.heard[after:]:
                if type_ in (None, message["type"]) and all(
                    message.get(name) == value for name, value in fields.items()
                ):
                    return message
            return None

        try:
            async with asyncio.timeout(limit_s), self._changed:
                while (message := found()) is None:
                    assert self.closed is None, f"closed with {self.closed}; heard {self.types()}"
                    await self._changed.wait()
                return message
        except TimeoutError:
            raise AssertionError(f"no {type_} {fields}; heard {self.types()}") from None

    async def expect_close(self, limit_s: float = WAIT_S) -> int:
        """Wait for the broker to close; returns the code."""
        async with asyncio.timeout(limit_s), self._changed:
            while self.closed is None:
                await self._changed.wait()
        return self.closed

    def types(self) -> list[str]:
        """The types heard so far."""
        return [message["type"] for message in self.heard]

    async def close(self) -> None:
        """Hang up."""
        await self._socket.close()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self) -> None:
        try:
            async for data in self._socket:
                message = json.loads(data)
                async with self._changed:
                    self.heard.append(message)
                    self._changed.notify_all()
                if message["type"] == "connection.unheard":
                    # As a page does: who has nothing to say for long is there all the same.
                    await self.tell("connection.ping")
        finally:
            async with self._changed:
                self.closed = self._socket.close_code or 1006
                self._changed.notify_all()


Ask = Callable[..., Awaitable[Message]]
"""`Widget.request`, or `Widget.insist` where refusals may be for now."""


async def insisted(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask, again while it is refused as retryable.

    Raises:
        Refused: for good.
        TimeoutError: still after `TAKEN_S`.
    """
    async with asyncio.timeout(TAKEN_S):
        while True:
            try:
                return await ask()
            except Refused as refusal:
                if not refusal.retryable:
                    raise
            await asyncio.sleep(AGAIN_S)


async def ring(agent: Widget, consumer: Widget, ask: Ask = Widget.request) -> Message:
    """Start a session and wait until both have its snapshot; returns the consumer's."""
    await ask(agent, "session.start", mode="video")
    # A roster that changes later is not the snapshot's.
    await agent.expect("session.snapshot")
    return await consumer.expect("session.snapshot")


async def accept(consumer: Widget, *, mode: str = "video", ask: Ask = Widget.request) -> None:
    """Accept the invitation of the first snapshot."""
    invitation = (await consumer.expect("session.snapshot"))["invitation"]
    await ask(consumer, "invitation.accept", invitation_id=invitation["invitation_id"], mode=mode)


def plain_http(origin: str, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
    """A client for loopback; without TLS certificates, whose loading costs more than a request."""
    return httpx.AsyncClient(
        base_url=origin, headers=headers, verify=False, trust_env=False, timeout=WAIT_S
    )


async def agent_widget(
    origin: str,
    key: str,
    *,
    agent_id: str = "7",
    account_id: str = "demo",
    role: str = "agent",
    engagement: dict[str, Any] | None = None,
    **hello: Any,
) -> Widget:
    """An agent's or a supervisor's frame, greeted."""
    ids = {"account_id": account_id, "rt_session_id": key, "agent_id": agent_id}
    async with plain_http(origin) as http:
        answer = await http.post(
            "/demo/agent-token",
            json={
                "account_id": account_id,
                "agent_id": agent_id,
                "name": f"Agent {agent_id}",
                "role": role,
            },
        )
        token = answer.raise_for_status().json()["token"]
    widget = await Widget.dial(origin)
    await widget.request(
        "connection.hello",
        revision=1,
        token=token,
        surface="agent_frame",
        engagement={**ids, **(engagement or {})},
        **hello,
    )
    return widget


async def consumer_widget(
    origin: str,
    key: str,
    *,
    surface: str = "launcher",
    claim_secret: str = CLAIM,
    visible: bool = True,
    engagement: dict[str, Any] | None = None,
    sock: socket.socket | None = None,
) -> Widget:
    """A consumer's surface that waits, greeted; `sock` as for `Widget.dial`."""
    ids = {"account_id": "demo", "window_session_id": key, **(engagement or {})}
    async with plain_http(origin) as http:
        answer = await http.post("/v1/waiting", json={"engagement": ids})
        token = answer.raise_for_status().json()["token"]
    widget = await Widget.dial(origin, sock=sock)
    await widget.request(
        "connection.hello",
        revision=1,
        token=token,
        surface=surface,
        visible=visible,
        engagement=ids,
        claim_secret=claim_secret,
    )
    return widget


async def guest_widget(origin: str, url: str, name: str = "Gwen") -> Widget:
    """A guest who followed a link and pressed Join."""
    code = url.split("#")[1]
    async with plain_http(origin) as http:
        answer = await http.post("/v1/guest", json={"code": code, "name": name})
        token = answer.raise_for_status().json()["token"]
    widget = await Widget.dial(origin)
    await widget.request(
        "connection.hello", revision=1, token=token, surface="guest_page", name=name
    )
    return widget
