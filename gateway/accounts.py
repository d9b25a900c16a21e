"""The accounts of a deployment: what each may do, and where its pages live.

`accounts_file` reads them. Accounts hold hashes of API keys and never the keys, and paths of
secrets and never the secrets.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

KEY_ID = r"[A-Za-z0-9]{1,32}"
_KEY = re.compile(rf"swk_({KEY_ID})_([A-Za-z0-9_-]{{32,128}})")


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
class Webhook:
    """Where an account wants its events."""

    endpoint_id: str
    """Stable and unique in the deployment: what was delivered is remembered by it."""
    url: str
    secret_file: Path
    """Holds the secret that signs, 32 bytes or more, readable by its owner only."""


@dataclass(frozen=True, slots=True)
class LivePersonApp:
    """The application that is installed in the LivePerson account, for agents' login."""

    client_id: str
    client_secret_file: Path
    sentinel: str | None = None
    """Origin of LivePerson's authorisation service; `None`: found by its domain service."""
    agent_id_claim: str = "sub"
    """Which claim of the id_token is the SDK's `agentInfo.agentId`: see your own account."""
    name_claim: str = "name"


@dataclass(frozen=True, slots=True)
class OidcProvider:
    """The brand's own login, whose `id_token` proves a consumer."""

    issuer: str
    audience: str
    jwks_url: str
    visitor_claim: str = "sub"
    name_claim: str = "name"


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
    picture_hosts: tuple[str, ...] = ()
    """Where agents' pictures may be fetched from, by this gateway; empty: agents have none."""
    api_keys: tuple[ApiKey, ...] = ()
    oidc: OidcProvider | None = None
    """With `consumer_proof = "token"`: consumers may come with this login's id_token."""
    supervisors: tuple[str, ...] = ()
    """Agent ids that log in by LivePerson as supervisors."""
    liveperson: LivePersonApp | None = None
    device_idle_hours: int = 12
    """With `enrolment`: a device that was not used for this long must be enrolled again."""
    policy: Mapping[str, object] = field(default_factory=dict)
    """Values of `broker.policy.Policy` that are other for this account's sessions."""
    colleagues: bool = True
    """Whether agents in a session see by name which others are there, and may ask one to help."""
    webhooks: tuple[Webhook, ...] = ()
    retention_days: int | None = None
    """Records of sessions that ended longer ago are deleted; `None`: they are kept."""

    label: str = ""
    """Only nodes with this Ray label `switchboard` have its sessions; empty: any node."""

    @property
    def monitors(self) -> bool:
        """Whether supervisors may listen unseen."""
        return self.policy.get("silent_monitoring") is True

    def find_key(self, presented: str) -> ApiKey | None:
        """Return the key that was presented, compared in constant time."""
        digest = hash_key(presented)
        found = None
        for key in self.api_keys:
            if hmac.compare_digest(key.hash, digest):
                found = key
        return found


def with_policy(
    accounts: Mapping[str, Account], policy: Mapping[str, object]
) -> dict[str, Account]:
    """Give every account what a deployment sets for all of them; an account's own goes before."""
    return {
        account_id: replace(account, policy={**policy, **account.policy})
        for account_id, account in accounts.items()
    }


def hash_key(key: str) -> str:
    """Hash an API key as it is kept. Keys are random, so no salt or stretching is needed."""
    return hashlib.sha256(key.encode()).hexdigest()


def key_id_of(key: str) -> str | None:
    """Return the public id inside `swk_<keyid>_<secret>`; `None` when it is no such key."""
    match = _KEY.fullmatch(key)
    return None if match is None else match[1]
