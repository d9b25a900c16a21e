"""What a session actor is told when it starts. Holds no id of a person or account."""

from __future__ import annotations

from dataclasses import dataclass, field

from actors.link import Tls
from actors.relay import RelayConfig
from broker.tracing import Traces


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """Deployment-wide settings of session actors."""

    node: str
    """The node's name, as the ledger and operators know it."""
    trunk_key: bytes = field(repr=False)
    """Key that proves gateways and the ledger (`broker.keys`)."""
    tls: Tls | None = field(default=None, repr=False)
    """Encrypts trunks and the ledger link beyond the machine."""
    traces: Traces | None = field(default=None, repr=False)
    """Where spans go of what belongs to a trace."""
    label: str = ""
    """What kind of place the node is."""
    trunk_host: str = "127.0.0.1"
    """Address on which the actor listens for trunks, and which gateways dial."""
    public_url: str = "http://127.0.0.1:8787"
    """Where guests reach the gateway; guest links start with it."""
    relay: RelayConfig = field(default_factory=RelayConfig)
    ice_servers: tuple[str, ...] = ()
    """STUN and TURN URLs told to widgets."""
    turn_secret: bytes | None = field(default=None, repr=False)
    """Shared secret of the TURN servers (REST scheme); `None`: no credentials."""
    relay_only: bool = False
    """Tell widgets to use TURN only."""
    account_id: str | None = None
    """The only account whose sessions it takes, because its process has held one of them."""
    process: str = ""
    """What whoever started the process calls it, and can end it by."""
    lonely_s: float = 10.0
    """With neither trunk nor ledger for this long the actor stops forwarding and ends."""
    stall_s: float = 1.0
    """Having stood still for so long the actor forwards nothing before it knows that the session is
    still its own: the ledger gives none to another sooner (`LedgerPolicy.probe_s`)."""
    report_s: float = 5.0
    """About how often the ledger is told what was counted."""
