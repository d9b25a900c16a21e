"""Logins under way: a frame waits on its WebSocket, a top-level page proves who sits there.

Frames lose cookies, so the login happens in a page of its own. A one-time code, shown by both,
tells the agent that it is their own frame that will be logged in; the page's cookie ties
LivePerson's answer to the browser that was shown the code. The two may be at different gateways.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable

from cryptography.fernet import Fernet, InvalidToken
from pydantic import ValidationError

from broker.crowd import Crowd
from broker.errors import ErrorCode, NotFound, TooFast
from broker.keys import KeyPurpose, derive_key
from broker.messages.cluster.base import ClusterMessage, Done
from broker.messages.sharing import LoginHand
from gateway.links.directory import Directory

FLOW_S = 600
MOST_WAITING = 2_000
FROM_ONE = 200
"""Frames of one address, a whole office perhaps, that wait at one time."""
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Without those that are mistaken for one another."""


class Flow(ClusterMessage):
    """One login under way, sealed into the address of its page."""

    flow_id: str
    account_id: str
    code: str


class LoginFlows:
    """The frames that wait at this gateway, and the way to those that wait at others."""

    def __init__(self, secret: bytes, clock: Callable[[], float], directory: Directory) -> None:
        self._seal = Fernet(base64.urlsafe_b64encode(derive_key(secret, KeyPurpose.LOGIN)))
        self._clock = clock
        self._directory = directory
        self._waiting: dict[str, asyncio.Future[str]] = {}
        self._crowd: Crowd[str] = Crowd(MOST_WAITING, FROM_ONE)

    @property
    def waiting(self) -> int:
        """How many frames wait at this gateway."""
        return len(self._waiting)

    def begin(self, account_id: str, address: str) -> tuple[Flow, str]:
        """Begin a login; returns it, and as its page's address holds it. Raises TooFast."""
        if not self._crowd.has_room(address):
            raise _too_many()
        displaced = self._crowd.gives_way(address)
        if displaced is not None:
            self._displace(displaced)
        code = "".join(secrets.choice(_LETTERS) for _ in range(6))
        flow = Flow(flow_id=secrets.token_urlsafe(12), account_id=account_id, code=code)
        sealed = self._seal.encrypt_at_time(flow.to_bytes(), int(self._clock())).decode("ascii")
        self._crowd.add(flow.flow_id, address)
        self._waiting[flow.flow_id] = asyncio.get_running_loop().create_future()
        return flow, sealed

    async def wait(self, flow: Flow) -> str:
        """Wait for the token.

        Raises:
            TimeoutError: nobody logged in.
            TooFast: its place was given to another address.
        """
        try:
            async with asyncio.timeout(FLOW_S):
                waiting = self._waiting.get(flow.flow_id)
                if waiting is None:
                    raise _too_many()
                return await waiting
        finally:
            self.forget(flow)

    def forget(self, flow: Flow) -> None:
        """Nobody waits any more; harmless when nobody did."""
        self._crowd.discard(flow.flow_id)
        self._waiting.pop(flow.flow_id, None)

    def open(self, sealed: str) -> Flow:
        """Read what a page's address or cookie holds. Raises NotFound: not ours, or too old."""
        try:
            data = self._seal.decrypt_at_time(sealed.encode("ascii"), FLOW_S, int(self._clock()))
            return Flow.model_validate_json(data)
        except (InvalidToken, UnicodeEncodeError, ValidationError):
            raise NotFound(
                ErrorCode.UNKNOWN_ENTRY, "This login is not under way; begin again."
            ) from None

    async def hand(self, flow: Flow, token: str) -> None:
        """Give the token to the frame that waits, here or at another gateway."""
        if self._give(flow.flow_id, token):
            return
        sealed = self._seal.encrypt(token.encode()).decode("ascii")
        await self._directory.ask(LoginHand(flow_id=flow.flow_id, sealed=sealed), Done)

    def on_handed(self, hand: LoginHand) -> None:
        """A token came from another gateway."""
        if hand.flow_id in self._waiting:
            try:
                self._give(hand.flow_id, self._seal.decrypt(hand.sealed.encode()).decode())
            except InvalidToken:
                return

    def _displace(self, flow_id: str) -> None:
        self._crowd.discard(flow_id)
        waiting = self._waiting.pop(flow_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_exception(_too_many())
            # Told to whoever waits; perhaps nobody does yet.
            waiting.exception()

    def _give(self, flow_id: str, token: str) -> bool:
        waiting = self._waiting.get(flow_id)
        if waiting is None or waiting.done():
            return False
        waiting.set_result(token)
        return True


def _too_many() -> TooFast:
    return TooFast(ErrorCode.RATE_LIMITED, "Too many logins are under way.")


def state_of(sealed: str) -> str:
    """What LivePerson carries through a login: worth nothing without the page's cookie."""
    return hashlib.sha256(sealed.encode()).hexdigest()[:32]


def same_state(sealed: str, state: str) -> bool:
    """Whether LivePerson's answer belongs to the login of this browser."""
    return hmac.compare_digest(state_of(sealed).encode(), state.encode())
