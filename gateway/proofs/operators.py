"""Who operates the deployment: a token of its own audience, which no account and no widget has."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import TypeAdapter, ValidationError

from broker.errors import ErrorCode, Unauthenticated
from broker.messages.cluster.trunk import Principal
from broker.messages.parts import Name
from broker.words import Role
from gateway.proofs.revocations import NO_ACCOUNT
from gateway.proofs.tokens import LEEWAY_S, Audience, Proof, Tokens

_BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="operatorToken",
    description="A token of `switchboard operator-token`.",
)
_NAME: TypeAdapter[str] = TypeAdapter(Name)
LONGEST_S = 24 * 3_600
REVOKED_S = LONGEST_S + LEEWAY_S
"""As long as that no token outlives its revocation."""
OPERATOR_ACCOUNT = "operator"
"""Stands for an account in the keys of repeated requests; the operations are named apart."""


def operator_token(tokens: Tokens, name: str, life_s: int) -> str:
    """Mint an operator's token. `name` stands in the log beside what is done with it.

    Raises:
        ValueError: it is no name by which the token could be revoked.
    """
    try:
        known_as = _NAME.validate_python(name)
    except ValidationError:
        raise ValueError("An operator's name has 1 to 80 characters.") from None
    who = Principal(role=Role.SUPERVISOR, account_id=NO_ACCOUNT, name=known_as, verified=True)
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
