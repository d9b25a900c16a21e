"""Enrolment: an agent's browser gets a key by a code, and proves itself by it, each time anew."""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker.errors import ErrorCode, NotFound, Unavailable
from broker.messages.cluster.base import ClusterMessage, Done, read
from broker.messages.cluster.trunk import Principal
from broker.messages.devices import (
    Device,
    DeviceForget,
    DeviceGet,
    DeviceList,
    Devices,
    DeviceUse,
    EnrolmentMake,
    EnrolmentUse,
)
from broker.words import Role
from gateway.accounts import AgentLogin
from gateway.proofs.tokens import Audience
from gateway.settings import Settings
from tests.gateway.conftest import API_KEY, ENGAGEMENT, World

HEAD = {"Authorization": f"Bearer {API_KEY}"}


class Book:
    """The ledger's device book in memory; `tests/ledger/test_devices.py` has the real one."""

    def __init__(self, world: World) -> None:
        self.codes: dict[str, EnrolmentMake] = {}
        self.made: list[EnrolmentMake] = []
        self.idle_ms: set[int] = set()
        self.devices: dict[str, Device] = {}
        world.ledger.others |= {
            EnrolmentMake.method: self._make,
            EnrolmentUse.method: self._use,
            DeviceGet.method: lambda data: self._find(read(DeviceGet, data).device_id),
            DeviceUse.method: self._seen,
            DeviceList.method: lambda data: Devices(devices=list(self.devices.values())),
            DeviceForget.method: lambda data: self.devices.pop(read(DeviceForget, data).device_id),
        }

    def _make(self, data: bytes) -> ClusterMessage:
        made = read(EnrolmentMake, data)
        self.codes[made.enrolment_id] = made
        self.made.append(made)
        return Done()

    def _use(self, data: bytes) -> ClusterMessage:
        ask = read(EnrolmentUse, data)
        code = self.codes.get(ask.enrolment_id)
        if code is None or code.secret_hash != ask.secret_hash:
            raise NotFound(ErrorCode.UNKNOWN_ENTRY, "None.")
        del self.codes[ask.enrolment_id]
        fields = {**code.model_dump(), **ask.model_dump(), "enrolled_ms": 1, "seen_ms": 1}
        device = self.devices[ask.device_id] = Device.model_validate(fields)
        return device

    def _find(self, device_id: str) -> Device:
        if device_id not in self.devices:
            raise NotFound(ErrorCode.UNKNOWN_ENTRY, "None.")
        return self.devices[device_id]

    def _seen(self, data: bytes) -> ClusterMessage:
        ask = read(DeviceUse, data)
        self.idle_ms.add(ask.idle_ms)
        device = self._find(ask.device_id)
        if device.seen_ms >= ask.at_ms:
            raise NotFound(ErrorCode.UNKNOWN_ENTRY, "Again.")
        self.devices[ask.device_id] = device.model_copy(update={"seen_ms": ask.at_ms})
        return device


@dataclass
class Browser:
    """An agent's browser with its key."""

    api: httpx.AsyncClient
    key: ec.EllipticCurvePrivateKey
    device_id: str = ""

    @property
    def public_key(self) -> str:
        der = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(der).decode()

    async def enrol(self, code: str) -> httpx.Response:
        body = {"code": code, "public_key": self.public_key}
        answer = await self.api.post("/v1/enrol", json=body)
        if answer.status_code == 201:
            self.device_id = answer.json()["device_id"]
        return answer

    async def challenge(self) -> str:
        answer = await self.api.post("/v1/device-challenge", json={"device_id": self.device_id})
        return str(answer.json()["challenge"])

    def sign(self, challenge: str) -> dict[str, str]:
        r, s = decode_dss_signature(self.key.sign(challenge.encode(), ec.ECDSA(hashes.SHA256())))
        raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return {"challenge": challenge, "signature": base64.b64encode(raw).decode()}

    async def token(self, **changes: str) -> httpx.Response:
        body = {**self.sign(await self.challenge()), **changes}
        return await self.api.post("/v1/device-token", json=body)


@pytest.fixture
async def world(settings: Settings) -> AsyncIterator[World]:
    account = replace(settings.accounts["acc"], agent_login=AgentLogin.ENROLMENT)
    limits = replace(settings.limits, guest_try_burst=5)
    accounts = {**settings.accounts, "acc": account}
    world = World(replace(settings, accounts=accounts, limits=limits))
    await world.start()
    try:
        yield world
    finally:
        await world.stop()


@pytest.fixture
async def browser(world: World) -> AsyncIterator[Browser]:
    async with world.http() as client:
        yield Browser(client, ec.generate_private_key(ec.SECP256R1()))


@pytest.fixture
def book(world: World) -> Book:
    return Book(world)


async def a_code(browser: Browser, **changes: Any) -> str:
    body = {"agent_id": "acc.7", "name": "Alex", **changes}
    answer = await browser.api.post("/v1/enrolments", json=body, headers=HEAD)
    assert (answer.status_code, answer.json()["expires_in_s"]) == (201, 86_400)
    return str(answer.json()["code"])


async def test_a_device_enrols_and_its_agent_connects(
    world: World, browser: Browser, book: Book
) -> None:
    began_ms = time.time() * 1000
    code = await a_code(browser)
    assert code not in str(book.codes)
    # Within a day and ten tries; the ledger holds it to that.
    [made] = book.made
    day_ms, clocks_ms = 24 * 3_600_000, 1_000
    assert made.tries == 10
    # The gateway's clock counts by itself since it started.
    assert began_ms - clocks_ms <= made.expires_ms - day_ms <= time.time() * 1000 + clocks_ms
    assert (await browser.enrol(f" {code.upper()} ")).status_code == 201
    assert (await browser.enrol(code)).json()["code"] == "unknown_entry"
    for _ in range(2):
        answer = await browser.token()
        assert answer.status_code == 200
    assert book.idle_ms == {12 * 3_600_000}
    proof = world.tokens.read(answer.json()["token"], Audience.AGENT)
    assert (proof.principal.agent_id, proof.principal.role) == ("7", "agent")
    widget = await world.widget()
    welcome = await widget.hello(
        token=answer.json()["token"], surface="agent_frame", engagement=ENGAGEMENT
    )
    assert welcome["role"] == "agent"


async def test_a_signed_challenge_counts_once(browser: Browser, book: Book) -> None:
    await browser.enrol(await a_code(browser))
    body = browser.sign(await browser.challenge())
    assert (await browser.api.post("/v1/device-token", json=body)).status_code == 200
    again = await browser.api.post("/v1/device-token", json=body)
    assert (again.status_code, again.json()["code"]) == (404, "unknown_entry")


async def test_another_key_and_another_challenge_prove_nothing(
    browser: Browser, book: Book
) -> None:
    await browser.enrol(await a_code(browser))
    thief = Browser(browser.api, ec.generate_private_key(ec.SECP256R1()), browser.device_id)
    refused = [
        await thief.token(),
        await browser.token(challenge=await browser.challenge()),
        await browser.token(challenge="made up"),
        await browser.token(signature=base64.b64encode(b"x" * 64).decode()),
        await browser.token(signature="AAAA"),
    ]
    assert {(each.status_code, each.json()["code"]) for each in refused} == {(401, "token_invalid")}


async def test_guessing_codes_is_held_back(browser: Browser, book: Book) -> None:
    await a_code(browser)
    answers = [await browser.enrol(f"{number:08x}-0123456789abcdef") for number in range(7)]
    codes = [answer.json()["code"] for answer in answers]
    assert codes == ["unknown_entry"] * 5 + ["rate_limited"] * 2


UNHEARD_OF = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAX8DQgAE" + "A" * 86 + "=="
"""Of a curve that nobody has: the object identifier 1.2.840.10045.3.1.127."""


@pytest.mark.parametrize("public_key", ["AAAA", "====", "not base64!", UNHEARD_OF])
async def test_only_a_key_of_the_right_kind_is_taken(
    browser: Browser, book: Book, public_key: str
) -> None:
    body = {"code": await a_code(browser), "public_key": public_key}
    answer = await browser.api.post("/v1/enrol", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


async def test_a_code_that_no_database_keeps_is_not_looked_for(
    browser: Browser, book: Book
) -> None:
    """PostgreSQL refuses it, which would look like a failed database to who watches."""
    answer = await browser.enrol("\x00" + await a_code(browser))
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


async def test_a_revoked_device_is_cut_off(world: World, browser: Browser, book: Book) -> None:
    await browser.enrol(await a_code(browser, role="supervisor"))
    token = (await browser.token()).json()["token"]
    widget = await world.widget()
    await widget.hello(token=token, surface="agent_frame", engagement=ENGAGEMENT)
    listed = (await browser.api.get("/v1/devices", headers=HEAD)).json()["devices"]
    assert [(each["agent_id"], each["role"], each["holds"]) for each in listed] == [
        ("7", "supervisor", True)
    ]
    assert "public_key" not in str(listed)
    place = f"/v1/devices/{browser.device_id}/revoke"
    assert (await browser.api.post(place, headers=HEAD)).status_code == 204
    assert await widget.closed() == 4401
    assert (await browser.token()).json()["code"] == "unknown_entry"
    again = await world.widget()
    await again.greet(token=token, surface="agent_frame")
    assert await again.closed() == 4401


async def test_what_a_device_was_given_until_it_was_forgotten_holds_no_more(
    world: World, browser: Browser, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its widgets come back at once when they are cut off, and it may still be there then."""
    await browser.enrol(await a_code(browser))
    now, given, forget = time.time(), list[str](), world.ledger.others[DeviceForget.method]
    for each in (world.tokens, world.room.revocations):
        monkeypatch.setattr(each, "_clock", lambda: now)
    who = Principal(role=Role.AGENT, account_id="acc", agent_id="7", verified=True)

    def late(data: bytes) -> ClusterMessage:
        nonlocal now
        now += 1.0
        given.append(world.tokens.mint(Audience.AGENT, who, 600))
        return forget(data)

    world.ledger.others[DeviceForget.method] = late
    place = f"/v1/devices/{browser.device_id}/revoke"
    assert (await browser.api.post(place, headers=HEAD)).status_code == 204
    widget = await world.widget()
    await widget.greet(token=given[0], surface="agent_frame")
    assert await widget.closed() == 4401


async def test_a_device_whose_end_was_not_answered_is_cut_off_all_the_same(
    world: World, browser: Browser, book: Book
) -> None:
    await browser.enrol(await a_code(browser))
    token = (await browser.token()).json()["token"]
    widget = await world.widget()
    await widget.hello(token=token, surface="agent_frame", engagement=ENGAGEMENT)
    world.ledger.faults["device.forget"] = Unavailable(ErrorCode.LEDGER_AWAY, "Away.")
    place = f"/v1/devices/{browser.device_id}/revoke"
    assert (await browser.api.post(place, headers=HEAD)).status_code == 503
    assert await widget.closed() == 4401
    world.ledger.faults.clear()
    assert (await browser.api.post(place, headers=HEAD)).status_code == 204
    assert (await browser.api.post(place, headers=HEAD)).status_code == 404


async def test_an_account_with_another_login_enrols_nobody(
    world: World, browser: Browser, settings: Settings
) -> None:
    plain = World(settings)
    await plain.start()
    try:
        async with plain.http() as client:
            body = {"agent_id": "7", "name": "Alex"}
            answer = await client.post("/v1/enrolments", json=body, headers=HEAD)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")
    finally:
        await plain.stop()
