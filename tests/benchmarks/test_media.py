"""The synthetic media load: what it sends is what it says, and a relay forwards it whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from actors.relay import MediaRights, OfferLayout, PublishSource, Relay, RelayConfig
from benchmarks.media import load
from benchmarks.media.association import Certificate
from benchmarks.media.beside import PROFILE
from benchmarks.media.party import Media
from benchmarks.media.source import MOST_PAYLOAD, Camera, split
from tests.patience import until
from tests.relay.recording import RecordingListener

PUBLISH = {"0": PublishSource.MICROPHONE, "1": PublishSource.CAMERA}
EVERYTHING = MediaRights(send_audio=True, send_video=True, send_screen=False)


@pytest.mark.parametrize("octets", [1, MOST_PAYLOAD, MOST_PAYLOAD + 1, 3333, 16_000])
def test_a_frame_is_split_as_libwebrtc_does(octets: int) -> None:
    sizes = split(octets)
    assert sum(sizes) == octets
    assert len(sizes) == -(-octets // MOST_PAYLOAD)
    assert sizes == sorted(sizes)
    assert sizes[-1] - sizes[0] <= 1


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    relay = Relay(RelayConfig(), RecordingListener())
    await relay.open()
    yield relay
    await relay.close()
    # Lets closed sockets run their last callback.
    await asyncio.sleep(0)


class Connecting:
    """A server at which one is connected and the other is not for a while."""

    def __init__(self) -> None:
        self.peers = [SimpleNamespace(profile=profile, checks=0) for profile in ("GCM", "")]
        for peer in self.peers:
            peer.send_check = lambda peer=peer: setattr(peer, "checks", peer.checks + 1)
        self.media = cast(Media, SimpleNamespace(peers=self.peers))

    async def open(self, sessions: int, size: int) -> None:
        await until(lambda: self.peers[0].checks >= 3)

    async def close(self) -> None:
        """Nothing is open."""


async def test_who_is_connected_is_not_silent_until_everybody_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(load, "CHECK_SECONDS", 0.001)
    server = Connecting()
    await load.connect(server, 1, 2)
    sent = [peer.checks for peer in server.peers]
    assert sent[1] == 0, "there is no address yet"
    assert len(asyncio.all_tasks()) == 1, "the pump does it from here on"


async def test_everybody_receives_everything_and_knows_whose_it_is(relay: Relay) -> None:
    media = Media(Certificate(PROFILE), Camera())
    for name in ("ada", "ben", "cem"):

        async def exchange(sdp: str, seats: Sequence[tuple[str, str]], name: str = name) -> str:
            layout = OfferLayout(PUBLISH, tuple(seats), ())
            return relay.answer(name, f"{name}-1", sdp, layout, EVERYTHING)

        await media.join(2, exchange)
    pump = media.pump()
    try:
        pump.begin()
        await until(lambda: sum(s.counts.packets for s in media.sinks) > 200)
        pump.mark()
        await until(
            lambda: (
                sum(s.counts.packets for s in media.sinks) > 200
                and sum(s.counts.repaired for s in media.sinks) > 0
            ),
            "packets, and some that were asked for again",
        )
        report = await asyncio.to_thread(pump.end)
    finally:
        await asyncio.to_thread(pump.close)
        media.close()
    assert {peer.profile for peer in media.peers} == {PROFILE}
    assert report.counts.lost == 0
    assert report.counts.wrong == 0
    assert report.counts.undecryptable == 0
    assert abs(report.counts.packets - 2 * report.sent) <= 30, "each packet goes to two others"
    assert report.delays.count == report.counts.packets
    assert relay.mistakes == 0
