"""Who operates the deployment: a token of its own audience, which no account and no widget has."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from broker.errors import ErrorCode, Unauthenticated
from broker.messages.cluster.trunk import Principal
from broker.words import Role
from gateway.revocations import NO_ACCOUNT
from gateway.tokens import LEEWAY_S, Audience, Proof, Tokens

_BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="operatorToken",
    description="A token of `switchboard operator-token`.",
)
LONGEST_S = 24 * 3_600
REVOKED_S = LONGEST_S + LEEWAY_S
"""As long as that no token outlives its revocation."""
OPERATOR_ACCOUNT = "operator"
"""Stands for an account in the keys of repeated requests; the operations are named apart."""


def operator_token(tokens: Tokens, name: str, life_s: int) -> str:
    """Mint an operator's token. `name` stands in the log beside what is done with it."""
    who = Principal(role=Role.SUPERVISOR, account_id=NO_ACCOUNT, name=name, verified=True)
    return tokens.mint(Audience.OPERATOR, who, min(life_s, LONGEST_S))


async def calling_operator(
    request: Request,
    given: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
) -> Proof:
    """Find who calls, by the operator's token of the request."""
    if given is None:
        raise Unauthenticated(ErrorCode.TOKEN_MISSING, "No operator's token was given.")
    tokens: Tokens = request.app.state.switchroom.tokens
    return tokens.read(given.credentials, Audience.OPERATOR)


Operator = Annotated[Proof, Depends(calling_operator)]
