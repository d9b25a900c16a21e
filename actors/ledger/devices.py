"""Agents' enrolled devices, and the codes that enrol them."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from actors.ledger.database import Database
from actors.ledger.late import delete_late
from actors.ledger.schema import devices, enrolments
from actors.ledger.writer import Writer
from broker.errors import ErrorCode, NotFound
from broker.messages.cluster.base import Done
from broker.messages.devices import (
    LONGEST_IDLE_MS,
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

MOST_LISTED = 1_000


class DeviceBook:
    """Keeps codes and devices. A wrong code and one that is used, late or unknown look alike."""

    def __init__(self, database: Database, writer: Writer, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._writer = writer
        self._now_ms = now_ms

    async def make(self, ask: EnrolmentMake) -> Done:
        """Keep a code; the agent's code before goes, and so does what is late, devices too."""
        now_ms = self._now_ms()
        same = sa.and_(
            enrolments.c.account_id == ask.account_id, enrolments.c.agent_id == ask.agent_id
        )

        def job(connection: sa.Connection) -> None:
            connection.execute(sa.delete(enrolments).where(same))
            delete_late(connection, enrolments, enrolments.c.expires_ms <= now_ms)
            delete_late(connection, devices, devices.c.seen_ms <= now_ms - LONGEST_IDLE_MS)
            connection.execute(
                sa.insert(enrolments).values(
                    enrolment_id=ask.enrolment_id,
                    account_id=ask.account_id,
                    agent_id=ask.agent_id,
                    name=ask.name,
                    role=str(ask.role),
                    secret_hash=ask.secret_hash,
                    expires_ms=ask.expires_ms,
                    tries_left=ask.tries,
                )
            )

        await self._writer.do(job)
        return Done()

    async def use(self, ask: EnrolmentUse) -> Device:
        """Enrol a device by a code. Raises NotFound; a wrong secret has then cost a try."""
        now_ms = self._now_ms()
        here = enrolments.c.enrolment_id == ask.enrolment_id

        def job(connection: sa.Connection) -> Device | None:
            # Locked, because a code names no account and may be tried at several ledgers at once.
            row = connection.execute(
                sa.select(enrolments).where(here).with_for_update()
            ).one_or_none()
            if row is None or row.expires_ms <= now_ms or row.tries_left <= 0:
                return None
            if not hmac.compare_digest(row.secret_hash, ask.secret_hash):
                connection.execute(
                    sa.update(enrolments).where(here).values(tries_left=row.tries_left - 1)
                )
                return None
            connection.execute(sa.delete(enrolments).where(here))
            device = Device(
                device_id=ask.device_id,
                account_id=row.account_id,
                agent_id=row.agent_id,
                name=row.name,
                role=Role(row.role),
                public_key=ask.public_key,
                enrolled_ms=now_ms,
                seen_ms=now_ms,
            )
            connection.execute(sa.insert(devices).values(**device.model_dump(mode="json")))
            return device

        found = await self._writer.do(job)
        if found is None:
            raise _unknown()
        return found

    async def get(self, ask: DeviceGet) -> Device:
        """Find a device that is in use. Raises NotFound."""
        return await self._database.read(lambda connection: self._find(connection, ask))

    async def seen(self, ask: DeviceUse) -> Device:
        """Note that a device proved itself. Raises NotFound: also for an answer said again."""

        def job(connection: sa.Connection) -> Device:
            device = self._find(connection, ask)
            noted = connection.execute(
                sa.update(devices)
                .where(devices.c.device_id == ask.device_id)
                .where(devices.c.seen_ms < ask.at_ms)
                .values(seen_ms=ask.at_ms)
            )
            if noted.rowcount == 0:
                raise _unknown()
            return device

        return await self._writer.do(job)

    async def list(self, ask: DeviceList) -> Devices:
        """List an account's devices, the last used first."""
        found = (
            sa.select(devices)
            .where(devices.c.account_id == ask.account_id)
            .order_by(devices.c.seen_ms.desc(), devices.c.device_id)
            .limit(MOST_LISTED)
        )
        rows = await self._database.rows(found)
        return Devices(devices=[_device(row) for row in rows])

    async def forget(self, ask: DeviceForget) -> Device:
        """Forget a device; say whose it was. Raises NotFound."""
        here = sa.and_(devices.c.device_id == ask.device_id, devices.c.account_id == ask.account_id)

        def job(connection: sa.Connection) -> Device:
            row = connection.execute(sa.select(devices).where(here)).one_or_none()
            if row is None:
                raise _unknown()
            connection.execute(sa.delete(devices).where(here))
            return _device(row)

        return await self._writer.do(job)

    def _find(self, connection: sa.Connection, ask: DeviceGet | DeviceUse) -> Device:
        here = devices.c.device_id == ask.device_id
        row = connection.execute(sa.select(devices).where(here)).one_or_none()
        if row is None or row.seen_ms + ask.idle_ms <= self._now_ms():
            raise _unknown()
        return _device(row)


def _device(row: Any) -> Device:
    return Device.model_validate({name: getattr(row, name) for name in Device.model_fields})


def _unknown() -> NotFound:
    return NotFound(ErrorCode.UNKNOWN_ENTRY, "This does not hold (any more).")
