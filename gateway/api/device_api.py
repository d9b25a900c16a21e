"""Enrolment: an agent's device gets a key by a code, and proves itself by that key.

The key is made in the agent's browser and cannot be taken out of it (WebCrypto, ECDSA P-256). A
challenge tells when it was made; the ledger takes each answer once.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, StringConstraints

from broker.errors import ErrorCode, Forbidden, NotFound
from broker.ids import normal_agent_id
from broker.messages import devices
from broker.messages.cluster.base import Done
from broker.messages.cluster.trunk import Principal
from broker.messages.parts import Id, Name, Storable
from broker.words import Role
from gateway.accounts import Account, AgentLogin
from gateway.api.idempotency import IdempotencyKey
from gateway.api.problems import PROBLEMS
from gateway.api.rates import hold_back
from gateway.api.this_gateway import ThisGateway
from gateway.api.widget_api import Body, TokenAnswer, WidgetBody
from gateway.proofs.api_keys import Caller
from gateway.proofs.device_challenges import check_signature, read_key
from gateway.proofs.revocations import agent_hash
from gateway.proofs.tokens import Audience

CODE_S = 24 * 3_600
CODE_TRIES = 10
FOR_EVER_MS = 1 << 62
"""A device is forgotten however long it was idle."""

Code = Annotated[str, StringConstraints(min_length=8, max_length=128), Storable]
Base64 = Annotated[
    str, StringConstraints(min_length=1, max_length=512, pattern="^[A-Za-z0-9+/=]+$")
]


class EnrolmentRequest(Body):
    """Which agent may enrol a device."""

    agent_id: Id
    name: Name
    role: Literal["agent", "supervisor"] = "agent"


class EnrolmentMade(BaseModel):
    """The code, shown only now: give it to that agent and nobody else."""

    enrolment_id: str
    code: str
    expires_in_s: int


class DeviceView(BaseModel):
    """One enrolled device."""

    device_id: str
    agent_id: str
    name: str
    role: Role
    enrolled_ms: int
    seen_ms: int
    holds: bool = Field(description="False once it was not used for too long.")


class DeviceListView(BaseModel):
    """The account's devices, the last used first."""

    devices: list[DeviceView]


class DeviceRequest(WidgetBody):
    """A new device: the agent's code, and the key that was made for it."""

    code: Code
    public_key: Base64
    """SubjectPublicKeyInfo of an ECDSA P-256 key."""


class DeviceMade(BaseModel):
    """The device's id; with its key it is the agent's credential."""

    device_id: str


class ChallengeRequest(WidgetBody):
    """A device wants to prove itself."""

    device_id: Id


class Challenge(BaseModel):
    """To be signed (ECDSA, SHA-256) as it stands."""

    challenge: str


class DeviceTokenRequest(WidgetBody):
    """A signed challenge."""

    challenge: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    signature: Base64
    """r and s, 32 bytes each, as WebCrypto writes them."""


router = APIRouter(prefix="/v1", responses=PROBLEMS)


@router.post("/enrolments", operation_id="createEnrolment", tags=["devices"], status_code=201)
async def create_enrolment(
    account: Caller,
    gateway: ThisGateway,
    body: EnrolmentRequest,
    idempotency_key: IdempotencyKey = None,
) -> EnrolmentMade:
    """Make a code by which an agent enrols one device, once, within a day and ten tries."""
    _require_enrolment(account)

    async def make() -> EnrolmentMade:
        enrolment_id, secret = secrets.token_hex(4), secrets.token_hex(8)
        await gateway.directory.ask(
            devices.EnrolmentMake(
                enrolment_id=enrolment_id,
                account_id=account.account_id,
                agent_id=normal_agent_id(body.agent_id) or body.agent_id,
                name=body.name,
                role=Role(body.role),
                secret_hash=_hash(secret),
                expires_ms=int((gateway.clock() + CODE_S) * 1000),
                tries=CODE_TRIES,
            ),
            Done,
        )
        return EnrolmentMade(
            enrolment_id=enrolment_id, code=f"{enrolment_id}-{secret}", expires_in_s=CODE_S
        )

    return await gateway.idempotency.once(
        account.account_id, "createEnrolment", idempotency_key, body, make, EnrolmentMade
    )


@router.get("/devices", operation_id="listDevices", tags=["devices"])
async def list_devices(account: Caller, gateway: ThisGateway) -> DeviceListView:
    """List the account's enrolled devices."""
    asked = devices.DeviceList(account_id=account.account_id)
    found = (await gateway.directory.ask(asked, devices.Devices)).devices
    oldest_ms = gateway.clock() * 1000 - _idle_ms(account)
    return DeviceListView(
        devices=[
            DeviceView.model_validate({**each.model_dump(), "holds": each.seen_ms > oldest_ms})
            for each in found
        ]
    )


@router.post(
    "/devices/{device_id}/revoke",
    operation_id="revokeDevice",
    tags=["devices"],
    status_code=204,
)
async def revoke_device(
    device_id: Id, account: Caller, gateway: ThisGateway, idempotency_key: IdempotencyKey = None
) -> None:
    """Forget a device, and end what its agent is connected by; other devices come back."""
    asked = devices.DeviceForget(account_id=account.account_id, device_id=device_id)
    whose = devices.DeviceGet(device_id=device_id, idle_ms=FOR_EVER_MS)

    async def cut_off(device: devices.Device) -> None:
        named = agent_hash(device.agent_id)
        revocation = gateway.room.revocations.make(account.account_id, named)
        gateway.room.on_revoked(revocation)
        await gateway.directory.revoke(revocation)

    async def forget() -> Done:
        device = await gateway.directory.ask(whose, devices.Device)
        if device.account_id != account.account_id:
            raise NotFound(ErrorCode.UNKNOWN_ENTRY, "There is no such device.")
        # Before it is forgotten: if that is done and nobody hears of it, the next try finds no
        # device any more. And behind it: whoever is cut off comes back at once, and it was there.
        await cut_off(device)
        await gateway.directory.ask(asked, devices.Device)
        await cut_off(device)
        return Done()

    await gateway.idempotency.once(
        account.account_id, "revokeDevice", idempotency_key, asked, forget, Done
    )


@router.post("/enrol", operation_id="enrolDevice", tags=["widgets"], status_code=201)
async def enrol(request: Request, gateway: ThisGateway, body: DeviceRequest) -> DeviceMade:
    """Exchange an agent's code for a device. Whatever is wrong with the code answers 404."""
    hold_back(request, gateway.rates.device_codes.take)
    read_key(body.public_key)
    enrolment_id, _, secret = body.code.strip().lower().partition("-")
    asked = devices.EnrolmentUse(
        enrolment_id=enrolment_id,
        secret_hash=_hash(secret),
        device_id=secrets.token_urlsafe(16),
        public_key=body.public_key,
    )
    return DeviceMade(device_id=(await gateway.directory.ask(asked, devices.Device)).device_id)


@router.post("/device-challenge", operation_id="challengeDevice", tags=["widgets"])
async def challenge(request: Request, gateway: ThisGateway, body: ChallengeRequest) -> Challenge:
    """Ask a device to prove itself. Says nothing about whether there is one."""
    hold_back(request, gateway.rates.devices.take)
    return Challenge(challenge=gateway.device_challenges.make(body.device_id))


@router.post("/device-token", operation_id="createDeviceToken", tags=["widgets"])
async def token(request: Request, gateway: ThisGateway, body: DeviceTokenRequest) -> TokenAnswer:
    """Exchange a signed challenge for an agent token, once. 404: the device holds no more."""
    hold_back(request, gateway.rates.devices.take)
    asked = gateway.device_challenges.open(body.challenge)
    found = await gateway.directory.ask(
        devices.DeviceGet(device_id=asked.device_id, idle_ms=devices.LONGEST_IDLE_MS),
        devices.Device,
    )
    account = gateway.settings.account(found.account_id)
    _require_enrolment(account)
    check_signature(found.public_key, body.signature, body.challenge)
    device = await gateway.directory.ask(
        devices.DeviceUse(device_id=asked.device_id, idle_ms=_idle_ms(account), at_ms=asked.at_ms),
        devices.Device,
    )
    principal = Principal(
        role=device.role,
        account_id=account.account_id,
        agent_id=device.agent_id,
        name=device.name,
        verified=True,
    )
    life_s = gateway.settings.agent_token_s
    minted = gateway.tokens.mint(Audience.AGENT, principal, life_s)
    return TokenAnswer(token=minted, expires_in_s=life_s)


def _idle_ms(account: Account) -> int:
    return account.device_idle_hours * 3_600_000


def _require_enrolment(account: Account) -> None:
    if account.agent_login is not AgentLogin.ENROLMENT:
        raise Forbidden(ErrorCode.NOT_PERMITTED, "This account has another login.")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
