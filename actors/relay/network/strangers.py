"""Media from addresses that nobody has: whose they may be, and how many of them are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from actors.relay.budget import Budget
from actors.relay.network.peer import Peer
from actors.relay.network.port import Key, network_of

_MOST, _MOST_AT_ONCE = 1000, 200
"""Tried in a second, and at once, with somebody's keys. Of 20,000 forged packets a second from as
many addresses a voice beside them has two or three tried in a second: it is found in one mostly."""
_MOST_OF_ONE = 20
"""That failed, of one network in a second: who floods from where they are keeps nobody else from
being found."""
_LOOK_INTERVAL = 0.05
"""Seconds between two looks for who is silent, so that a flood costs next to nothing where nobody
is."""


class Strangers:
    """Of a peer whose address has changed each packet says that, to who tries its keys.

    Whoever forges packets needs an SSRC only. The SSRCs of senders are their own secret, but
    browsers that only receive report as 1. So only that is tried which names somebody who is not
    heard where they were; what names nobody uses up nothing.
    """

    __slots__ = ("_budget", "_failed", "_failed_since", "_looked", "_peers", "_silent")

    def __init__(self, peers: Callable[[], Iterable[Peer]]) -> None:
        """`peers` says who there is."""
        self._peers = peers
        self._budget = Budget(_MOST, _MOST_AT_ONCE)
        self._failed: dict[bytes | str, int] = {}
        """Network → what came from there in this second and was nobody's."""
        self._failed_since = 0.0
        self._silent: list[Peer] = []
        self._looked = 0.0

    def whose(self, ssrc: int, now: float, *, feedback: bool) -> Sequence[Peer]:
        """Return whose this may be; several may go by one SSRC."""
        if now - self._looked >= _LOOK_INTERVAL:
            self._looked = now
            self._silent = [peer for peer in self._peers() if peer.may_have_moved(now)]
        return [peer for peer in self._silent if peer.knows(ssrc, feedback=feedback)]

    def may_try(self, key: Key, now: float) -> bool:
        """Whether one more of this address is tried."""
        if now - self._failed_since >= 1.0:
            self._failed_since = now
            self._failed.clear()
        return self._failed.get(network_of(key), 0) < _MOST_OF_ONE and self._budget.has(1, now)

    def failed(self, key: Key) -> None:
        """Note that it was not whose it might have been."""
        self._budget.spend(1)
        network = network_of(key)
        self._failed[network] = self._failed.get(network, 0) + 1

    def forget(self) -> None:
        """Look anew for who is silent: somebody has gone."""
        self._silent = []
