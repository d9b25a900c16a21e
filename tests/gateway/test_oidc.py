"""A brand's id_token proves a consumer: its issuer, audience, signature and expiry are checked."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI, Response

from gateway.accounts import ConsumerProof, OidcProvider
from gateway.proofs.tokens import Audience
from gateway.serve import EdgeServer, bind
from gateway.settings import Settings
from tests.gateway.conftest import WINDOW, World
from tests.gateway.listening import running
from tests.patience import until


class Provider:
    """A brand's login: one key at a time, and whatever claims a test wants."""

    def __init__(self) -> None:
        self.status = 200
        self.asked = 0
        self.may_answer = asyncio.Event()
        """Whether `/keys` answers; `/others` always does."""
        self.may_answer.set()
        self.rotate("one")

    def rotate(self, kid: str) -> None:
        self.kid = kid
        self.key = ec.generate_private_key(ec.SECP256R1())

    def token(self, *, key: Any = None, algorithm: str = "ES256", **changes: Any) -> str:
        claims = {
            "iss": "https://login.brand.example",
            "aud": "video",
            "sub": "customer-1",
            "name": "Kim",
            "exp": int(time.time()) + 300,
        } | changes
        kept = {name: value for name, value in claims.items() if value is not None}
        signing: Any = None if algorithm == "none" else key or self.key
        return jwt.encode(kept, signing, algorithm, headers={"kid": self.kid})

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/keys")
        async def keys() -> Response:
            self.asked += 1
            await self.may_answer.wait()
            return key_set()

        @app.get("/others")
        async def others() -> Response:
            self.asked += 1
            return key_set()

        def key_set() -> Response:
            jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
            body = {"keys": [{**jwk, "kid": self.kid, "use": "sig", "alg": "ES256"}]}
            return Response(json.dumps(body), self.status, media_type="application/json")

        return app


@pytest.fixture
async def provider(settings: Settings) -> AsyncIterator[tuple[Provider, World]]:
    provider = Provider()
    listening = bind("127.0.0.1", 0)
    port = listening.getsockname()[1]
    server = EdgeServer(provider.app(), [listening])
    oidc = OidcProvider("https://login.brand.example", "video", f"http://127.0.0.1:{port}/keys")
    account = replace(settings.accounts["acc"], consumer_proof=ConsumerProof.TOKEN, oidc=oidc)
    elsewhere = replace(oidc, jwks_url=f"http://127.0.0.1:{port}/others")
    other = replace(account, account_id="brand", oidc=elsewhere)
    accounts = {**settings.accounts, "acc": account, "brand": other}
    world = World(replace(settings, accounts=accounts))
    async with running(server.run()):
        await server.started.wait()
        await world.start()
        try:
            yield provider, world
        finally:
            await world.stop()


async def ask(world: World, token: str, account_id: str = "acc") -> httpx.Response:
    body = {"engagement": {**WINDOW, "account_id": account_id}, "id_token": token}
    async with world.http() as client:
        return await client.post("/v1/waiting", json=body)


async def test_a_logged_in_consumer_is_verified_and_named(
    provider: tuple[Provider, World],
) -> None:
    brand, world = provider
    for _ in range(2):
        answer = await ask(world, brand.token())
    who = world.tokens.read(answer.json()["token"], Audience.WAITING)
    assert (who.principal.name, who.principal.visitor_id) == ("Kim", "customer-1")
    assert (who.principal.verified, who.keys) == (True, ("eng-1",))
    assert brand.asked == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"aud": "shop"},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"nbf": int(time.time()) + 7_200},
        {"nbf": "soon"},
        {"sub": None},
        {"sub": " "},
        {"sub": "v" * 256},
        {"sub": "v\x00"},
        {"key": ec.generate_private_key(ec.SECP256R1())},
        {"key": "a shared secret of thirty-two bytes", "algorithm": "HS256"},
        {"algorithm": "none"},
    ],
)
async def test_what_does_not_hold_proves_nobody(
    provider: tuple[Provider, World], changes: dict[str, Any]
) -> None:
    brand, world = provider
    answer = await ask(world, brand.token(**changes))
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")
    refused = await ask(world, brand.token(), account_id="other")
    assert refused.status_code == 401


async def test_who_is_identified_says_at_which_conversation(
    provider: tuple[Provider, World],
) -> None:
    """A verified token without ids would hold for every conversation of the account."""
    brand, world = provider
    body = {"engagement": {"account_id": "acc", "visitor_id": "v"}, "id_token": brand.token()}
    async with world.http() as client:
        answer = await client.post("/v1/waiting", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


async def test_a_minute_of_clock_skew_is_tolerated(provider: tuple[Provider, World]) -> None:
    brand, world = provider
    now = int(time.time())
    skewed: tuple[dict[str, Any], ...] = ({"nbf": now + 30, "iat": now + 30}, {"exp": now - 30})
    for changes in skewed:
        assert (await ask(world, brand.token(**changes))).status_code == 200


async def test_a_new_key_of_the_brand_is_found_and_the_old_one_forgotten(
    provider: tuple[Provider, World], monkeypatch: pytest.MonkeyPatch
) -> None:
    brand, world = provider
    old = brand.token()
    assert (await ask(world, old)).status_code == 200
    brand.rotate("two")
    assert (await ask(world, brand.token())).status_code == 401
    monkeypatch.setattr("gateway.proofs.oidc.KEYS_PAUSE_S", 0.0)
    assert (await ask(world, brand.token())).status_code == 200
    assert (await ask(world, old)).status_code == 401


async def test_a_login_that_is_away_is_told_apart(provider: tuple[Provider, World]) -> None:
    brand, world = provider
    brand.status = 500
    answer = await ask(world, brand.token())
    assert (answer.status_code, answer.json()["retryable"]) == (503, True)


async def test_a_login_that_goes_away_takes_nobody_along_who_was_known(
    provider: tuple[Provider, World], monkeypatch: pytest.MonkeyPatch
) -> None:
    brand, world = provider
    monkeypatch.setattr("gateway.proofs.oidc.KEYS_KEPT_S", 0.0)
    assert (await ask(world, brand.token())).status_code == 200
    brand.status = 500
    monkeypatch.setattr("gateway.proofs.oidc.KEYS_PAUSE_S", 0.0)
    assert (await ask(world, brand.token())).status_code == 200
    assert brand.asked == 2
    monkeypatch.setattr("gateway.proofs.oidc.KEYS_HELD_S", 0.0)
    assert (await ask(world, brand.token())).status_code == 503


async def test_a_login_that_is_away_is_asked_now_and_then_only(
    provider: tuple[Provider, World],
) -> None:
    brand, world = provider
    brand.status = 500
    for _ in range(3):
        assert (await ask(world, brand.token())).status_code == 503
    assert brand.asked == 1


async def test_a_login_that_hangs_holds_up_its_own_account_only(
    provider: tuple[Provider, World],
) -> None:
    brand, world = provider
    brand.may_answer.clear()
    hanging = [asyncio.ensure_future(ask(world, brand.token())) for _ in range(2)]
    await until(lambda: brand.asked == 1, "the keys to be asked for")
    answer = await ask(world, brand.token(), account_id="brand")
    assert (answer.status_code, brand.asked) == (200, 2)
    brand.may_answer.set()
    assert [(await each).status_code for each in hanging] == [200, 200]
    assert brand.asked == 2
