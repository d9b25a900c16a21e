"""The accounts of a deployment, from one TOML file (`accounts.example.toml` explains each field).

Accounts hold hashes of API keys and never the keys.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

_HASH = re.compile(r"[0-9a-f]{64}")
_KEY = re.compile(r"swk_([A-Za-z0-9]{1,32})_([A-Za-z0-9_-]{32,128})")


class BadAccounts(Exception):
    """The accounts file cannot be used. The text is one sentence naming the place."""


class AgentLogin(StrEnum):
    """How the agents of an account prove who they are (`design-identity` §2)."""

    DEMO = "demo"
    TOKEN_URL = "token_url"
    ENROLMENT = "enrolment"
    LIVEPERSON = "liveperson"


class ConsumerProof(StrEnum):
    """What proves a consumer beyond the ids any page could claim."""

    IDS = "ids"
    LINK = "link"
    TOKEN = "token"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One API key of an account: its public id and the SHA-256 of the whole key."""

    key_id: str
    hash: str


@dataclass(frozen=True, slots=True)
class Account:
    """What one LivePerson account of this deployment may do, and where its pages live."""

    account_id: str
    agent_login: AgentLogin = AgentLogin.TOKEN_URL
    token_url: str | None = None
    """With `token_url`: the brand's page that hands its own agents a token."""
    consumer_proof: ConsumerProof = ConsumerProof.IDS
    frame_ancestors: tuple[str, ...] = ()
    """Who may frame the widgets; empty: anybody, reported only, until it is known."""
    allowed_origins: tuple[str, ...] = ()
    """Wrapper pages of this account that may open a widget WebSocket."""
    api_keys: tuple[ApiKey, ...] = ()

    def find_key(self, presented: str) -> ApiKey | None:
        """Return the key that was presented, compared in constant time."""
        digest = hash_key(presented)
        found = None
        for key in self.api_keys:
            if hmac.compare_digest(key.hash, digest):
                found = key
        return found


def hash_key(key: str) -> str:
    """Hash an API key as it is kept. Keys are random, so no salt or stretching is needed."""
    return hashlib.sha256(key.encode()).hexdigest()


def key_id_of(key: str) -> str | None:
    """Return the public id inside `swk_<keyid>_<secret>`; `None` when it is no such key."""
    match = _KEY.fullmatch(key)
    return None if match is None else match[1]


def load_accounts(path: Path) -> dict[str, Account]:
    """Read the accounts file.

    Raises:
        BadAccounts: missing, not TOML, or a field that is unknown or wrong.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadAccounts(f"The accounts file {path} cannot be read: {error.strerror}.") from error
    except tomllib.TOMLDecodeError as error:
        raise BadAccounts(f"The accounts file {path} is not TOML: {error}.") from error
    return read_accounts(document)


def read_accounts(document: Mapping[str, Any]) -> dict[str, Account]:
    """Build accounts from a parsed document: one `[accounts.<id>]` table each.

    Raises:
        BadAccounts: a field that is unknown or wrong.
    """
    tables = document.get("accounts")
    if not isinstance(tables, dict) or set(document) != {"accounts"}:
        raise BadAccounts("The accounts file must hold [accounts.<account id>] tables only.")
    return {account_id: _account(account_id, table) for account_id, table in tables.items()}


def _account(account_id: str, table: Mapping[str, Any]) -> Account:
    where = f"accounts.{account_id}"
    _refuse_unknown(where, table, Account, given={"account_id"})
    values = dict(table)
    try:
        values["agent_login"] = AgentLogin(values.get("agent_login", "token_url"))
        values["consumer_proof"] = ConsumerProof(values.get("consumer_proof", "ids"))
    except ValueError as error:
        raise BadAccounts(f"{where}: {error}.") from error
    for name in ("frame_ancestors", "allowed_origins"):
        listed = values.get(name, [])
        if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
            raise BadAccounts(f"{where}.{name} must be a list of origins.")
        if any(not item or set(item) & set(" ;,\r\n") for item in listed):
            raise BadAccounts(f"{where}.{name} holds something that is no origin.")
        values[name] = tuple(listed)
    values["api_keys"] = tuple(
        _api_key(f"{where}.api_keys", item) for item in values.get("api_keys", [])
    )
    account = Account(account_id=account_id, **values)
    if account.agent_login is AgentLogin.TOKEN_URL and not account.token_url:
        raise BadAccounts(f'{where}: agent_login = "token_url" needs token_url.')
    if account.agent_login in (AgentLogin.ENROLMENT, AgentLogin.LIVEPERSON):
        raise BadAccounts(f"{where}: {account.agent_login} is not served yet; use token_url.")
    if account.consumer_proof is ConsumerProof.LINK:
        raise BadAccounts(f"{where}: consumer_proof link is not served yet; use ids or token.")
    if account.agent_login is AgentLogin.DEMO:
        raise BadAccounts(f'{where}: agent_login = "demo" exists in demo mode only.')
    return account


def _api_key(where: str, item: object) -> ApiKey:
    if not isinstance(item, dict) or set(item) != {"key_id", "hash"}:
        raise BadAccounts(f"{where}: each key needs key_id and hash, and nothing else.")
    if not _HASH.fullmatch(str(item["hash"])):
        raise BadAccounts(f"{where}: hash must be the 64 hexadecimal digits of a SHA-256.")
    return ApiKey(key_id=str(item["key_id"]), hash=item["hash"])


def _refuse_unknown(
    where: str, table: object, model: type[Any], given: set[str] | None = None
) -> None:
    if not isinstance(table, dict):
        raise BadAccounts(f"{where} must be a table.")
    known = {each.name for each in fields(model)} - (given or set())
    unknown = sorted(set(table) - known)
    if unknown:
        raise BadAccounts(
            f"{where}: unknown field {unknown[0]}; known: {', '.join(sorted(known))}."
        )
