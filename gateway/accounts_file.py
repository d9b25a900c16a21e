"""Reads the accounts file (TOML; `accounts.example.toml` explains each field).

Everything is checked here, so that a deployment fails before it starts and in one sentence.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from broker.ids import normal_agent_id, normal_id
from broker.messages.devices import LONGEST_IDLE_HOURS
from broker.policy import Policy
from gateway.accounts import (
    KEY_ID,
    Account,
    AgentLogin,
    ApiKey,
    ConsumerProof,
    LivePersonApp,
    OidcProvider,
    Webhook,
)

_HASH = re.compile(r"[0-9a-f]{64}")
_HOST = re.compile(r"[a-z0-9.-]{1,253}(?::[0-9]{1,5})?")
_LABEL = re.compile(r"[A-Za-z0-9_.-]{0,63}")
_ENDPOINT = re.compile(r"[A-Za-z0-9_.-]{1,64}")
LONGEST_RETENTION_DAYS = 36_500
_APART = frozenset(" ;,\r\n")
"""What stands between the parts of a Content-Security-Policy."""


class BadAccounts(Exception):
    """The accounts file cannot be used. The text is one sentence naming the place."""


def load_accounts(path: Path, *, demo: bool = False) -> dict[str, Account]:
    """Read the accounts file. `demo` allows what only the demo on loopback may do.

    Raises:
        BadAccounts: missing, not TOML, or a field that is unknown or wrong.
    """
    return read_accounts(_document(path), folder=path.parent, demo=demo)


def changed_at(file: Path) -> int:
    """Time of a file's last change, ns; 0 when there is none."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def readable_accounts(path: Path, *, demo: bool = False) -> tuple[dict[str, Account], list[str]]:
    """Read what can be read of an accounts file: for who must go on, whatever stands there.

    Returns the accounts, each whole, and what is wrong with the others or with the file.
    """
    faults: list[str] = []
    accounts: dict[str, Account] = {}
    try:
        tables = _tables_of(_document(path))
    except BadAccounts as error:
        return accounts, [str(error)]
    reader = _Reader(path.parent, demo)
    for account_id, table in tables.items():
        try:
            accounts[account_id] = reader.account(account_id, table)
        except BadAccounts as error:
            faults.append(str(error))
    return accounts, faults


def read_accounts(
    document: Mapping[str, Any], *, folder: Path | None = None, demo: bool = False
) -> dict[str, Account]:
    """Build accounts from a parsed document: one `[accounts.<id>]` table each.

    Paths of secrets are relative to `folder`.

    Raises:
        BadAccounts: a field that is unknown or wrong.
    """
    tables = _tables_of(document)
    reader = _Reader(folder or Path(), demo)
    return {account_id: reader.account(account_id, table) for account_id, table in tables.items()}


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadAccounts(f"The accounts file {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadAccounts(f"The accounts file {path} is not TOML: {error}.") from error


def _tables_of(document: Mapping[str, Any]) -> dict[str, Any]:
    tables = document.get("accounts")
    if not isinstance(tables, dict) or set(document) != {"accounts"}:
        raise BadAccounts("The accounts file must hold [accounts.<account id>] tables only.")
    return tables


class _Reader:
    """One reading of a file: what was seen in an earlier account matters to a later one."""

    def __init__(self, folder: Path, demo: bool) -> None:
        self._folder = folder
        self._demo = demo
        self._endpoints: set[str] = set()
        self._applications: set[str] = set()

    def account(self, account_id: str, table: Any) -> Account:
        where = f"accounts.{account_id}"
        if not 1 <= len(account_id) <= 128 or normal_id(account_id) != account_id:
            raise BadAccounts(
                f"{where!r}: an account's id has 1 to 128 characters and no space around them."
            )
        _refuse_unknown(where, table, Account, given={"account_id"})
        values = dict(table)
        try:
            values["agent_login"] = AgentLogin(values.get("agent_login", "token_url"))
            values["consumer_proof"] = ConsumerProof(values.get("consumer_proof", "ids"))
        except ValueError as error:
            raise BadAccounts(f"{where}: {error}.") from error
        for name in ("frame_ancestors", "allowed_origins"):
            values[name] = _origins(f"{where}.{name}", values.get(name, []))
        values["picture_hosts"] = _hosts(f"{where}.picture_hosts", values.get("picture_hosts", []))
        if not isinstance(values.get("colleagues", False), bool):
            raise BadAccounts(f"{where}.colleagues must be true or false.")
        values["policy"] = _policy(f"{where}.policy", values.get("policy", {}))
        values["api_keys"] = tuple(
            _api_key(f"{where}.api_keys", item)
            for item in _tables(f"{where}.api_keys", values.get("api_keys", []))
        )
        values["webhooks"] = tuple(
            self._webhook(f"{where}.webhooks", item)
            for item in _tables(f"{where}.webhooks", values.get("webhooks", []))
        )
        values["supervisors"] = tuple(
            normal_agent_id(each) or each
            for each in _names(f"{where}.supervisors", values.get("supervisors", []))
        )
        if "liveperson" in values:
            values["liveperson"] = self._liveperson(f"{where}.liveperson", values["liveperson"])
        if "oidc" in values:
            values["oidc"] = self._oidc(f"{where}.oidc", values["oidc"])
        _check_days(f"{where}.retention_days", values.get("retention_days"))
        idle = values.get("device_idle_hours", 12)
        is_hours = isinstance(idle, int) and not isinstance(idle, bool)
        if not is_hours or not 1 <= idle <= LONGEST_IDLE_HOURS:
            raise BadAccounts(
                f"{where}.device_idle_hours is a whole number of hours, 1 to {LONGEST_IDLE_HOURS}."
            )
        label = values.get("label", "")
        if not (isinstance(label, str) and _LABEL.fullmatch(label)):
            raise BadAccounts(f"{where}.label has at most 63 letters, digits, dots or dashes.")
        account = Account(account_id=account_id, **values)
        self._check_login(where, account)
        return account

    def _check_login(self, where: str, account: Account) -> None:
        if account.agent_login is AgentLogin.TOKEN_URL and not account.token_url:
            raise BadAccounts(f'{where}: agent_login = "token_url" needs token_url.')
        if account.token_url is not None and not _is_page(account.token_url, plain=self._demo):
            raise BadAccounts(f"{where}.token_url must be https://HOST/….")
        if account.agent_login is AgentLogin.LIVEPERSON and account.liveperson is None:
            raise BadAccounts(f'{where}: agent_login = "liveperson" needs [{where}.liveperson].')
        if account.agent_login is AgentLogin.DEMO and not self._demo:
            raise BadAccounts(f'{where}: agent_login = "demo" exists in demo mode only.')

    def _liveperson(self, where: str, table: Any) -> LivePersonApp:
        _refuse_unknown(where, table, LivePersonApp)
        values = {name: str(value) for name, value in table.items()}
        if not values.get("client_id") or not values.get("client_secret_file"):
            raise BadAccounts(f"{where} needs client_id and client_secret_file.")
        sentinel = values.get("sentinel")
        if sentinel is not None and (
            not _may_be_called(sentinel, plain=self._demo) or urlsplit(sentinel).path
        ):
            raise BadAccounts(f"{where}.sentinel must be https://HOST.")
        if values["client_id"] in self._applications:
            # A login of the one account's agents would be meant for the other's, too.
            raise BadAccounts(f"{where}: client_id {values['client_id']} is another account's.")
        self._applications.add(values["client_id"])
        secret = self._folder / values.pop("client_secret_file")
        return LivePersonApp(client_secret_file=secret, **values)

    def _oidc(self, where: str, table: Any) -> OidcProvider:
        _refuse_unknown(where, table, OidcProvider)
        values = {name: str(value) for name, value in table.items()}
        if not all(values.get(name) for name in ("issuer", "audience", "jwks_url")):
            raise BadAccounts(f"{where} needs issuer, audience and jwks_url.")
        if not _may_be_called(values["jwks_url"], plain=self._demo):
            raise BadAccounts(f"{where}.jwks_url must be https://HOST/….")
        return OidcProvider(**values)

    def _webhook(self, where: str, item: dict[str, Any]) -> Webhook:
        if set(item) != {"endpoint_id", "url", "secret_file"}:
            raise BadAccounts(
                f"{where}: each webhook needs endpoint_id, url and secret_file, and nothing else."
            )
        endpoint_id, url = str(item["endpoint_id"]), str(item["url"])
        if not _ENDPOINT.fullmatch(endpoint_id):
            raise BadAccounts(f"{where}: endpoint_id has 1 to 64 letters, digits, dots or dashes.")
        if endpoint_id in self._endpoints:
            raise BadAccounts(f"{where}: endpoint_id {endpoint_id} is used twice in this file.")
        self._endpoints.add(endpoint_id)
        if not _may_be_called(url, plain=self._demo):
            raise BadAccounts(
                f"{where}: url must be https://HOST/…, without a user and a password in it."
            )
        return Webhook(endpoint_id, url, self._folder / str(item["secret_file"]))


def _may_be_called(url: str, *, plain: bool = False) -> bool:
    """Whether a URL of the file may be called at all; where it leads is checked when it is."""
    try:
        parts = urlsplit(url)
        schemes = ("https", "http") if plain else ("https",)
        return parts.scheme in schemes and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return False


def _is_page(url: object, *, plain: bool) -> bool:
    """Whether a page may name this address in its Content-Security-Policy."""
    return isinstance(url, str) and not set(url) & _APART and _may_be_called(url, plain=plain)


def _names(where: str, listed: object) -> tuple[str, ...]:
    if not isinstance(listed, list) or not all(isinstance(item, str) and item for item in listed):
        raise BadAccounts(f"{where} must be a list of texts.")
    return tuple(listed)


def _origins(where: str, listed: object) -> tuple[str, ...]:
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        raise BadAccounts(f"{where} must be a list of origins.")
    if any(not item or set(item) & _APART for item in listed):
        raise BadAccounts(f"{where} holds something that is no origin.")
    return tuple(listed)


def _hosts(where: str, listed: object) -> tuple[str, ...]:
    hosts = tuple(name.lower() for name in _names(where, listed))
    if not all(_HOST.fullmatch(host) for host in hosts):
        raise BadAccounts(f"{where} holds something that is no host: write cdn.example.com.")
    return hosts


def _tables(where: str, listed: object) -> list[dict[str, Any]]:
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise BadAccounts(f"{where} must be a list of tables: write [[{where}]].")
    return listed


def _api_key(where: str, item: dict[str, Any]) -> ApiKey:
    if set(item) != {"key_id", "hash"}:
        raise BadAccounts(f"{where}: each key needs key_id and hash, and nothing else.")
    if not re.fullmatch(KEY_ID, str(item["key_id"])):
        raise BadAccounts(f"{where}: key_id has 1 to 32 letters and digits, or no key holds.")
    if not _HASH.fullmatch(str(item["hash"])):
        raise BadAccounts(f"{where}: hash must be the 64 hexadecimal digits of a SHA-256.")
    return ApiKey(key_id=str(item["key_id"]), hash=item["hash"])


def _policy(where: str, table: object) -> dict[str, object]:
    if not isinstance(table, dict):
        raise BadAccounts(f"{where} must be a table.")
    try:
        Policy.from_mapping(table)
    except ValueError as error:
        raise BadAccounts(f"{where}: {error}") from error
    return dict(table)


def _check_days(where: str, value: object) -> None:
    if value is None:
        return
    is_days = isinstance(value, int) and not isinstance(value, bool)
    if not is_days or not 1 <= int(str(value)) <= LONGEST_RETENTION_DAYS:
        raise BadAccounts(f"{where} is a whole number of days, 1 to {LONGEST_RETENTION_DAYS}.")


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
