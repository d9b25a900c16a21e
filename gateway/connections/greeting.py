"""Read a widget's first message: who speaks, where it stands, what it wants back."""

from __future__ import annotations

from dataclasses import dataclass, replace

from broker.errors import ErrorCode, Forbidden, Malformed, Unauthenticated
from broker.ids import normal_id
from broker.messages import decode_client_message
from broker.messages.client import ConnectionHello
from broker.messages.cluster.trunk import Principal
from broker.messages.parts import EngagementIds
from broker.words import Role
from gateway.proofs.tokens import Audience, Proof, ResumePass, Tokens, hash_secret


@dataclass(frozen=True, slots=True)
class Greeting:
    """A hello whose proof held."""

    hello: ConnectionHello
    principal: Principal
    resume: ResumePass | None
    """The session to come back to, without asking the ledger first."""
    guest_session: str | None
    """A guest's session, to be looked up."""
    token_id: str | None
    """The token that it began with, now or when the session was entered."""
    proved_at: int | None
    """When that token was issued; Unix time, seconds."""
    bound_keys: tuple[str, ...] = ()
    """The only engagement keys an identified consumer may stand at."""
    asked_keys: tuple[str, ...] = ()
    """The engagement keys that this consumer has a token or a session for."""
    proof_id: str | None = None
    """The token by which a consumer proved who they are when they were in the session already."""

    @property
    def token_ids(self) -> tuple[str, ...]:
        """The tokens it rests on: with either taken back it ends."""
        return tuple(each for each in (self.token_id, self.proof_id) if each is not None)

    @property
    def is_proved(self) -> bool:
        """Whether somebody vouches for who speaks: a backend, a session, not just their claim."""
        principal = self.principal
        return self.resume is not None or principal.role is not Role.CONSUMER or principal.verified


def greet(data: bytes, tokens: Tokens) -> Greeting:
    """Check the first message of a connection.

    A hello may carry a resume token and an ordinary one. The resume token says who comes back, and
    where to; the other one decides when that does not hold any more, and adds what a consumer has
    proved since.

    Raises:
        Malformed: not a hello.
        Unauthenticated: no token, or none that holds.
        Forbidden: the engagement is another account's than the token's.
    """
    hello = decode_client_message(data)
    if not isinstance(hello, ConnectionHello):
        raise Malformed(ErrorCode.HELLO_EXPECTED, "The first message must be connection.hello.")
    if hello.resume is not None:
        try:
            resume = tokens.open(hello.resume)
        except Unauthenticated:
            if hello.token is None:
                raise
        else:
            _stands_where_it_may(resume.principal, hello.engagement, resume.bound_keys)
            return _resumed(hello, resume, tokens)
    if hello.token is None:
        raise Unauthenticated(ErrorCode.TOKEN_MISSING, "The hello carries no token.")
    proof = tokens.read(hello.token, Audience.AGENT, Audience.WAITING, Audience.GUEST)
    bound = proof.keys if proof.principal.verified else ()
    _stands_where_it_may(proof.principal, hello.engagement, bound)
    return Greeting(
        hello=hello,
        principal=_principal(proof, hello),
        resume=None,
        guest_session=proof.session_id if proof.audience is Audience.GUEST else None,
        token_id=proof.token_id,
        proved_at=proof.issued_at,
        bound_keys=bound,
        asked_keys=proof.keys,
    )


def _resumed(hello: ConnectionHello, resume: ResumePass, tokens: Tokens) -> Greeting:
    """Greet who comes back to a session, with what their ordinary token proves besides."""
    known = Greeting(
        hello=hello,
        principal=resume.principal,
        resume=resume,
        guest_session=None,
        token_id=resume.token_id,
        proved_at=resume.proved_at,
        bound_keys=resume.bound_keys,
        asked_keys=(resume.engagement_key,),
        proof_id=resume.proof_id,
    )
    proof = _consumers_own(hello, resume.principal, tokens)
    if proof is None:
        return known
    known = replace(known, asked_keys=(*known.asked_keys, *proof.keys))
    # What is proved of another engagement, or of some of the ids only, says nothing here.
    proves = (
        proof.principal.verified
        and resume.engagement_key in proof.keys
        and (hello.engagement is None or within(hello.engagement, proof.keys))
    )
    if not proves or resume.principal.verified:
        return known
    proved = proof.principal.model_dump(include={"name", "visitor_id", "verified"})
    more = {name: value for name, value in proved.items() if value}
    return replace(
        known,
        principal=resume.principal.model_copy(update=more),
        proof_id=proof.token_id,
        bound_keys=proof.keys,
    )


def _consumers_own(hello: ConnectionHello, who: Principal, tokens: Tokens) -> Proof | None:
    """Read the ordinary token of a consumer who comes back; one that does not hold is no loss."""
    if hello.token is None or who.role is not Role.CONSUMER:
        return None
    try:
        proof = tokens.read(hello.token, Audience.WAITING)
    except Unauthenticated:
        return None
    return proof if proof.principal.account_id == who.account_id else None


def waiting_keys(ids: EngagementIds) -> tuple[str, ...]:
    """Return the keys a consumer's window can be rung by, in order of preference."""
    keys = (normal_id(each) for each in (ids.window_session_id, ids.conversation_id))
    return tuple(dict.fromkeys(key for key in keys if key is not None))


def within(ids: EngagementIds, bound: tuple[str, ...]) -> bool:
    """Whether a window's ids name nothing but what its token is for."""
    return set(waiting_keys(ids)) <= set(bound)


def agent_key(ids: EngagementIds | None) -> str | None:
    """Return the engagement key of an agent's widget."""
    return None if ids is None else normal_id(ids.rt_session_id)


def _principal(proof: Proof, hello: ConnectionHello) -> Principal:
    principal = proof.principal
    match principal.role:
        case Role.CONSUMER:
            claim = None if hello.claim_secret is None else hash_secret(hello.claim_secret)
            return principal.model_copy(update={"claim_hash": claim})
        case Role.GUEST if not principal.name and hello.name is not None:
            return principal.model_copy(update={"name": hello.name})
        case _:
            return principal


def _stands_where_it_may(
    principal: Principal, ids: EngagementIds | None, bound: tuple[str, ...]
) -> None:
    if ids is None:
        return
    if normal_id(ids.account_id) != principal.account_id:
        raise Forbidden(ErrorCode.NOT_PERMITTED, "The token belongs to another account.")
    if bound and not within(ids, bound):
        raise Forbidden(ErrorCode.NOT_PERMITTED, "The token is for another engagement.")
