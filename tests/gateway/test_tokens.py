"""Proofs: what holds, what does not, and when."""

from __future__ import annotations

import base64
from collections.abc import Collection
from typing import Any

import jwt
import pytest

from broker.errors import ErrorCode, Unauthenticated
from broker.messages.cluster.trunk import Principal
from broker.words import Role
from gateway.proofs.tokens import LEEWAY_S, Audience, ResumePass, Tokens
from gateway.settings import BadSettings, Settings

SECRET = bytes(range(32))
AGENT = Principal(role=Role.AGENT, account_id="acc", agent_id="7", name="Alex")
PASS = ResumePass(
    session_id="s",
    epoch=3,
    host="10.0.0.5",
    port=4711,
    engagement_key="e",
    principal=AGENT.model_copy(update={"participant_id": "p"}),
    proved_at=1_799_999_000,
)


class Clock:
    """Unix time that a test sets."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Revoked:
    """Revokes one agent."""

    def is_revoked(
        self, principal: Principal, token_ids: Collection[str], issued_at: float
    ) -> bool:
        return principal.agent_id == "7"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> Tokens:
    return Tokens(SECRET, clock, bytes, resume_s=3_600)


def refusal(tokens: Tokens, token: str, *audiences: Audience) -> ErrorCode:
    with pytest.raises(Unauthenticated) as caught:
        tokens.read(token, *audiences)
    return caught.value.code


def test_a_token_says_who_it_was_minted_for(tokens: Tokens, clock: Clock) -> None:
    proof = tokens.read(tokens.mint(Audience.AGENT, AGENT, 600), Audience.AGENT)
    assert (proof.principal, proof.expires_at) == (AGENT, int(clock.now) + 600)


def test_a_minute_of_clock_skew_is_tolerated_both_ways(tokens: Tokens, clock: Clock) -> None:
    token = tokens.mint(Audience.AGENT, AGENT, 600)
    issued = clock.now
    for now in (issued - LEEWAY_S, issued + 600 + LEEWAY_S - 1):
        clock.now = now
        assert tokens.read(token, Audience.AGENT)
    clock.now = issued + 600 + LEEWAY_S
    assert refusal(tokens, token, Audience.AGENT) is ErrorCode.TOKEN_EXPIRED
    clock.now = issued - LEEWAY_S - 1
    assert refusal(tokens, token, Audience.AGENT) is ErrorCode.TOKEN_INVALID


@pytest.mark.parametrize("audience", list(Audience))
def test_a_token_is_good_for_its_audience_only(tokens: Tokens, audience: Audience) -> None:
    token = tokens.mint(audience, AGENT, 600)
    others = [each for each in Audience if each is not audience]
    assert refusal(tokens, token, *others) is ErrorCode.TOKEN_INVALID


def test_every_changed_character_breaks_the_signature(tokens: Tokens) -> None:
    token = tokens.mint(Audience.AGENT, AGENT, 600)
    for at in range(0, len(token), 7):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        if changed.rstrip("=") != token:
            assert refusal(tokens, changed, Audience.AGENT) is ErrorCode.TOKEN_INVALID


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("algorithm", ["none", "HS384", "HS512"])
def test_no_other_algorithm_holds_be_it_by_our_own_key(
    tokens: Tokens, clock: Clock, algorithm: str
) -> None:
    token = tokens.mint(Audience.AGENT, AGENT, 600)
    claims = jwt.decode(token, options={"verify_signature": False})
    key = tokens._keys[Audience.AGENT]
    assert tokens.read(jwt.encode(claims, key, "HS256"), Audience.AGENT).principal == AGENT
    signing: Any = None if algorithm == "none" else key
    other = jwt.encode(claims, signing, algorithm)
    assert refusal(tokens, other, Audience.AGENT) is ErrorCode.TOKEN_INVALID


DEEP = base64.urlsafe_b64encode(b"[" * 5_900).decode().rstrip("=")
"""More brackets within brackets than a reader of JSON goes down into."""


@pytest.mark.parametrize(
    "token",
    ["", ".", "a.b.c", "x" * 10_000, "\u00e9", f"a.{DEEP}.c"],
    ids=["none", "a dot", "dots", "long", "no ASCII", "deep claims"],
)
def test_what_is_no_token_is_refused(tokens: Tokens, token: str) -> None:
    assert refusal(tokens, token, *Audience) is ErrorCode.TOKEN_INVALID


def test_a_resume_token_is_opaque_and_holds_for_its_life(tokens: Tokens, clock: Clock) -> None:
    sealed = tokens.seal(PASS)
    assert "10.0.0.5" not in sealed
    assert tokens.open(sealed) == PASS
    clock.now += 3_601
    with pytest.raises(Unauthenticated):
        tokens.open(sealed)


def test_a_pass_of_the_release_before_counts_from_its_sealing(tokens: Tokens, clock: Clock) -> None:
    sealed = tokens.seal(PASS.model_copy(update={"proved_at": None}))
    assert tokens.open(sealed).proved_at == int(clock.now)


def test_another_deployment_cannot_open_it(tokens: Tokens, clock: Clock) -> None:
    other = Tokens(bytes(32), clock, bytes, resume_s=3_600)
    for sealed in (other.seal(PASS), "", "\u00e9", tokens.seal(PASS)[:-4]):
        with pytest.raises(Unauthenticated):
            tokens.open(sealed)


def test_what_is_revoked_holds_no_more(clock: Clock, tokens: Tokens) -> None:
    token, sealed = tokens.mint(Audience.AGENT, AGENT, 600), tokens.seal(PASS)
    strict = Tokens(SECRET, clock, bytes, resume_s=3_600, revocations=Revoked())
    assert refusal(strict, token, Audience.AGENT) is ErrorCode.TOKEN_INVALID
    with pytest.raises(Unauthenticated):
        strict.open(sealed)


def test_a_short_secret_is_refused_at_start() -> None:
    with pytest.raises(BadSettings, match="at least 32"):
        Settings(origin="https://video.example.com", secret=b"short")
