"""The keeper in its Ray actor: it takes the accounts file over, and again when it changes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import actors.keeper
from broker.messages.cluster.members import LinkHello
from gateway.accounts_file import BadAccounts
from gateway.commands import logs
from gateway.compose import keeper_host
from gateway.compose.settings import ClusterSettings
from tests.patience import until

ACCOUNT = '[accounts.a]\ntoken_url = "https://x"\n'
HOOK = '[[accounts.a.webhooks]]\nendpoint_id = "crm"\nurl = "https://y/z"\nsecret_file = "hook"\n'


class Recorder:
    """Stands for the keeper; remembers what each one was told."""

    made: list[Recorder]

    def __init__(
        self,
        _: Any,
        key: bytes,
        hello: LinkHello,
        *,
        endpoints: Any,
        knows_all: bool,
        policy: Any,
        **__: Any,
    ) -> None:
        self.shards = hello.shards
        self.endpoints = [each.endpoint_id for each in endpoints]
        self.secrets = [each.secret for each in endpoints]
        self.retention = dict(policy.retention_days)
        self.loopback = policy.delivery.loopback_allowed
        self.knows_all = knows_all
        self.running = False
        self.account_faults = 0
        Recorder.made.append(self)

    async def start(self) -> None:
        self.running = True

    async def close(self) -> None:
        self.running = False


@pytest.fixture
def accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the accounts file will be, beside the secrets."""
    Recorder.made = []
    monkeypatch.setattr(actors.keeper, "Keeper", Recorder)
    monkeypatch.setattr(keeper_host, "ACCOUNTS_POLL_S", 0.01)
    monkeypatch.setattr(logs, "configure", lambda: None)
    monkeypatch.setattr(keeper_host, "node_name", lambda: "here")
    for name in ("secret", "hook"):
        (tmp_path / name).write_text("0" * 64)
        (tmp_path / name).chmod(0o600)
    return tmp_path / "accounts.toml"


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[keeper_host.Known]:
    """What the host has found at each look so far."""
    found: list[keeper_host.Known] = []
    known = keeper_host.known_accounts

    def look(settings: ClusterSettings) -> keeper_host.Known:
        found.append(known(settings))
        return found[-1]

    monkeypatch.setattr(keeper_host, "known_accounts", look)
    return found


def told(accounts: Path, **more: Any) -> ClusterSettings:
    return ClusterSettings(
        secret_file=str(accounts.parent / "secret"),
        database_url="sqlite:///none",
        public_url="https://x",
        standbys=1,
        accounts_file=str(accounts),
        **more,
    )


def name_accounts(accounts: Path, names: Iterable[str]) -> None:
    """Write accounts, each with a retention and a webhook that has its name."""
    one = f"{ACCOUNT}retention_days = 7\n{HOOK}"
    accounts.write_text(
        "".join(one.replace("s.a", f"s.{name}").replace("crm", name) for name in names)
    )


def write(file: Path, text: str, change: int) -> None:
    """Write a file; the file system's clock may be coarser than two writes of a test."""
    file.write_text(text)
    os.utime(file, ns=(change, change))


async def test_each_shard_has_a_keeper_of_its_own_accounts(accounts: Path) -> None:
    named = {"acme": 0, "globex": 1, "eastern": 1}
    name_accounts(accounts, named)
    host = keeper_host.KeeperHost(told(accounts, ledger_shards=2))
    await host.start()
    for number, keeper in enumerate(Recorder.made):
        mine = {name for name, shard in named.items() if shard == number}
        assert (set(keeper.endpoints), set(keeper.retention)) == (mine, mine)
        assert (keeper.shards, keeper.running) == (2, True)
    await host.stop()
    assert [each.running for each in Recorder.made] == [False, False]


async def test_a_changed_accounts_file_is_taken_over_and_a_wrong_one_is_not(
    accounts: Path,
) -> None:
    write(accounts, ACCOUNT, 1)
    host = keeper_host.KeeperHost(told(accounts))
    await host.start()
    write(accounts, f"{ACCOUNT}retention_days = 7\n{HOOK}", 2)
    await until(lambda: len(Recorder.made) == 2, "a second keeper")
    first, second = Recorder.made
    await until(lambda: second.running, "the second keeper's start")
    assert (first.endpoints, first.running) == ([], False)
    assert (second.endpoints, second.retention, second.loopback) == (["crm"], {"a": 7}, False)
    write(accounts, "[accounts", 3)
    write(accounts, f"{ACCOUNT}{HOOK.replace('hook', 'missing')}", 4)
    write(accounts, ACCOUNT, 5)
    await until(lambda: len(Recorder.made) == 3, "a third keeper")
    await host.stop()
    assert [each.endpoints for each in Recorder.made] == [[], ["crm"], []]
    assert not any(each.running for each in Recorder.made)


@pytest.mark.parametrize(
    ("name", "said"),
    [("hook", "accounts not taken over"), ("secret", "keeper not started")],
    ids=["a webhook's", "the deployment's"],
)
async def test_a_secret_that_comes_after_its_accounts_file_is_found(
    accounts: Path, caplog: pytest.LogCaptureFixture, name: str, said: str
) -> None:
    write(accounts, ACCOUNT, 1)
    host = keeper_host.KeeperHost(told(accounts))
    await host.start()
    secret, elsewhere = accounts.with_name(name), accounts.with_name("later")
    os.rename(secret, elsewhere)
    write(accounts, f"{ACCOUNT}{HOOK}", 2)
    await until(lambda: said in caplog.messages, "it was looked for")
    os.rename(elsewhere, secret)
    await until(lambda: len(Recorder.made) == 2, "a second keeper")
    await host.stop()
    assert Recorder.made[-1].endpoints == ["crm"]


async def test_a_secret_that_changes_signs_from_then_on(accounts: Path) -> None:
    write(accounts, f"{ACCOUNT}{HOOK}", 1)
    write(accounts.with_name("hook"), "1" * 64, 1)
    host = keeper_host.KeeperHost(told(accounts))
    await host.start()
    write(accounts.with_name("hook"), "2" * 64, 2)
    await until(lambda: len(Recorder.made) == 2, "a second keeper")
    await host.stop()
    assert [each.secrets for each in Recorder.made] == [[b"1" * 64], [b"2" * 64]]


WRONG = {
    "a field that is unknown": "[accounts.b]\nnonsense = 1\n",
    "a secret that is missing": ACCOUNT.replace("s.a", "s.b")
    + "retention_days = 9\n"
    + HOOK.replace("s.a", "s.b").replace("crm", "b1")
    + HOOK.replace("s.a", "s.b").replace("crm", "b2").replace('"hook"', '"missing"'),
    "an endpoint of another": ACCOUNT.replace("s.a", "s.b") + HOOK.replace("s.a", "s.b"),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_keeper_that_starts_with_a_wrong_file_serves_the_accounts_it_can_read(
    accounts: Path, caplog: pytest.LogCaptureFixture, wrong: str
) -> None:
    good = f"{ACCOUNT}retention_days = 7\n{HOOK}"
    write(accounts, good + WRONG[wrong], 1)
    host = keeper_host.KeeperHost(told(accounts))
    with pytest.raises(BadAccounts, match=r"accounts\.b"):
        await host.start()
    [keeper] = Recorder.made
    assert keeper.running
    assert (keeper.endpoints, keeper.retention, keeper.knows_all) == (["crm"], {"a": 7}, False)
    [said] = [each for each in caplog.records if each.message == "accounts not taken over"][:1]
    assert said.__dict__["code"] == "accounts_wrong"
    write(accounts, good, 2)
    await until(lambda: len(Recorder.made) == 2, "a second keeper")
    await host.start()
    await host.stop()
    second = Recorder.made[1]
    assert (second.endpoints, second.knows_all) == (["crm"], True)


async def test_what_is_wrong_is_said_once_and_counted_until_it_is_right(
    accounts: Path, looks: list[keeper_host.Known], caplog: pytest.LogCaptureFixture
) -> None:
    def said() -> int:
        return caplog.messages.count("accounts not taken over")

    write(accounts, ACCOUNT, 1)
    host = keeper_host.KeeperHost(told(accounts))
    await host.start()
    [keeper] = Recorder.made
    write(accounts, "[accounts", 2)
    await until(lambda: len(looks) >= 5, "many looks")
    assert (said(), keeper.account_faults) == (1, 1)
    write(accounts, "[accounts.a]\nnonsense = 1\n", 3)
    await until(lambda: said() == 2, "what is wrong now")
    assert "accounts can be taken over again" not in caplog.messages
    write(accounts, ACCOUNT, 4)
    await until(lambda: keeper.account_faults == 0, "that nothing is")
    assert caplog.messages[-1] == "accounts can be taken over again"
    await host.stop()


async def test_a_deployments_secret_that_stays_away_is_missed_once(
    accounts: Path, looks: list[keeper_host.Known], caplog: pytest.LogCaptureFixture
) -> None:
    write(accounts, ACCOUNT, 1)
    accounts.with_name("secret").unlink()
    host = keeper_host.KeeperHost(told(accounts))
    with pytest.raises(OSError, match="secret"):
        await host.start()
    await until(lambda: len(looks) >= 5, "many looks")
    await host.stop()
    assert caplog.messages.count("keeper not started") == 1


async def test_a_keeper_whose_file_cannot_be_read_at_all_still_looks_after_the_ledger(
    accounts: Path,
) -> None:
    write(accounts, "[accounts", 1)
    host = keeper_host.KeeperHost(told(accounts))
    with pytest.raises(BadAccounts, match="not TOML"):
        await host.start()
    [keeper] = Recorder.made
    assert (keeper.running, keeper.endpoints, keeper.knows_all) == (True, [], False)
    await host.stop()


async def test_a_keeper_that_does_not_close_in_order_is_followed_all_the_same(
    accounts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_accounts(accounts, ["a"])
    host = keeper_host.KeeperHost(told(accounts))
    await host.start()

    async def fail(keeper: Recorder) -> None:
        keeper.running = False
        raise RuntimeError("Its connections do not close.")

    monkeypatch.setattr(Recorder, "close", fail)
    name_accounts(accounts, ["a", "b"])
    await until(lambda: Recorder.made[-1].running and len(Recorder.made) == 2, "the next one")
    monkeypatch.undo()
    await host.stop()


async def test_a_look_that_breaks_is_followed_by_another(
    accounts: Path, looks: list[keeper_host.Known], monkeypatch: pytest.MonkeyPatch
) -> None:
    name_accounts(accounts, ["a"])
    host = keeper_host.KeeperHost(told(accounts))
    await host.start()
    say, broken = keeper_host.KeeperHost._say, list[int]()

    def break_once(host: keeper_host.KeeperHost, known: keeper_host.Known) -> None:
        if not broken:
            broken.append(len(looks))
            raise KeyError("as a mistake of ours would")
        say(host, known)

    monkeypatch.setattr(keeper_host.KeeperHost, "_say", break_once)
    name_accounts(accounts, ["a", "b"])
    await until(lambda: Recorder.made[-1].endpoints == ["a", "b"], "what the file says now")
    await host.stop()
