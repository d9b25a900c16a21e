"""API keys change while a gateway runs, and nothing else of an account does."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from gateway.accounts import hash_key
from gateway.proofs import key_rotation
from gateway.proofs.key_rotation import KeyRotation
from gateway.proofs.operators import operator_token
from gateway.tasks import cancel
from tests.gateway.conftest import API_KEY, World
from tests.patience import PATIENCE

NEW, LATER = (f"swk_{name}_" + name * 32 for name in ("b", "c"))


class Accounts:
    """An accounts file, each of whose contents is of another time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written = 0

    def write(self, text: str) -> None:
        self._written += 1
        self.path.write_text(text)
        os.utime(self.path, ns=(self._written, self._written))

    def hold(self, *keys: str, account: str = "acc") -> None:
        """Let an account have these keys."""
        listed = "".join(
            f'[[accounts.{account}.api_keys]]\nkey_id = "{key.split("_")[1]}"\n'
            f'hash = "{hash_key(key)}"\n'
            for key in keys
        )
        login = 'agent_login = "token_url"\ntoken_url = "https://crm.example.com/token"'
        self.write(f"[accounts.{account}]\n{login}\nretention_days = 7\n{listed}")


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    return Accounts(tmp_path / "accounts.toml")


async def statuses(world: World, *keys: str) -> list[int]:
    """What a request with each of these keys is answered by."""
    async with world.http() as client:
        asked = [
            await client.get("/v1/account", headers={"Authorization": f"Bearer {key}"})
            for key in keys
        ]
    return [answer.status_code for answer in asked]


async def test_a_key_is_replaced_and_at_no_moment_neither_holds(
    world: World, accounts: Accounts
) -> None:
    accounts.hold(API_KEY)
    rotation = KeyRotation(accounts.path, world.app.state.api_keys)
    for keys, expected in (
        ((API_KEY,), [200, 401, 401]),
        ((API_KEY, NEW), [200, 200, 401]),
        ((NEW,), [401, 200, 401]),
    ):
        accounts.hold(*keys)
        rotation.look()
        assert await statuses(world, API_KEY, NEW, LATER) == expected
    token = operator_token(world.tokens, "Sam", 600)
    told = []
    async with world.http() as client:
        for path, key in (("/v1/account", NEW), ("/v1/operator/accounts", token)):
            answer = await client.get(path, headers={"Authorization": f"Bearer {key}"})
            told.append(answer.raise_for_status().json())
    assert told[0] == next(each for each in told[1]["accounts"] if each["account_id"] == "acc")
    before = world.settings.accounts["acc"].retention_days
    assert (told[0]["api_key_ids"], told[0]["retention_days"]) == (["b"], before)


async def test_a_wrong_file_and_an_account_that_is_new_change_nothing(
    world: World, accounts: Accounts, caplog: pytest.LogCaptureFixture
) -> None:
    accounts.hold(NEW)
    rotation = KeyRotation(accounts.path, world.app.state.api_keys)
    accounts.write("[accounts")
    rotation.look()
    rotation.look()
    assert caplog.messages.count("API keys not taken over") == 1, "once, not at every look"
    assert await statuses(world, API_KEY, NEW) == [200, 401]
    accounts.path.unlink()
    rotation.look()
    assert await statuses(world, API_KEY, NEW) == [200, 401]
    # What is wrong is looked at again, whenever that was written.
    accounts.hold(LATER, account="later")
    rotation.look()
    assert await statuses(world, API_KEY, NEW, LATER) == [401, 401, 401]


async def test_a_key_that_changed_while_the_gateway_began_is_taken_over(
    world: World, accounts: Accounts
) -> None:
    accounts.hold(NEW)
    KeyRotation(accounts.path, world.app.state.api_keys).look()
    assert await statuses(world, API_KEY, NEW) == [401, 200]


async def test_a_gateway_looks_by_itself(
    world: World, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_rotation, "POLL_S", 0.01)
    accounts.hold(API_KEY)
    rotation = KeyRotation(accounts.path, world.app.state.api_keys)
    running = asyncio.create_task(rotation.run())
    try:
        accounts.hold(NEW)
        async with asyncio.timeout(10 * PATIENCE):
            while await statuses(world, NEW) != [200]:  # noqa: ASYNC110 - the file's news
                await asyncio.sleep(0.01)
    finally:
        await cancel(running)
