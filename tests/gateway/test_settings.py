"""Settings and accounts: what cannot work is refused in one sentence."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from gateway import accounts
from gateway.accounts import (
    Account,
    AgentLogin,
    ApiKey,
    LivePersonApp,
    OidcProvider,
    Webhook,
    hash_key,
)
from gateway.accounts_file import BadAccounts, load_accounts, read_accounts
from gateway.settings import BadSettings, DemoHost, DemoSettings, Settings

SECRET = bytes(32)
EXAMPLE = Path(accounts.__file__).with_name("accounts.example.toml")


@pytest.mark.parametrize(
    "origin",
    ["video.example.com", "ftp://x", "https://", "https://x/path", "https://x?y", "https://x/"],
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(BadSettings, match="is no origin"):
        Settings(origin=origin, secret=SECRET)


@pytest.mark.parametrize("origin", ["http://192.0.2.1:8787", "https://demo.example.com"])
def test_a_demo_that_others_can_reach_is_refused(origin: str) -> None:
    with pytest.raises(BadSettings, match="loopback only"):
        Settings(origin=origin, secret=SECRET, demo=DemoHost(origin="http://127.0.0.1:1"))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"bind": "0.0.0.0"}, "loopback"),
        ({"gateway_port": 70_000}, "no port"),
        ({"gateway_port": 9, "host_port": 9}, "two ports"),
        ({"standbys": 0}, "at least one standby"),
        ({"pages": ("localhost:3000",)}, "is no origin"),
    ],
)
def test_a_demo_that_cannot_work_is_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadSettings, match=sentence):
        DemoSettings(**fields)


def test_secrets_do_not_stand_in_a_settings_text() -> None:
    secret = b"do not print me, whoever you are"
    assert "print" not in repr(Settings(origin="https://x", secret=secret))


def test_the_example_can_be_loaded() -> None:
    by_token, by_login, by_code = load_accounts(EXAMPLE).values()
    assert by_token.frame_ancestors[0] == "https://*.liveperson.net"
    assert [each.agent_login for each in (by_token, by_login, by_code)] == [
        AgentLogin.TOKEN_URL,
        AgentLogin.LIVEPERSON,
        AgentLogin.ENROLMENT,
    ]
    assert by_login.liveperson is not None
    assert by_login.liveperson.agent_id_claim == "sub"


@pytest.mark.parametrize("model", [Account, ApiKey, Webhook, LivePersonApp, OidcProvider])
def test_the_example_shows_every_field(model: type[Any]) -> None:
    shown = set(re.findall(r"^(\w+) =|^\[+accounts\.\d+\.(\w+)", EXAMPLE.read_text(), re.M))
    names = {name for pair in shown for name in pair if name}
    assert {each.name for each in fields(model)} - {"account_id"} <= names


def test_a_supervisor_may_be_spelled_as_any_agent() -> None:
    table = BASE | {"supervisors": ["990001", "acc.990002", "acc:990003"]}
    account = read_accounts({"accounts": {"a": table}})["a"]
    assert account.supervisors == ("990001", "990002", "990003")


HOOK = {"endpoint_id": "crm", "url": "https://crm.example.com/x", "secret_file": "hook.secret"}
HASH = "0" * 64
APP = {"client_id": "app", "client_secret_file": "liveperson.secret"}
OIDC = {"issuer": "x", "audience": "y", "jwks_url": "https://z"}
BASE = {"agent_login": "token_url", "token_url": "https://crm.example.com/token"}


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({}, "tables only"),
        ({"accounts": {}, "more": 1}, "tables only"),
        ({"accounts": {"a": 1}}, "must be a table"),
        ({"accounts": {"a": {**BASE, "colour": 1}}}, "unknown field colour"),
        *(({"accounts": {name: BASE}}, "1 to 128 characters") for name in ("", " a", "a" * 129)),
        ({"accounts": {"a": {"agent_login": "magic"}}}, "magic"),
        *(
            ({"accounts": {"a": {**BASE, "token_url": url}}}, "token_url must be https")
            for url in (5, "http://x", "https://x; script-src *", "https://u:p@x/")
        ),
        ({"accounts": {"a": {"agent_login": "demo"}}}, "demo mode only"),
        ({"accounts": {"a": {"agent_login": "token_url"}}}, "needs token_url"),
        ({"accounts": {"a": {"agent_login": "liveperson"}}}, "needs .accounts.a.liveperson"),
        ({"accounts": {"a": {**BASE, "liveperson": {"client_id": "x"}}}}, "client_secret_file"),
        ({"accounts": {"a": {**BASE, "liveperson": {**APP, "sentinel": "http://x"}}}}, "https"),
        ({"accounts": {"a": {**BASE, "liveperson": {**APP, "tenant": "x"}}}}, "unknown field"),
        ({"accounts": {"a": {**BASE, "oidc": {"issuer": "x"}}}}, "audience and jwks_url"),
        (
            {"accounts": {"a": {**BASE, "oidc": {**OIDC, "jwks_url": "http://x"}}}},
            "jwks_url must be https",
        ),
        ({"accounts": {"a": {**BASE, "supervisors": "7"}}}, "list of texts"),
        ({"accounts": {"a": {**BASE, "device_idle_hours": 0}}}, "whole number of hours"),
        ({"accounts": {"a": {**BASE, "consumer_proof": "trust"}}}, "trust"),
        ({"accounts": {"a": {**BASE, "frame_ancestors": "x"}}}, "list of origins"),
        ({"accounts": {"a": {**BASE, "frame_ancestors": ["x; script-src *"]}}}, "no origin"),
        ({"accounts": {"a": {**BASE, "api_keys": [{"key_id": "k"}]}}}, "key_id and hash"),
        *(
            ({"accounts": {"a": {**BASE, "api_keys": [{"key_id": name, "hash": HASH}]}}}, "key_id")
            for name in ("crm-2026", "", "a" * 33, "a_b")
        ),
        (
            {"accounts": {name: {**BASE, "liveperson": APP} for name in ("a", "b")}},
            "b.liveperson: client_id app is another",
        ),
        ({"accounts": {"a": {**BASE, "api_keys": "k"}}}, "list of tables"),
        ({"accounts": {"a": {**BASE, "policy": "none"}}}, "policy must be a table"),
        ({"accounts": {"a": {**BASE, "policy": {"people": 6}}}}, "no value named 'people'"),
        ({"accounts": {"a": {**BASE, "policy": {"guest_lobby": 1}}}}, "policy: .* type bool"),
        ({"accounts": {"a": {**BASE, "policy": {"screen_limit": 0}}}}, "at least 1"),
        ({"accounts": {"a": {**BASE, "retention_days": 0}}}, "whole number of days"),
        ({"accounts": {"a": {**BASE, "retention_days": True}}}, "whole number of days"),
        ({"accounts": {"a": {**BASE, "webhooks": [{"url": "https://x"}]}}}, "endpoint_id, url"),
        ({"accounts": {"a": {**BASE, "webhooks": [{**HOOK, "url": "http://x"}]}}}, "https"),
        ({"accounts": {"a": {**BASE, "webhooks": [{**HOOK, "url": "https://u:p@x"}]}}}, "https"),
        ({"accounts": {"a": {**BASE, "webhooks": [{**HOOK, "endpoint_id": "a b"}]}}}, "letters"),
        (
            {
                "accounts": {
                    "a": {**BASE, "webhooks": [HOOK]},
                    "b": {**BASE, "webhooks": [HOOK]},
                }
            },
            "used twice",
        ),
        (
            {"accounts": {"a": {**BASE, "api_keys": [{"key_id": "k", "hash": "short"}]}}},
            "64 hexadecimal",
        ),
    ],
)
def test_accounts_that_cannot_work_are_refused(document: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadAccounts, match=sentence):
        read_accounts(document)


def test_secrets_lie_beside_the_file_that_names_them(tmp_path: Path) -> None:
    path = tmp_path / "accounts.toml"
    path.write_text(
        '[accounts.a]\ntoken_url = "https://x"\nretention_days = 30\n[[accounts.a.webhooks]]\n'
        + "\n".join(f'{name} = "{value}"' for name, value in HOOK.items())
    )
    account = load_accounts(path)["a"]
    assert account.webhooks[0].secret_file == tmp_path / "hook.secret"
    assert account.retention_days == 30


def test_a_missing_or_broken_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadAccounts, match="cannot be read"):
        load_accounts(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[accounts")
    with pytest.raises(BadAccounts, match="is not TOML"):
        load_accounts(broken)


def test_two_keys_hold_during_a_rotation() -> None:
    keys = [f"swk_{name}_{name * 32}" for name in ("a", "b")]
    listed = [{"key_id": key[4], "hash": hash_key(key)} for key in keys]
    account = read_accounts({"accounts": {"x": {**BASE, "api_keys": listed}}})["x"]
    found = [account.find_key(key) for key in keys]
    assert [key.key_id for key in found if key is not None] == ["a", "b"]
    assert account.find_key("swk_a_" + "z" * 32) is None
