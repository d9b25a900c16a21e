"""Enrolment: an agent's device gets a key by a code, and proves itself by that key.

The key is made in the agent's browser and cannot be taken out of it (WebCrypto, ECDSA P-256). A
challenge tells when it was made; the ledger takes each answer once.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Callable
from typing import Annotated, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, StringConstraints

from broker.errors import (
    ErrorCode,
    Forbidden,
    Malformed,
    NotFound,
    TooFast,
    Unauthenticated,
)
from broker.ids import normal_agent_id
from broker.keys import KeyPurpose, derive_key
from broker.messages import devices
from broker.messages.cluster.base import ClusterMessage, Done
from broker.messages.cluster.trunk import Principal
from broker.messages.parts import Id, Name, Storable
from broker.words import Role
from gateway.accounts import Account, AgentLogin
from gateway.api.idempotency import Idempotency, IdempotencyKey
from gateway.api.problems import PROBLEMS
from gateway.api.widget_api import Body, TokenAnswer
from gateway.connections.switchroom import Switchroom
from gateway.limits import AddressLimits
from gateway.origins import address_of
from gateway.proofs.api_keys import Caller
from gateway.proofs.revocations import agent_hash
from gateway.proofs.tokens import Audience

CODE_S = 24 * 3_600
CODE_TRIES = 10
CHALLENGE_S = 60
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


class DeviceRequest(Body):
    """A new device: the agent's code, and the key that was made for it."""

    code: Code
    public_key: Base64
    """SubjectPublicKeyInfo of an ECDSA P-256 key."""


class DeviceMade(BaseModel):
    """The device's id; with its key it is the agent's credential."""

    device_id: str


class ChallengeRequest(Body):
    """A device wants to prove itself."""

    device_id: Id


class Challenge(BaseModel):
    """To be signed (ECDSA, SHA-256) as it stands."""

    challenge: str


class DeviceTokenRequest(Body):
    """A signed challenge."""

    challenge: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    signature: Base64
    """r and s, 32 bytes each, as WebCrypto writes them."""


class _Asked(ClusterMessage):
    device_id: str
    at_ms: int


def device_router(
    room: Switchroom, idempotency: Idempotency, clock: Callable[[], float]
) -> APIRouter:
    """Serve codes and devices to backends, and enrolment to agents' widgets."""
    router = APIRouter(prefix="/v1", responses=PROBLEMS)
    settings, directory, limits = room.settings, room.directory, room.settings.limits
    seal = Fernet(base64.urlsafe_b64encode(derive_key(settings.secret, KeyPurpose.DEVICE)))
    guessing = AddressLimits(
        limits.guest_tries_per_minute, limits.guest_try_burst, keys=limits.addresses
    )
    asking = AddressLimits(limits.requests_per_minute, limits.request_burst, keys=limits.addresses)

    def hold_back(request: Request, bucket: AddressLimits) -> None:
        if not bucket.take(address_of(request.scope), asyncio.get_running_loop().time()):
            raise TooFast(ErrorCode.RATE_LIMITED, "Too many requests; wait a little.")

    @router.post("/enrolments", operation_id="createEnrolment", tags=["devices"], status_code=201)
    async def create_enrolment(
        account: Caller, body: EnrolmentRequest, idempotency_key: IdempotencyKey = None
    ) -> EnrolmentMade:
        """Make a code by which an agent enrols one device, once, within a day and ten tries."""
        _require_enrolment(account)

        async def make() -> EnrolmentMade:
            enrolment_id, secret = secrets.token_hex(4), secrets.token_hex(8)
            await directory.ask(
                devices.EnrolmentMake(
                    enrolment_id=enrolment_id,
                    account_id=account.account_id,
                    agent_id=normal_agent_id(body.agent_id) or body.agent_id,
                    name=body.name,
                    role=Role(body.role),
                    secret_hash=_hash(secret),
                    expires_ms=int((clock() + CODE_S) * 1000),
                    tries=CODE_TRIES,
                ),
                Done,
            )
            return EnrolmentMade(
                enrolment_id=enrolment_id, code=f"{enrolment_id}-{secret}", expires_in_s=CODE_S
            )

        return await idempotency.once(
            account.account_id, "createEnrolment", idempotency_key, body, make, EnrolmentMade
        )

    @router.get("/devices", operation_id="listDevices", tags=["devices"])
    async def list_devices(account: Caller) -> DeviceListView:
        """List the account's enrolled devices."""
        asked = devices.DeviceList(account_id=account.account_id)
        found = (await directory.ask(asked, devices.Devices)).devices
        oldest_ms = clock() * 1000 - _idle_ms(account)
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
        device_id: Id, account: Caller, idempotency_key: IdempotencyKey = None
    ) -> None:
        """Forget a device, and end what its agent is connected by; other devices come back."""
        asked = devices.DeviceForget(account_id=account.account_id, device_id=device_id)
        whose = devices.DeviceGet(device_id=device_id, idle_ms=FOR_EVER_MS)

        async def forget() -> Done:
            # Forgotten last: if that is done and nobody hears of it, the next try finds no device
            # any more, and nothing is left for it to do.
            device = await directory.ask(whose, devices.Device)
            if device.account_id != account.account_id:
                raise NotFound(ErrorCode.UNKNOWN_ENTRY, "There is no such device.")
            revocation = room.revocations.make(account.account_id, agent_hash(device.agent_id))
            room.on_revoked(revocation)
            await directory.revoke(revocation)
            await directory.ask(asked, devices.Device)
            return Done()

        await idempotency.once(
            account.account_id, "revokeDevice", idempotency_key, asked, forget, Done
        )

    @router.post("/enrol", operation_id="enrolDevice", tags=["widgets"], status_code=201)
    async def enrol(request: Request, body: DeviceRequest) -> DeviceMade:
        """Exchange an agent's code for a device. Whatever is wrong with the code answers 404."""
        hold_back(request, guessing)
        _read_key(body.public_key)
        enrolment_id, _, secret = body.code.strip().lower().partition("-")
        asked = devices.EnrolmentUse(
            enrolment_id=enrolment_id,
            secret_hash=_hash(secret),
            device_id=secrets.token_urlsafe(16),
            public_key=body.public_key,
        )
        return DeviceMade(device_id=(await directory.ask(asked, devices.Device)).device_id)

    @router.post("/device-challenge", operation_id="challengeDevice", tags=["widgets"])
    async def challenge(request: Request, body: ChallengeRequest) -> Challenge:
        """Ask a device to prove itself. Says nothing about whether there is one."""
        hold_back(request, asking)
        asked = _Asked(device_id=body.device_id, at_ms=int(clock() * 1000))
        sealed = seal.encrypt_at_time(asked.to_bytes(), int(clock()))
        return Challenge(challenge=sealed.decode("ascii"))

    @router.post("/device-token", operation_id="createDeviceToken", tags=["widgets"])
    async def token(request: Request, body: DeviceTokenRequest) -> TokenAnswer:
        """Exchange a signed challenge for an agent token, once. 404: the device holds no more."""
        hold_back(request, asking)
        try:
            sealed = body.challenge.encode("ascii")
            opened = seal.decrypt_at_time(sealed, CHALLENGE_S, int(clock()))
        except (InvalidToken, UnicodeEncodeError):
            raise _refused() from None
        asked = _Asked.model_validate_json(opened)
        found = await directory.ask(
            devices.DeviceGet(device_id=asked.device_id, idle_ms=devices.LONGEST_IDLE_MS),
            devices.Device,
        )
        account = settings.account(found.account_id)
        _require_enrolment(account)
        _check_signature(found.public_key, body.signature, sealed)
        device = await directory.ask(
            devices.DeviceUse(
                device_id=asked.device_id, idle_ms=_idle_ms(account), at_ms=asked.at_ms
            ),
            devices.Device,
        )
        principal = Principal(
            role=device.role,
            account_id=account.account_id,
            agent_id=device.agent_id,
            name=device.name,
            verified=True,
        )
        minted = room.tokens.mint(Audience.AGENT, principal, settings.agent_token_s)
        return TokenAnswer(token=minted, expires_in_s=settings.agent_token_s)

    return router


def _idle_ms(account: Account) -> int:
    return account.device_idle_hours * 3_600_000


def _require_enrolment(account: Account) -> None:
    if account.agent_login is not AgentLogin.ENROLMENT:
        raise Forbidden(ErrorCode.NOT_PERMITTED, "This account has another login.")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _read_key(public_key: str) -> ec.EllipticCurvePublicKey:
    """Read a P-256 key. Raises Malformed."""
    try:
        key = load_der_public_key(base64.b64decode(public_key, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Malformed(ErrorCode.MALFORMED, "public_key: give an ECDSA P-256 key.")
    return key


def _check_signature(public_key: str, signature: str, signed: bytes) -> None:
    """Check WebCrypto's form of a signature. Raises Unauthenticated."""
    try:
        raw = base64.b64decode(signature, validate=True)
        if len(raw) != 64:
            raise _refused()
        numbers = (int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        der = encode_dss_signature(*numbers)
        _read_key(public_key).verify(der, signed, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        raise _refused() from None


def _refused() -> Unauthenticated:
    return Unauthenticated(ErrorCode.TOKEN_INVALID, "The device did not prove itself; try again.")
