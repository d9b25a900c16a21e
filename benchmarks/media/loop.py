"""The same synthetic peers on the floor, which knows their keys beforehand."""

from __future__ import annotations

from benchmarks.floors.forward import srtp
from benchmarks.media.association import Certificate
from benchmarks.media.party import Media
from benchmarks.media.remote import Remote
from benchmarks.media.source import Camera


class Loop:
    """One room on `benchmarks.floors.forward`."""

    def __init__(self, address: str, *, profile: str, camera: Camera) -> None:
        """`address` is host, port and secret, as the floor says it when it is ready."""
        self.media = Media(Certificate(profile), camera)
        self._profile = profile
        host, port, self._secret = address.split(":")
        self._remote = Remote(address=(host, int(port)))

    async def open(self, sessions: int, size: int) -> None:
        """Make everybody known."""
        del sessions
        for number in range(size):
            peer = self.media.peer()
            peer.remote = self._remote
            peer.profile = self._profile
            peer.socket.connect(self._remote.address)
            peer.outbound = srtp(self._profile, self._secret, number, inbound=False, up=True)
            peer.inbound = srtp(self._profile, self._secret, number, inbound=True, up=False)
            peer.send(bytes([number]))
            self.media.tracks_of(peer)
            self.media.sink(peer, set(), None)
        self.media.ports.add(self._remote.address[1])

    async def close(self) -> None:
        self.media.close()
