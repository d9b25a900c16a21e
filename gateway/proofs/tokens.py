"""Proofs a widget carries: short-lived JWTs by audience, and the sealed resume token.

One fixed algorithm (HS256) and one key per audience, so a token can never be read as another
kind. Resume tokens are sealed (Fernet), because they hold an address of the cluster.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import jwt
from cryptography.fernet import Fernet, InvalidToken
from pydantic import ValidationError

from broker.errors import ErrorCode, Unauthenticated
from broker.keys import KeyPurpose, derive_key
from broker.messages.cluster.base import ClusterMessage
from broker.messages.cluster.trunk import Principal
from broker.words import Role

ALGORITHM = "HS256"
ISSUER = "switchboard"
LEEWAY_S = 60
MAX_TOKEN_CHARS = 8_192


class Audience(StrEnum):
    """What a token is for."""

    AGENT = "agent"
    WAITING = "waiting"
    GUEST = "guest"
    OPERATOR = "operator"


_PURPOSES = {
    Audience.AGENT: KeyPurpose.AGENT_TOKEN,
    Audience.WAITING: KeyPurpose.WAITING_TOKEN,
    Audience.GUEST: KeyPurpose.GUEST_TOKEN,
    Audience.OPERATOR: KeyPurpose.OPERATOR_TOKEN,
}


class Revocations(Protocol):
    """Which tokens and people have been withdrawn before their time."""

    def is_revoked(
        self, principal: Principal, token_ids: Collection[str], issued_at: float
    ) -> bool: ...


class NothingRevoked:
    """The revocation list of a deployment that has none."""

    def is_revoked(
        self, principal: Principal, token_ids: Collection[str], issued_at: float
    ) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Proof:
    """What a token proved."""

    audience: Audience
    principal: Principal
    token_id: str
    issued_at: int
    """Unix time, seconds; as `expires_at`."""
    expires_at: int
    session_id: str | None = None
    """Guests: the session whose link was found."""
    keys: tuple[str, ...] = ()
    """Waiting: the engagement keys the token was asked for."""


class ResumePass(ClusterMessage):
    """What a sealed resume token holds: enough to come back without asking the ledger."""

    session_id: str
    epoch: int
    host: str
    port: int
    engagement_key: str
    principal: Principal
    """With `participant_id` set."""
    bound_keys: tuple[str, ...] = ()
    """Identified consumers: the only engagement keys they may stand at."""
    token_id: str | None = None
    """The token it all began with, so that revoking that one ends this one too."""
    proved_at: int | None = None
    """When that token was issued (Unix time, seconds): a pass is renewed with every return, and
    would else outlive a revocation that its gateway has not heard of yet. `None`: sealed by a
    release that did not say; the time of sealing counts."""
    proof_id: str | None = None
    """The token by which a consumer proved since who they are: revoking it ends the pass, too."""
    widget_id: str | None = None
    """The widget's first connection, by which the session knows it again."""


class Tokens:
    """Mints and reads tokens of one deployment. `clock` gives Unix time in seconds."""

    def __init__(
        self,
        secret: bytes,
        clock: Callable[[], float],
        entropy: Callable[[int], bytes],
        *,
        resume_s: int,
        revocations: Revocations | None = None,
    ) -> None:
        self._keys = {each: derive_key(secret, purpose) for each, purpose in _PURPOSES.items()}
        self._seal = Fernet(base64.urlsafe_b64encode(derive_key(secret, KeyPurpose.RESUME)))
        self._clock = clock
        self._entropy = entropy
        self._resume_s = resume_s
        self._revocations = revocations or NothingRevoked()

    def mint(
        self,
        audience: Audience,
        principal: Principal,
        life_s: int,
        *,
        session_id: str | None = None,
        keys: tuple[str, ...] = (),
    ) -> str:
        """Sign a token that lives `life_s` seconds."""
        now = int(self._clock())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": str(audience),
            "iat": now,
            "exp": now + life_s,
            "jti": self._entropy(12).hex(),
            "who": principal.model_dump(mode="json", exclude_defaults=True),
        }
        if session_id is not None:
            claims["sid"] = session_id
        if keys:
            claims["keys"] = list(keys)
        return jwt.encode(claims, self._keys[audience], ALGORITHM)

    def read(self, token: str, *accepted: Audience) -> Proof:
        """Check a token and say what it proves.

        Raises:
            Unauthenticated: `token_expired`, or `token_invalid` for everything else; the sentence
                never says which part did not hold.
        """
        audience = self._claimed_audience(token)
        if audience not in accepted:
            raise _invalid()
        now = self._clock()
        try:
            # PyJWT reads the system's clock; ours is an argument, so times are checked here.
            claims = jwt.decode(
                token,
                self._keys[audience],
                algorithms=[ALGORITHM],
                audience=str(audience),
                issuer=ISSUER,
                options={
                    "require": ["exp", "iat", "aud", "iss", "jti"],
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
            principal = Principal.model_validate(claims["who"])
            expires_at, issued_at = int(claims["exp"]), int(claims["iat"])
            token_id = str(claims["jti"])
            keys = tuple(str(each) for each in claims.get("keys", ()))
        except (jwt.PyJWTError, ValidationError, KeyError, TypeError, ValueError):
            raise _invalid() from None
        if expires_at + LEEWAY_S <= now:
            raise Unauthenticated(ErrorCode.TOKEN_EXPIRED, "The token has expired; get a new one.")
        if issued_at - LEEWAY_S > now or not _fits(audience, principal):
            raise _invalid()
        if self._revocations.is_revoked(principal, (token_id,), issued_at):
            raise _invalid()
        return Proof(
            audience=audience,
            principal=principal,
            token_id=token_id,
            issued_at=issued_at,
            expires_at=expires_at,
            session_id=claims.get("sid"),
            keys=keys,
        )

    def seal(self, resume: ResumePass) -> str:
        """Seal a resume token."""
        return self._seal.encrypt_at_time(resume.to_bytes(), int(self._clock())).decode("ascii")

    def open(self, sealed: str) -> ResumePass:
        """Open a resume token.

        Raises:
            Unauthenticated: not sealed by this deployment, too old, or withdrawn.
        """
        try:
            token = sealed.encode("ascii")
            data = self._seal.decrypt_at_time(token, self._resume_s, int(self._clock()))
            sealed_at = self._seal.extract_timestamp(token)
            resume = ResumePass.model_validate_json(data)
        except (InvalidToken, ValidationError, UnicodeEncodeError):
            raise _invalid() from None
        proved_at = sealed_at if resume.proved_at is None else resume.proved_at
        token_ids = [each for each in (resume.token_id, resume.proof_id) if each is not None]
        if self._revocations.is_revoked(resume.principal, token_ids, proved_at):
            raise _invalid()
        return resume.model_copy(update={"proved_at": proved_at})

    def _claimed_audience(self, token: str) -> Audience:
        """Choose the key by what the token says it is for; the signature then proves it."""
        if len(token) > MAX_TOKEN_CHARS:
            raise _invalid()
        try:
            _, payload, _ = token.split(".")
            claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
            return Audience(claims["aud"])
        except (KeyError, TypeError, ValueError, RecursionError):
            raise _invalid() from None


def hash_secret(secret: str) -> str:
    """Hash a claim secret or guest code as the cluster keeps it."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _fits(audience: Audience, principal: Principal) -> bool:
    match audience:
        case Audience.AGENT:
            return principal.role in (Role.AGENT, Role.SUPERVISOR) and bool(principal.agent_id)
        case Audience.WAITING:
            return principal.role is Role.CONSUMER
        case Audience.GUEST:
            return principal.role is Role.GUEST and bool(principal.guest_invitation_id)
        case Audience.OPERATOR:
            return True


def _invalid() -> Unauthenticated:
    return Unauthenticated(ErrorCode.TOKEN_INVALID, "The token does not hold; get a new one.")
