"""Agents' enrolled devices: made by a code, proved by a key, forgotten by revocation.

Internal to the cluster, like `broker.messages.cluster`.
"""

from __future__ import annotations

from typing import ClassVar

from broker.messages.cluster.base import ClusterMessage
from broker.words import Role

LONGEST_IDLE_HOURS = 2_160
"""An account decides how long its devices may be idle, and this is the most: the bound until it is
known whose a device is, and when it is forgotten."""
LONGEST_IDLE_MS = LONGEST_IDLE_HOURS * 3_600_000


class EnrolmentMake(ClusterMessage):
    """Let an agent enrol one device. The agent's code before, if it was not used, holds no more."""

    method: ClassVar[str] = "enrolment.make"
    enrolment_id: str
    account_id: str
    agent_id: str
    name: str
    role: Role
    secret_hash: str
    expires_ms: int
    tries: int


class EnrolmentUse(ClusterMessage):
    """A device shows a code. Raises unknown_entry, whatever is wrong with it."""

    method: ClassVar[str] = "enrolment.use"
    enrolment_id: str
    secret_hash: str
    device_id: str
    public_key: str


class DeviceGet(ClusterMessage):
    """Whose device is it? Raises unknown_entry: none, revoked, or idle for too long."""

    method: ClassVar[str] = "device.get"
    device_id: str
    idle_ms: int


class DeviceUse(ClusterMessage):
    """The device answered a challenge that was made at this time.

    Raises unknown_entry: as `device.get`; or it has answered this or a later one before.
    """

    method: ClassVar[str] = "device.use"
    device_id: str
    idle_ms: int
    at_ms: int


class DeviceList(ClusterMessage):
    """List an account's devices, the last used first."""

    method: ClassVar[str] = "device.list"
    account_id: str


class DeviceForget(ClusterMessage):
    """A device holds no more. Raises unknown_entry."""

    method: ClassVar[str] = "device.forget"
    account_id: str
    device_id: str


class Device(ClusterMessage):
    """One enrolled device."""

    device_id: str
    account_id: str
    agent_id: str
    name: str
    role: Role
    public_key: str
    """SubjectPublicKeyInfo, base64."""
    enrolled_ms: int
    seen_ms: int


class Devices(ClusterMessage):
    """An account's devices."""

    devices: list[Device]
