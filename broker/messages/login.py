"""Gateway to an agent's frame on `/v1/login`: what comes of a login. The frame says nothing.

A WebSocket of its own, before there is any token; the same subprotocol, no envelope.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from broker.errors import ErrorCode
from broker.messages.parts import Part


class LoginCode(Part):
    """A login began: open the page, and show the code, which the page will show too."""

    type: Literal["login.code"] = "login.code"
    code: str
    """Six letters and digits; the agent compares them."""
    url: str
    """The page to open, good for ten minutes."""


class LoginDone(Part):
    """The page said who this is; the gateway closes with 1000."""

    type: Literal["login.done"] = "login.done"
    token: str
    """An agent token (JWT), for the hello."""
    expires_in_s: int


class LoginRefused(Part):
    """There is no login here; the gateway closes with the code of the refusal."""

    type: Literal["login.refused"] = "login.refused"
    code: ErrorCode
    detail: str
    """One sentence for people."""
    retryable: bool


LoginMessage = Annotated[LoginCode | LoginDone | LoginRefused, Field(discriminator="type")]
LOGIN_MESSAGES: tuple[type[Part], ...] = get_args(get_args(LoginMessage)[0])
