"""Everything a gateway can be told, checked before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from broker.errors import ErrorCode, NotFound
from broker.ids import normal_id
from broker.keys import MIN_SECRET_BYTES
from broker.policy import LONGEST_MS, Policy
from gateway.accounts import Account

AGENT_SDK = "https://lpcdn.lpsnmedia.net/webagent/client-SDK.min.js"
"""LivePerson's Agent Workspace Widget SDK (`sdk-reference` §1.1)."""
WINDOW_SDK = "https://lpcdn.lpsnmedia.net/unifiedwindow/widgetSDK.min.js"
"""LivePerson's Engagement Window Widget SDK (`sdk-reference` §2.1)."""
WIDGETS_FOLDER = Path(__file__).resolve().parent.parent / "widgets"


class BadSettings(Exception):
    """A setting cannot work. The text is one sentence an operator can act on."""


class Away(BadSettings):
    """What is asked does not answer now. The same may go well in a moment."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of rate, size and time; every one may be changed per deployment."""

    hello_timeout_s: float = 10.0
    """A connection that has not said hello by then is closed."""
    silent_s: float = 30.0
    """A widget that sends nothing (not even `connection.ping`) for this long is closed."""
    messages_per_s: float = 50.0
    """Messages one connection may send, in the long run."""
    message_burst: int = 200
    """Messages one connection may send at once."""
    connections: int = 20_000
    """Widget connections of one gateway."""
    connections_before_hello: int = 4_000
    """Connections of one gateway that have not proved anything yet."""
    connections_before_hello_from_one: int = 1_000
    """The same from one address: a whole office may stand behind one."""
    connections_by_claim: int = 14_000
    """Consumers of one gateway who are known by nothing but their claim, which costs nothing: the
    rest is for those who prove more."""
    connections_by_claim_from_one: int = 4_000
    """The same from one address."""
    outgoing_bytes: int = 1024 * 1024
    """Bytes waiting for one widget; above it the connection is stuck and closed with 4429."""
    held_messages: int = 64
    """Messages of a widget kept while its session is being taken over."""
    trunk_ping_s: float = 0.25
    """Heartbeat of trunks."""
    trunk_silent_s: float = 1.0
    """A trunk silent for this long is suspect: the ledger is asked to make sure."""
    dial_timeout_s: float = 2.0
    """Connecting and handshake of one trunk or ledger link."""
    last_answers_s: float = 0.5
    """How long a move waits for what the actor before has still to answer."""
    takeover_bound_s: float = 15.0
    """How long a gateway looks for a session's new actor before it gives the widget up (4503)."""
    call_timeout_s: float = 3.0
    """One call to the ledger."""
    locate_timeout_s: float = 6.0
    """Finding a session, which the ledger lets wait until somebody holds it again."""
    open_timeout_s: float = 10.0
    """`session.open`, which may wait for a standby."""
    requests_per_minute: float = 120.0
    """Unauthenticated requests of one address: waiting tokens, guest codes, demo tokens."""
    request_burst: int = 60
    """The same, at once."""
    guest_tries_per_minute: float = 10.0
    """Guest codes one address may try."""
    guest_try_burst: int = 10
    """The same, at once."""
    engagement_tries_per_minute: float = 60.0
    """Waiting tokens for one engagement, from whatever addresses."""
    engagement_try_burst: int = 30
    """The same, at once."""
    account_requests_per_minute: float = 1_200.0
    """Requests of one account's backend, whatever its API keys."""
    account_request_burst: int = 300
    """The same, at once."""
    addresses: int = 50_000
    """Addresses whose rates are remembered; the longest unseen is forgotten first."""
    stop_bound_s: float = 5.0
    """How long a stopping gateway waits for its connections."""


@dataclass(frozen=True, slots=True)
class DemoHost:
    """The demo: its second origin, and the one engagement it shows."""

    origin: str
    """Where workspace and shop are served, such as `http://127.0.0.1:8788`."""
    account_id: str = "demo"
    agent_id: str = "7"
    agent_name: str = "Alex"


@dataclass(frozen=True, slots=True)
class Settings:
    """What one gateway needs to know.

    Raises:
        BadSettings: a value that cannot work, in one sentence.
    """

    origin: str
    """The gateway's own public origin, such as `https://video.example.com`."""
    secret: bytes = field(repr=False)
    """The deployment's secret, at least 32 bytes; every key is derived from it."""
    accounts: Mapping[str, Account] = field(default_factory=dict)
    gateway_id: str = "gateway"
    """Random, one per process life; other parts know this gateway by it."""
    node: str = "local"
    allowed_origins: tuple[str, ...] = ()
    """Wrapper pages' origins that may open a widget WebSocket, besides the gateway's own."""
    allowed_hosts: tuple[str, ...] = ()
    """Values of `Host` to accept; empty accepts all. The demo always sets them."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses whose `X-Forwarded-For` is believed."""
    metrics_networks: tuple[str, ...] = ()
    """Whose addresses are shown `/metrics`, beside private ones."""
    widgets: Path = WIDGETS_FOLDER
    agent_sdk: str = AGENT_SDK
    window_sdk: str = WINDOW_SDK
    demo: DemoHost | None = None
    limits: Limits = field(default_factory=Limits)
    agent_token_s: int = 3_600
    """Longest life of an agent token."""
    waiting_token_s: int = 900
    link_token_s: int = 3_600
    """Life of a waiting token that a one-time link was exchanged for."""
    guest_token_s: int = 600
    """How long a guest may take from the name page into the session."""
    session_s: int = LONGEST_MS // 1_000 + 600
    """Life of a resume token: the longest session and a little more."""

    def __post_init__(self) -> None:
        if len(self.secret) < MIN_SECRET_BYTES:
            raise BadSettings(
                f"The cluster secret has {len(self.secret)} bytes; give it at least "
                f"{MIN_SECRET_BYTES}, for example the output of `openssl rand -hex 32`."
            )
        for origin in (self.origin, *self.allowed_origins):
            check_origin(origin)
        if self.demo is not None:
            check_origin(self.demo.origin)
            for origin in (self.origin, self.demo.origin):
                if not is_loopback(urlsplit(origin).hostname or ""):
                    raise BadSettings(
                        f"Demo mode mints tokens for anybody, so it runs on loopback only, "
                        f"not on {origin}."
                    )

    def account(self, account_id: str) -> Account:
        """Return an account that is served here: proofs outlive one that is not any more.

        Raises:
            NotFound: `unknown_account`.
        """
        account = self.accounts.get(normal_id(account_id) or "")
        if account is None:
            raise NotFound(ErrorCode.UNKNOWN_ACCOUNT, "This account is not served here.")
        return account

    def label_of(self, account_id: str) -> str:
        """Which kind of node may have an account's sessions; empty: any."""
        account = self.accounts.get(account_id)
        return "" if account is None else account.label

    def policy_of(self, account_id: str) -> dict[str, object]:
        """What an account sets about its sessions; empty: what the deployment does."""
        account = self.accounts.get(account_id)
        return {} if account is None else dict(account.policy)

    def monitors(self, account_id: str) -> bool:
        """Whether an account lets supervisors listen unseen."""
        account = self.accounts.get(account_id)
        return account is not None and account.monitors

    def lists_colleagues(self, account_id: str) -> bool:
        """Whether an account's agents see one another by name."""
        account = self.accounts.get(account_id)
        return account is not None and account.colleagues

    @property
    def host(self) -> str:
        """The `Host` of the gateway's own origin."""
        return urlsplit(self.origin).netloc

    @property
    def own_websocket(self) -> str:
        """The gateway's own origin, as a `connect-src` for WebSockets."""
        return self.origin.replace("http", "ws", 1)


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What `switchboard demo` was asked for."""

    gateway_port: int = 8787
    host_port: int = 8788
    bind: str = "127.0.0.1"
    data_dir: Path | None = None
    """Where secret, API key and database lie; `None`: where the demo always keeps them."""
    standbys: int = 2
    pages: tuple[str, ...] = ()
    """Origins beside its own that may frame its widgets, as of a brand's page on another port."""
    webhooks: tuple[str, ...] = ()
    """URLs that get the account's events, signed with `webhook-secret` of the data folder."""
    verbose: bool = False
    policy: tuple[tuple[str, object], ...] = ()
    """Session policy values that differ from the defaults of `broker.policy.Policy`."""

    def __post_init__(self) -> None:
        try:
            Policy.from_mapping(dict(self.policy))
        except ValueError as error:
            raise BadSettings(str(error)) from error
        for page in self.pages:
            check_origin(page)
        if not is_loopback(self.bind):
            raise BadSettings(
                f"Demo mode mints tokens for anybody, so it binds loopback addresses only, "
                f"not {self.bind}."
            )
        for port in (self.gateway_port, self.host_port):
            if not 0 <= port <= 65_535:
                raise BadSettings(f"{port} is no port; choose one from 1 to 65535.")
        if self.gateway_port == self.host_port and self.gateway_port != 0:
            raise BadSettings(
                "The gateway and the demo page need two ports, because two ports are two origins."
            )
        if self.standbys < 1:
            raise BadSettings("The demo needs at least one standby.")


def is_loopback(host: str) -> bool:
    """Whether a host name or address can be reached from this machine only."""
    if host == "localhost" or host.endswith(".localhost"):
        # RFC 6761 §6.3: names below it are loopback's, too.
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_origin(origin: str) -> None:
    """Refuse what no browser would send as `Origin`.

    Raises:
        BadSettings: no scheme, no host, or a path behind it.
    """
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query:
        raise BadSettings(
            f"{origin!r} is no origin; write scheme, host and port only, "
            "such as https://video.example.com."
        )
