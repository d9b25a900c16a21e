"""People made of messages: an agent, a consumer and guests who use Switchboard's public edge.

They know what a widget knows and nothing else: the addresses of a gateway and the wire.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import orjson

from benchmarks.arrivals import REFUSED
from benchmarks.websocket import WebSocket, connect
from broker.messages import PROTOCOL_REVISION, SUBPROTOCOL

ANSWER_SECONDS = 20.0
ROSTER = "roster.changed"
PING_SECONDS = 8.0
PATIENCE = 30
"""How often a retryable refusal is tried again while a call is set up."""
DEMO = "demo"
"""The account of a demo."""
ACCOUNT_VARIABLE, KEY_FILE_VARIABLE = "SWITCHBOARD_BENCH_ACCOUNT", "SWITCHBOARD_BENCH_API_KEY_FILE"
TOKENS = "/v1/tokens"
Message = dict[str, object]
SILENCE = (TimeoutError, OSError, httpx.HTTPError)
"""How it shows that no answer came."""
KEPT_TOO_LONG = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
"""How it shows that the server closed a connection just as it was used again. A browser asks again
by itself when no byte of an answer came, and so a load does, once."""


class Refused(RuntimeError):
    """The broker refused what a participant of the load asked for."""

    def __init__(self, sentence: str, *, code: str = "", retryable: bool = False) -> None:
        super().__init__(sentence)
        self.code = code
        """The broker's word for why; empty when it had none."""
        self.retryable = retryable

    @property
    def kind(self) -> str:
        """The name under which a load counts it."""
        return f"{REFUSED}, {self.code or 'without a code'}"


@dataclass(frozen=True, slots=True)
class Edge:
    """Where a gateway is, and how tokens are asked for.

    A demo gives agents their tokens; elsewhere an API key does, as for a brand's backend.
    """

    origin: str
    http: httpx.AsyncClient
    account_id: str = DEMO
    api_key: str | None = None

    @classmethod
    def at(cls, origin: str, http: httpx.AsyncClient) -> Edge:
        """Take account and key from the environment of the load's process."""
        file = os.environ.get(KEY_FILE_VARIABLE)
        key = None if file is None else Path(file).read_text(encoding="utf-8").strip()
        return cls(origin, http, os.environ.get(ACCOUNT_VARIABLE, DEMO), key)

    @property
    def socket_url(self) -> str:
        parts = urlsplit(self.origin)
        return f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}/v1/connect"

    async def token(self, path: str, body: Message) -> str:
        """Ask for a token, again after a while when there were too many requests.

        Raises:
            Refused: any other status than success.
        """
        headers = {}
        if self.api_key is not None and path == TOKENS:
            headers["Authorization"] = f"Bearer {self.api_key}"
        while True:
            try:
                answer = await self.http.post(self.origin + path, json=body, headers=headers)
            except KEPT_TOO_LONG:
                answer = await self.http.post(self.origin + path, json=body, headers=headers)
            if answer.status_code == 429:
                await asyncio.sleep(0.5)
                continue
            if answer.status_code >= 400:
                raise Refused(
                    f"{path}: {answer.status_code} {answer.text[:200]}",
                    code=str(answer.status_code),
                )
            return str(answer.json()["token"])

    async def agent_token(self, agent_id: str, name: str) -> str:
        """Get a token for one of the account's agents."""
        who: Message = {"agent_id": agent_id, "name": name}
        if self.api_key is None:
            return await self.token("/demo/agent-token", {"account_id": self.account_id, **who})
        return await self.token(TOKENS, {"kind": "agent", **who})


class Participant:
    """One widget's connection. `on_message` sees each message with its time of arrival."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._next = 0
        self._replies: dict[str, asyncio.Future[Message]] = {}
        self._waiters: list[tuple[Callable[[Message], bool], asyncio.Future[Message]]] = []
        self._seen: list[Message] = []
        self.on_raw: Callable[[bytes, float], bool] | None = None
        """Gets every message unread; True when it needs nobody else."""
        self.participant_id = ""
        socket.on_text = self._on_text
        self._pings = asyncio.get_running_loop().create_task(self._ping())

    @classmethod
    async def hello(cls, edge: Edge, fields: Message) -> Participant:
        """Connect and be welcomed."""
        socket = await connect(edge.socket_url, subprotocol=SUBPROTOCOL, origin=edge.origin)
        participant = cls(socket)
        try:
            await participant.ask(
                {"type": "connection.hello", "revision": PROTOCOL_REVISION, **fields}
            )
        except BaseException:
            participant.close()
            raise
        return participant

    def send(self, message: bytes) -> None:
        """Send a message that is JSON already."""
        self._socket.send(message)

    async def ask(self, message: Message) -> Message:
        """Send a request and wait for its reply.

        Raises:
            Refused: it was refused.
            TimeoutError: no answer came.
        """
        self._next += 1
        name = f"a{self._next}"
        reply: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._replies[name] = reply
        self._socket.send(orjson.dumps({**message, "id": name}))
        async with asyncio.timeout(ANSWER_SECONDS):
            await asyncio.wait((reply, self._socket.closed), return_when=asyncio.FIRST_COMPLETED)
        if not reply.done():
            code = self._socket.closed.result()
            raise Refused(f"{message['type']}: closed with {code}", code=str(code))
        answer = reply.result()
        if answer["type"] == "request.refused":
            raise Refused(
                f"{message['type']}: {answer['code']}: {answer['message']}",
                code=str(answer["code"]),
                retryable=bool(answer["retryable"]),
            )
        return answer

    async def ask_patiently(self, message: Message) -> Message:
        """Ask again while the refusal says that this may help; for setting up, not for measuring.

        Raises:
            Refused: it was refused for good, or for too long.
        """
        for _ in range(PATIENCE):
            try:
                return await self.ask(message)
            except Refused as refusal:
                if not refusal.retryable:
                    raise
                await asyncio.sleep(0.5)
        return await self.ask(message)

    async def until(self, condition: Callable[[Message], bool], what: str) -> Message:
        """Wait for a message, among those that came already or later, and return it.

        Raises:
            TimeoutError: it did not come.
        """
        for index, message in enumerate(self._seen):
            if condition(message):
                del self._seen[: index + 1]
                return message
        waiter: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiters.append((condition, waiter))
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await waiter
        except TimeoutError:
            raise TimeoutError(f"{what} did not come within {ANSWER_SECONDS:.0f} s") from None

    async def snapshot(self) -> Message:
        """Wait for the session as this participant sees it."""
        message = await self.until(lambda m: m["type"] == "session.snapshot", "the snapshot")
        self.participant_id = str(message["participant_id"])
        return message

    def close(self) -> None:
        """Leave without a word, as a closed tab does. Idempotent."""
        self._pings.cancel()
        self._socket.close()

    def _on_text(self, text: bytes) -> None:
        if self.on_raw is not None and self.on_raw(text, time.monotonic()):
            return
        message: Message = orjson.loads(text)
        reply = self._replies.pop(str(message.get("reply_to")), None)
        if reply is not None and not reply.done():
            reply.set_result(message)
        for entry in self._waiters:
            if entry[0](message):
                self._waiters.remove(entry)
                if not entry[1].done():
                    entry[1].set_result(message)
                return
        if message["type"] == ROSTER and self._seen and self._seen[-1]["type"] == ROSTER:
            # While a session of 200 fills up, old rosters alone would be gigabytes.
            self._seen.pop()
        self._seen.append(message)
        del self._seen[:-64]

    async def _ping(self) -> None:
        with suppress(asyncio.CancelledError):
            while True:
                await asyncio.sleep(PING_SECONDS)
                self._socket.send(b'{"type":"connection.ping"}')


async def agent(edge: Edge, engagement: str, agent_id: str = "7") -> Participant:
    """Connect an agent's widget on an engagement."""
    token = await edge.agent_token(agent_id, "Bench Agent")
    ids = {
        "account_id": edge.account_id,
        "rt_session_id": engagement,
        "agent_id": agent_id,
        "chatting_agent_id": agent_id,
    }
    return await Participant.hello(
        edge, {"token": token, "surface": "agent_frame", "engagement": ids}
    )


async def consumer(edge: Edge, engagement: str) -> Participant:
    """Connect a consumer's widget that waits to be rung."""
    ids = {"account_id": edge.account_id, "window_session_id": engagement}
    token = await edge.token("/v1/waiting", {"engagement": ids})
    return await Participant.hello(
        edge,
        {
            "token": token,
            "surface": "launcher",
            "engagement": ids,
            "claim_secret": secrets.token_hex(16),
        },
    )


async def guest(edge: Edge, inviter: Participant, name: str) -> Participant:
    """Make a guest link and join by it."""
    link = await inviter.ask_patiently({"type": "guest.invite", "name": name})
    invited = link
    if link["type"] != "guest.invited":
        invited = await inviter.until(lambda m: m["type"] == "guest.invited", "the guest link")
    code = str(invited["url"]).split("#", 1)[1]
    token = await edge.token("/v1/guest", {"code": code, "name": name})
    joined = await Participant.hello(edge, {"token": token, "surface": "guest_page", "name": name})
    seen = await joined.snapshot()
    if seen["attendance"] == "lobby":
        await inviter.ask_patiently(
            {"type": "participant.admit", "participant_id": joined.participant_id}
        )
    return joined


@dataclass(slots=True)
class Call:
    """A session with everybody in it. `end` ends it for all."""

    engagement: str
    people: list[Participant]
    """The agent first, then the consumer, then guests."""

    async def end(self) -> None:
        try:
            await self.people[0].ask({"type": "session.end"})
        finally:
            for person in self.people:
                person.close()


async def call(edge: Edge, size: int) -> Call:
    """Set a session up: an agent starts, a consumer accepts, guests join until `size` are in."""
    engagement = f"bench-{secrets.token_hex(8)}"
    waiting = await consumer(edge, engagement)
    caller = await agent(edge, engagement)
    await caller.ask_patiently({"type": "session.start", "mode": "video"})
    await caller.snapshot()
    ring = await waiting.snapshot()
    invitation = ring["invitation"]
    assert isinstance(invitation, dict), "the consumer's snapshot carries no invitation"
    await waiting.ask_patiently(
        {
            "type": "invitation.accept",
            "invitation_id": invitation["invitation_id"],
            "mode": "video",
        }
    )
    people = [caller, waiting]
    for number in range(size - 2):
        people.append(await guest(edge, caller, f"Guest {number + 1}"))
    return Call(engagement, people)
