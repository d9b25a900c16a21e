"""The ICE-lite end of one transport: who is heard, and where the relay sends (RFC 8445 §7.3).

Two questions are kept apart. *Heard* is every address from which an authenticated request came,
eight at most. *Selected* is the one the relay sends to, and only an address that has answered the
relay's own authenticated request (or finished the DTLS handshake) can become it: otherwise a
participant could aim a stream at a victim by forging one source address.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, NamedTuple

from actors.relay.budget import Budget
from actors.relay.wire import stun

if TYPE_CHECKING:
    from actors.relay.network.peer import Peer
    from actors.relay.network.port import Endpoint, Socket

_CHECK_INTERVAL = 0.1
_MOST_CHECKS = 20
_CONSENT_INTERVAL = 2.0
"""Seconds between two checks of the address in use."""
_MOST_UNANSWERED = 4
"""Checks in a row; the next one goes out eight seconds after the last that was answered."""
_MOST_GENERATIONS = 4
"""Of credentials that are valid at once: those in use, and the latest that were answered since."""


class Credentials(NamedTuple):
    """One generation of ICE credentials, both ends."""

    ufrag: str
    password: str
    remote_ufrag: str
    remote_password: str

    @classmethod
    def fresh(cls, remote_ufrag: str, remote_password: str) -> Credentials:
        """Draw new local credentials: 72 and 192 bits, within RFC 8839 §5.4's alphabet."""
        return cls(_ice_characters(12), _ice_characters(32), remote_ufrag, remote_password)


def _ice_characters(count: int) -> str:
    # The URL-safe alphabet has "-" and "_", which ICE does not allow.
    return secrets.token_urlsafe(count)[:count].replace("-", "+").replace("_", "/")


class Address:
    """A remote address that proved knowledge of the password."""

    __slots__ = (
        "check",
        "check_sent",
        "checks",
        "confirmed",
        "credentials",
        "endpoint",
        "heard",
        "key",
        "name",
        "socket",
        "transport",
    )

    def __init__(
        self,
        transport: Peer,
        socket: Socket,
        endpoint: Endpoint,
        credentials: Credentials,
        now: float,
    ) -> None:
        self.transport = transport
        self.socket = socket
        self.credentials = credentials
        """What its peer goes by there: not the latest, before a restart has come to anything."""
        self.key = socket.key_of(endpoint)
        """What `Socket.peers` knows this address by."""
        self.name = socket.name_of(endpoint)
        """The same for sendmmsg; None where that is not used."""
        self.endpoint = endpoint
        self.heard = now
        """When something authenticated last came from here."""
        self.confirmed = False
        """Whether something sent here was answered."""
        self.check = b""
        """Transaction id of the relay's own request; empty when none is under way."""
        self.checks = 0
        self.check_sent = 0.0


class IceLite:
    """Validated addresses and the choice among them, for one transport."""

    def __init__(
        self, credentials: Credentials, most_addresses: int, failures: int, checks: int
    ) -> None:
        """Look at so many `failures` and answer so many `checks` a second, a fifth at once."""
        self.generations = [credentials]
        """All that are valid: those in use, then what restarts were answered with since. Answers
        get lost, so that of many restarts in a row perhaps none comes to anything."""
        self.addresses: list[Address] = []
        self.selected: Address | None = None
        self.wanted: Address | None = None
        """Nominated, but not yet confirmed."""
        self._lost_heard: float | None = None
        """When it was heard from an address that another has now; for who has no other."""
        self._answers = False
        """Whether the peer has answered a check; one that never does may hear us all the same."""
        self._unanswered = 0
        """How many checks in a row of the address in use were not."""
        self.failures = Budget(failures, failures)
        """Wrong proofs from elsewhere that are yet looked at."""
        self.known_failures = Budget(failures, failures)
        """The same of addresses that were validated: strangers must not silence them."""
        self.checks = Budget(checks, checks // 5)
        """For requests with the right proof: only who has the password can use it up."""
        self._most_addresses = most_addresses
        self._tie_breaker = secrets.randbits(64)

    @property
    def credentials(self) -> Credentials:
        """Those of the latest answer."""
        return self.generations[-1]

    def restart(self, credentials: Credentials) -> list[Credentials]:
        """Take new credentials (RFC 8445 §9); returns what is invalid now."""
        generations = self.generations
        generations.append(credentials)
        return [generations.pop(1)] if len(generations) > _MOST_GENERATIONS else []

    def credentials_used(self, used: Credentials) -> list[Credentials]:
        """Note a valid request; returns what is invalid now that newer credentials are in use."""
        generations = self.generations
        if used is generations[0]:
            return []
        place = generations.index(used)
        self.generations = generations[place:]
        return generations[:place]

    def find(self, socket: Socket, endpoint: Endpoint) -> Address | None:
        for address in self.addresses:
            if address.endpoint == endpoint and address.socket is socket:
                return address
        return None

    def add(self, address: Address) -> Address | None:
        """Hear one more address; returns the one that had to go for it."""
        self.addresses.append(address)
        if len(self.addresses) <= self._most_addresses:
            return None
        spare = [a for a in self.addresses if a is not self.selected and a is not address]
        oldest = min(spare, key=lambda a: a.heard)
        self.addresses.remove(oldest)
        if self.wanted is oldest:
            self.wanted = None
        return oldest

    def lose(self, address: Address) -> None:
        """Hear this address no more: it has become another peer's."""
        self.addresses.remove(address)
        self._lost_heard = max(self._lost_heard or address.heard, address.heard)
        if self.selected is address:
            self.selected = None
        if self.wanted is address:
            self.wanted = None

    def nominate(self, address: Address, now: float) -> None:
        """Send to this address from now on, as soon as it is confirmed."""
        if self.selected is address:
            self.wanted = None
            return
        if address.confirmed:
            self._select(address)
        elif self.wanted is not address:
            self.wanted = address
            address.checks = 0
            self.send_check(now)

    def confirm(self, address: Address) -> None:
        """Note that something sent to this address was answered by its owner."""
        address.confirmed = True
        address.check = b""
        if self.wanted is address or self.selected is None:
            self._select(address)

    def _select(self, address: Address) -> None:
        if self.selected is not address:
            self._unanswered = 0
        self.selected = address
        self.wanted = None

    def send_check(self, now: float) -> None:
        """Send the relay's own request to the wanted address, again if it is due."""
        wanted = self.wanted
        if wanted is None or (wanted.checks and now - wanted.check_sent < _CHECK_INTERVAL):
            return
        if wanted.checks >= _MOST_CHECKS:
            # Nobody there answers; a later nomination starts over.
            self.wanted = None
            return
        wanted.checks += 1
        self._ask(wanted, now)

    def keep_asking(self, now: float) -> None:
        """Ask the address in use every other second whether anybody hears what is sent there.

        That the peer is heard says nothing of it: a line may be dead in one direction (RFC 7675).
        """
        selected = self.selected
        if selected is not None and now - selected.check_sent >= _CONSENT_INTERVAL:
            # Whoever is not heard either proves nothing by not answering.
            self._unanswered += selected.heard > selected.check_sent
            self._ask(selected, now)

    @property
    def is_unheard(self) -> bool:
        """Whether the peer has ceased to answer what is sent to it."""
        return self._answers and self._unanswered > _MOST_UNANSWERED

    def _ask(self, address: Address, now: float) -> None:
        """Send a request; a repeated one is the same, so that a late answer counts."""
        if not address.check:
            address.check = secrets.token_bytes(12)
        address.check_sent = now
        credentials = address.credentials
        request = stun.check(
            f"{credentials.remote_ufrag}:{credentials.ufrag}",
            credentials.remote_password.encode(),
            address.check,
            self._tie_breaker,
        )
        address.socket.send(request, address.endpoint)

    def check_answered(self, address: Address, data: bytes, now: float) -> bool:
        """Take a Binding response from a validated address; True when it confirms it."""
        if not address.check or stun.transaction_of(data) != address.check:
            return False
        password = address.credentials.remote_password.encode()
        if stun.parse(data, password) is None or stun.unknown_attributes(data):
            # RFC 8489 §6.3.3: an answer that cannot be comprehended is none.
            return False
        address.heard = now
        self.confirm(address)
        if address is self.selected:
            self._answers, self._unanswered = True, 0
        return True

    def follow_the_peer(self, now: float, silence: float) -> None:
        """If the selected address is silent, or lost, go to where the peer was heard last."""
        selected = self.selected
        if self.wanted is not None or not self.addresses:
            return
        latest = max(self.addresses, key=lambda a: a.heard)
        if selected is None or (
            now - selected.heard > silence and latest.heard - selected.heard > silence
        ):
            self.nominate(latest, now)

    def last_heard(self) -> float | None:
        """Return when the peer was heard, by whichever address; None before it first was."""
        return max((a.heard for a in self.addresses), default=self._lost_heard)
