"""What `switchboard up` is told, checked before anything starts."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from broker.policy import Policy
from gateway.commands import ray_stranger
from gateway.settings import BadSettings, check_origin, is_loopback

_DATABASES = ("sqlite", "postgresql")


MOST_SHARDS = 64
MOST_RESERVE = 1_000
"""More than one machine has sessions."""
MOST_REUSE = 20
"""A process does not grow old: what its libraries leak or leave in pieces ends with it."""
MOST_FILLED = 0.8
"""Nodes that are filled further have no room for who comes while others start."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What one deployment is, as its operator says it.

    Raises:
        BadSettings: a value that cannot work, in one sentence with what to do.
    """

    origin: str
    """Where browsers reach the gateways, such as `https://video.example.com`."""
    accounts_file: Path
    secret_file: Path
    bind: str = "127.0.0.1"
    port: int = 8787
    address: str | None = None
    """An existing Ray, `host:port`; `None` starts a private one on this machine."""
    database: str | None = None
    """SQLAlchemy URL without a password; `None`: SQLite in the data folder."""
    database_passfile: Path | None = None
    """A file of PostgreSQL's `.pgpass` form, at the same path on every node."""
    data_dir: Path | None = None
    standbys: int = 4
    reserve: int = 16
    """Standbys beside those, for the sessions of the fullest node: as many as it has, at most."""
    ledger_shards: int = 1
    """Among how many ledgers the accounts are divided; more than one needs PostgreSQL."""
    reuse: int = 20
    """How many further sessions of its account a session actor's process may hold; 0: none."""
    vacate_below: float = 0.0
    """Let nodes run empty while the others would be filled to at most this share; 0: never."""
    media_bind: tuple[str, ...] = ()
    """Local addresses for media; empty: loopback on a private Ray, otherwise each node's own."""
    advertise: tuple[str, ...] = ()
    """Addresses told to browsers instead of the bound ones (behind a 1:1 NAT)."""
    media_ports: tuple[int, int] = (0, 1)
    """First UDP port and one past the last; (0, 1) lets the kernel choose."""
    certificate: Path | None = None
    certificate_key: Path | None = None
    trusted_proxies: tuple[str, ...] = ()
    metrics_networks: tuple[str, ...] = ()
    """Networks that are shown `/metrics` beside private addresses."""
    turn: tuple[str, ...] = ()
    turn_secret_file: Path | None = None
    relay_only: bool = False
    policy: tuple[tuple[str, object], ...] = ()

    def __post_init__(self) -> None:
        check_origin(self.origin)
        self._check_edge()
        self._check_database()
        self._check_media()
        if self.standbys < 1:
            raise BadSettings("A deployment needs at least one standby; give --standbys 1 or more.")
        if not 0 <= self.reserve <= MOST_RESERVE:
            raise BadSettings(
                f"--reserve goes from 0 (none) to {MOST_RESERVE}, not {self.reserve}."
            )
        if not 0 <= self.reuse <= MOST_REUSE:
            raise BadSettings(f"--reuse goes from 0 (never) to {MOST_REUSE}, not {self.reuse}.")
        if not 0 <= self.vacate_below <= MOST_FILLED:
            raise BadSettings(
                f"--vacate-below goes from 0 (never) to {MOST_FILLED}, not {self.vacate_below}."
            )
        for path, what in (
            (self.accounts_file, "accounts file"),
            (self.secret_file, "secret file"),
            (self.certificate, "certificate"),
            (self.certificate_key, "certificate's key"),
            (self.database_passfile, "database password file"),
            (self.turn_secret_file, "TURN secret file"),
        ):
            if path is not None and not os.access(path, os.R_OK):
                raise BadSettings(f"The {what} {path} cannot be read; check its path and rights.")
        for path in (self.database_passfile, self.turn_secret_file):
            if path is not None and path.stat().st_mode & 0o077:
                raise BadSettings(f"Others can read {path}; run `chmod 600` on it.")
        try:
            Policy.from_mapping(dict(self.policy))
        except ValueError as error:
            raise BadSettings(str(error)) from error

    @property
    def data(self) -> Path:
        """Where the run file lies, and the database if it is SQLite."""
        return self.data_dir or default_data_dir()

    @property
    def database_url(self) -> str:
        """The database as the ledger opens it: the password's file stands in it, never itself."""
        url = self.database or f"sqlite:///{self.data.resolve() / 'ledger.sqlite3'}"
        return join_passfile(url, self.database_passfile)

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a file on one node."""
        return self.database is None or self.database.startswith("sqlite")

    def _check_edge(self) -> None:
        check_networks(self.metrics_networks)
        if not 0 <= self.port <= 65_535:
            raise BadSettings(f"{self.port} is no port; choose one from 1 to 65535.")
        if (self.certificate is None) != (self.certificate_key is None):
            raise BadSettings("A certificate and its key belong together: give both or neither.")
        host = urlsplit(self.origin).hostname or ""
        secure = self.origin.startswith("https:")
        if not secure and not is_loopback(host):
            raise BadSettings(
                f"Browsers give no camera to {self.origin}: it must be https, with "
                "--certificate and --certificate-key or behind a proxy (--trusted-proxy)."
            )
        if not secure and self.certificate is not None:
            raise BadSettings("With a certificate the origin begins with https://.")
        if secure and self.certificate is None and not self.trusted_proxies:
            raise BadSettings(
                "An https origin needs --certificate and --certificate-key, or the address of "
                "the proxy in front by --trusted-proxy."
            )
        if "*" in self.trusted_proxies:
            raise BadSettings("--trusted-proxy '*' would let anybody forge addresses; list them.")
        # A name would match nobody, and all widgets would have the proxy's address.
        check_networks(self.trusted_proxies)

    def _check_database(self) -> None:
        if not 1 <= self.ledger_shards <= MOST_SHARDS:
            raise BadSettings(
                f"--ledger-shards goes from 1 to {MOST_SHARDS}, not {self.ledger_shards}."
            )
        if self.is_sqlite and self.ledger_shards > 1:
            raise BadSettings(
                f"SQLite serves one ledger; --ledger-shards {self.ledger_shards} needs --database "
                "postgresql://USER@HOST/NAME with --database-passfile."
            )
        if self.vacate_below > 0 and self.ledger_shards > 1:
            raise BadSettings(
                "--vacate-below goes with one ledger: of several each would let another node run "
                "empty."
            )
        if self.database is None:
            return
        named = check_database(self.database)
        if named == "sqlite" and self.database_passfile is not None:
            raise BadSettings("--database-passfile is for PostgreSQL; SQLite has no password.")

    def _check_media(self) -> None:
        first, end = self.media_ports
        if (first, end) != (0, 1) and not 1024 <= first < end <= 65_536:
            raise BadSettings("--media-ports is FIRST-LAST within 1024 and 65535.")
        if self.turn and self.turn_secret_file is None:
            raise BadSettings("--turn needs --turn-secret-file, the secret shared with coturn.")
        if self.turn_secret_file is not None and not self.turn:
            raise BadSettings("--turn-secret-file needs --turn, the servers' URLs.")
        if self.relay_only and not self.turn:
            raise BadSettings("--relay-only leaves no path without --turn.")
        for url in self.turn:
            if not url.startswith(("turn:", "turns:", "stun:")):
                raise BadSettings(f"{url!r} is no TURN server; write turn:HOST:PORT or turns:….")


def check_database(url: str) -> str:
    """Refuse a database that is none or that shows its password; returns which kind it is.

    Raises:
        BadSettings: see above. The URL is never repeated.
    """
    try:
        parts = urlsplit(url)
        named = parts.scheme.split("+")[0]
        hidden = parts.password is not None or "password" in dict(parse_qsl(parts.query))
    except ValueError as error:
        raise BadSettings(f"The database URL cannot be read: {error}.") from error
    if named not in _DATABASES:
        raise BadSettings("The database must be sqlite:///FILE or postgresql://USER@HOST/NAME.")
    if hidden:
        raise BadSettings(
            "The database URL holds a password, which process lists show; write it into a "
            "file of .pgpass form and give --database-passfile."
        )
    return named


def join_passfile(url: str, passfile: Path | None) -> str:
    """Put the path of the password's file into a database URL.

    Raises:
        BadSettings: the URL is none, or holds the password itself.
    """
    check_database(url)
    if passfile is None:
        return url
    parts = urlsplit(url)
    query = [*parse_qsl(parts.query), ("passfile", str(passfile.resolve()))]
    return urlunsplit(parts._replace(query=urlencode(query)))


def check_networks(texts: Iterable[str]) -> tuple[str, ...]:
    """Refuse what is no network. Raises BadSettings."""
    for text in texts:
        try:
            ip_network(text, strict=False)
        except ValueError:
            raise BadSettings(
                f"{text!r} is no network; write an address, or 10.0.0.0/24."
            ) from None
    return tuple(texts)


def default_data_dir() -> Path:
    """Where a deployment keeps its run file, and its database if it is SQLite."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "switchboard" / "deployment"


def read_ports(text: str | None) -> tuple[int, int]:
    """Read FIRST-LAST; `None` lets the kernel choose.

    Raises:
        BadSettings: it is not two numbers.
    """
    if text is None:
        return 0, 1
    first, _, last = text.partition("-")
    try:
        return int(first), int(last or first) + 1
    except ValueError:
        raise BadSettings("--media-ports is FIRST-LAST, such as 40000-40999.") from None


def require_token(address: str) -> None:
    """Refuse to use a Ray that anybody who reaches it may use; asking it takes a second or two.

    Raises:
        BadSettings: token authentication is not switched on, here or there.
    """
    here = os.environ.get("RAY_AUTH_MODE") == "token"
    if not here or ray_stranger.reception(address) == "served":
        raise BadSettings(
            "Ray runs the code of whoever reaches it: start its nodes and this command with "
            "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH."
        )
