"""Codes and devices in the ledger: one code an agent, one use, ten tries; each answer once."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from actors.ledger.database import Work
from actors.ledger.writer import Writer
from broker.errors import ErrorCode, NotFound, Unavailable
from broker.messages import upkeep
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
from tests.ledger.conftest import Town
from tests.ledger.fakes import ACCOUNT, FakeGateway
from tests.ledger.test_erasure import AGENT, a_record, everything
from tests.patience import PATIENCE

NAME = "Wilhelmine Löwenherz"
IDLE_MS = 1_000


async def make(town: Town, gateway: FakeGateway, code: str = "e1", agent_id: str = "7") -> None:
    await gateway.link.call(
        EnrolmentMake(
            enrolment_id=code,
            account_id=ACCOUNT,
            agent_id=agent_id,
            name=NAME,
            role=Role.AGENT,
            secret_hash="right",
            expires_ms=town.clock.ms + 1_000,
            tries=10,
        ),
        Done,
    )


async def use(gateway: FakeGateway, code: str = "e1", secret: str = "right") -> Device:
    ask = EnrolmentUse(enrolment_id=code, secret_hash=secret, device_id=f"d-{code}", public_key="k")
    return await gateway.link.call(ask, Device)


async def test_a_code_enrols_one_device_once(town: Town) -> None:
    gateway = await town.gateway()
    await make(town, gateway)
    device = await use(gateway)
    assert (device.agent_id, device.name, device.public_key) == ("7", NAME, "k")
    with pytest.raises(NotFound):
        await use(gateway)


async def test_ten_wrong_tries_end_a_code(town: Town) -> None:
    gateway = await town.gateway()
    for wrong, holds in ((9, True), (10, False)):
        await make(town, gateway)
        for _ in range(wrong):
            with pytest.raises(NotFound):
                await use(gateway, secret="wrong")
        if holds:
            await use(gateway)
        else:
            with pytest.raises(NotFound):
                await use(gateway)


async def test_a_code_ends_by_time_and_by_the_agents_next(town: Town) -> None:
    gateway = await town.gateway()
    await make(town, gateway, "old")
    await make(town, gateway, "new")
    with pytest.raises(NotFound):
        await use(gateway, "old")
    town.clock.ms += 1_000
    with pytest.raises(NotFound):
        await use(gateway, "new")


async def enrolled(town: Town, gateway: FakeGateway) -> Device:
    await make(town, gateway)
    return await use(gateway)


async def test_each_answer_of_a_device_counts_once(town: Town) -> None:
    gateway = await town.gateway()
    device = await enrolled(town, gateway)

    async def seen(at_ms: int) -> Device:
        ask = DeviceUse(device_id=device.device_id, idle_ms=IDLE_MS, at_ms=at_ms)
        return await gateway.link.call(ask, Device)

    town.clock.ms += 10
    now_ms = town.clock.ms
    await seen(now_ms)
    for at_ms in (now_ms, now_ms - 5):
        with pytest.raises(NotFound):
            await seen(at_ms)
    await seen(now_ms + 1)


async def test_an_idle_device_holds_no_more(town: Town) -> None:
    gateway = await town.gateway()
    device = await enrolled(town, gateway)
    ask = DeviceGet(device_id=device.device_id, idle_ms=IDLE_MS)
    town.clock.ms += IDLE_MS - 1
    assert await gateway.link.call(ask, Device) == device
    town.clock.ms += 1
    with pytest.raises(NotFound):
        await gateway.link.call(ask, Device)
    late = DeviceUse(device_id=device.device_id, idle_ms=IDLE_MS, at_ms=town.clock.ms)
    with pytest.raises(NotFound):
        await gateway.link.call(late, Device)


async def test_devices_are_the_accounts_own(town: Town) -> None:
    gateway = await town.gateway()
    device = await enrolled(town, gateway)
    mine = await gateway.link.call(DeviceList(account_id=ACCOUNT), Devices)
    theirs = await gateway.link.call(DeviceList(account_id="other"), Devices)
    assert (mine.devices, theirs.devices) == ([device], [])
    with pytest.raises(NotFound):
        await gateway.link.call(
            DeviceForget(account_id="other", device_id=device.device_id), Device
        )
    forget = DeviceForget(account_id=ACCOUNT, device_id=device.device_id)
    assert await gateway.link.call(forget, Device) == device
    with pytest.raises(NotFound):
        await gateway.link.call(forget, Device)


async def test_an_erased_agent_has_no_code_and_no_device(town: Town) -> None:
    gateway = await town.gateway()
    await enrolled(town, gateway)
    await make(town, gateway, "e2")
    await make(town, gateway, "e3", agent_id="8")
    ask = upkeep.PersonErase(account_id=ACCOUNT, agent_id="acc.7")
    await gateway.link.call(ask, upkeep.Erasures, timeout=20 * PATIENCE)
    assert (await everything(town)).count(NAME) == 1


async def test_an_erased_agent_whom_a_backup_brought_back_has_none_either(town: Town) -> None:
    """Said again is who was in which session: `records erase --again`."""
    actor, gateway, _ = await a_record(town, ended=True)
    for agent_id in (AGENT, "8"):
        await make(town, gateway, agent_id, agent_id)
        await use(gateway, agent_id)
    again = upkeep.PersonErase(
        account_id=ACCOUNT, session_id=actor.session_id, participant_id="consumer"
    )
    await gateway.link.call(again, upkeep.Erasures, timeout=20 * PATIENCE)
    listed = DeviceList(account_id=ACCOUNT)
    assert len((await gateway.link.call(listed, Devices)).devices) == 2
    again = again.model_copy(update={"participant_id": "agent"})
    await gateway.link.call(again, upkeep.Erasures, timeout=20 * PATIENCE)
    left = (await gateway.link.call(listed, Devices)).devices
    assert [each.agent_id for each in left] == ["8"]
    assert AGENT not in await everything(town)


@pytest.mark.parametrize("failing", [1, 2])
async def test_an_erasure_that_failed_half_way_is_whole_when_it_is_asked_again(
    town: Town, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Of a participant only the subject says whose devices they are, and it is cleared as well."""
    actor, gateway, _ = await a_record(town, ended=True)
    await make(town, gateway, agent_id=AGENT)
    await use(gateway)
    do, calls = Writer.do, itertools.count(1)

    async def fails_once(writer: Writer, job: Work[Any]) -> Any:
        if next(calls) == failing:
            raise Unavailable(ErrorCode.LEDGER_AWAY, "The database is away.")
        return await do(writer, job)

    monkeypatch.setattr(Writer, "do", fails_once)
    ask = upkeep.PersonErase(
        account_id=ACCOUNT, session_id=actor.session_id, participant_id="agent"
    )
    with pytest.raises(Unavailable):
        await gateway.link.call(ask, upkeep.Erasures, timeout=20 * PATIENCE)
    await gateway.link.call(ask, upkeep.Erasures, timeout=20 * PATIENCE)
    assert AGENT not in await everything(town)


async def test_devices_in_use_are_listed_first_and_those_of_long_ago_forgotten(
    town: Town,
) -> None:
    gateway = await town.gateway()

    async def listed() -> list[str]:
        asked = DeviceList(account_id=ACCOUNT)
        found = await gateway.link.call(asked, Devices)
        return [each.device_id for each in found.devices]

    for code in ("idle", "used", "new"):
        town.clock.ms += 10
        await make(town, gateway, code, agent_id=code)
        await use(gateway, code)
    assert await listed() == ["d-new", "d-used", "d-idle"]
    town.clock.ms += LONGEST_IDLE_MS - 25
    seen = DeviceUse(device_id="d-used", idle_ms=LONGEST_IDLE_MS, at_ms=town.clock.ms)
    await gateway.link.call(seen, Device)
    assert await listed() == ["d-used", "d-new", "d-idle"]
    # Nobody may use the first any more, whatever the account says; the last one holds for 5 ms.
    town.clock.ms += 20
    await make(town, gateway, "another")
    assert await listed() == ["d-used", "d-new"]
