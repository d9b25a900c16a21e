"""Everybody a load connects, with what each of them sends and receives."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from actors.relay.wire.rtp import TRANSPORT_CC_URI
from benchmarks.media.association import Certificate
from benchmarks.media.description import LOAD, Section, offer
from benchmarks.media.peer import Peer
from benchmarks.media.pump import Pump
from benchmarks.media.remote import read
from benchmarks.media.sink import Sink
from benchmarks.media.source import Camera, Track

Exchange: TypeAlias = Callable[[str, Sequence[tuple[str, str]]], Awaitable[str]]
"""Takes an offer and the MIDs of its seats to the server and returns the answer."""


class Media:
    """Connected peers with their streams. Closed by the load."""

    def __init__(self, certificate: Certificate, camera: Camera) -> None:
        self.certificate = certificate
        self.camera = camera
        self.peers: list[Peer] = []
        self.publishers: list[tuple[Peer, Sequence[Track]]] = []
        self.sinks: list[Sink] = []
        self.tracks: dict[int, Track] = {}
        self.ports: set[int] = set()
        """The server's UDP ports."""

    def peer(self) -> Peer:
        """Add a peer connection that is not connected yet."""
        peer = Peer(self.certificate)
        self.peers.append(peer)
        return peer

    def tracks_of(self, peer: Peer) -> list[Track]:
        """Let a peer publish a microphone as MID 0 and a camera as MID 1."""
        tracks = []
        for mid, audio in (("0", True), ("1", False)):
            number = len(self.tracks) + 1
            ssrc = 1 + secrets.randbelow(0xFFFFFFFE)
            self.tracks[number] = Track(
                ssrc=ssrc, mid=mid, peer=peer, number=number, audio=audio, camera=self.camera
            )
            tracks.append(self.tracks[number])
        self.publishers.append((peer, tracks))
        return tracks

    async def join(self, seats: int, exchange: Exchange) -> None:
        """Connect one person who publishes and receives on one peer connection."""
        peer = self.peer()
        sections = [published(track) for track in self.tracks_of(peer)]
        seat_mids = [(str(2 + 2 * seat), str(3 + 2 * seat)) for seat in range(seats)]
        for audio_mid, video_mid in seat_mids:
            sections += [Section(audio_mid, True), Section(video_mid, False)]
        remote = read(await exchange(offer(peer.own, sections), seat_mids))
        self.ports.add(remote.address[1])
        await peer.connect(remote)
        repairs = {s.ssrcs[1] for s in remote.sections if len(s.ssrcs) > 1}
        self.sink(peer, repairs, LOAD.extensions[TRANSPORT_CC_URI])

    def sink(self, peer: Peer, repair_ssrcs: set[int], counter_id: int | None) -> None:
        """Look at what comes to a peer."""
        self.sinks.append(
            Sink(
                peer,
                self.tracks,
                repair_ssrcs=repair_ssrcs,
                counter_id=counter_id,
                on_key_frame=self.key_frame,
            )
        )

    def key_frame(self, ssrc: int) -> None:
        """Note that somebody needs a key frame of this stream."""
        for track in self.tracks.values():
            if track.ssrc == ssrc:
                track.key_wanted = True

    def pump(self) -> Pump:
        """Start the thread that moves the packets; its owner closes it."""
        return Pump(self.publishers, self.sinks)

    def close(self) -> None:
        for peer in self.peers:
            peer.close()


def published(track: Track) -> Section:
    """The section of an offer in which this track is sent."""
    return Section(track.mid, track.audio, sends=True, ssrcs=((track.ssrc, track.ssrc ^ 1),))
