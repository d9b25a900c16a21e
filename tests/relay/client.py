"""A crafted media client: real UDP, real ICE checks, real DTLS-SRTP, media made by hand.

It is the other end of every relay test that a browser would make slow or imprecise. aioice makes
the checks, aiortc's codec reads what comes back, so the relay's own writers are not their judge.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable, Sequence
from typing import Unpack

from aiortc.rtp import AnyRtcpPacket, RtcpPsfbPacket, RtpPacket

from actors.relay import MediaRights, OfferLayout, PublishSource, Relay
from actors.relay.wire.transport_feedback import ArrivalLog
from benchmarks.media.association import Certificate
from benchmarks.media.description import Dialect, Section, offer
from benchmarks.media.packet import AUDIO_TICKS, FRAME_TICKS
from benchmarks.media.remote import read
from tests.patience import PATIENCE

from .heard import Heard, extensions_map, readable
from .track import Track, Unusual
from .wire import Address, Wire

EVERYTHING = MediaRights(send_audio=True, send_video=True, send_screen=True)


class CraftedClient(Wire):
    """One participant's peer connection, under the test's control."""

    def __init__(
        self,
        relay: Relay,
        participant_id: str,
        transport_id: str | None = None,
        *,
        publish: Sequence[PublishSource] = (PublishSource.MICROPHONE, PublishSource.CAMERA),
        seats: int = 7,
        screens: int = 1,
        rids: Sequence[str] = (),
        dialect: Dialect | None = None,
        rights: MediaRights = EVERYTHING,
        host: str = "127.0.0.1",
        server: str | None = None,
    ) -> None:
        """Send from `host` to the relay at `server`, which is the same address by default."""
        super().__init__(Certificate(), host)
        self.relay = relay
        self.server = server or host
        self.participant_id = participant_id
        self.transport_id = transport_id or f"{participant_id}-1"
        self.rights = rights
        self.dialect = dialect or Dialect()
        self.rids = tuple(rids)
        self.answer = ""
        self.slots: dict[str, tuple[int, int]] = {}
        """MID → (SSRC, RTX SSRC) of the answer."""
        self.heard: list[Heard] = []
        self.reports: list[AnyRtcpPacket] = []
        self.raw_feedback: list[bytes] = []
        """Decrypted RTCP compounds, for what aiortc does not parse."""
        self.on_key_frame_request: Callable[[int], None] | None = None
        self.key_frame_requests: list[tuple[int, float]] = []
        self.arrivals: ArrivalLog | None = None
        """Set by `acknowledge`: transport-wide numbers to report."""
        self._counter = 0
        self._extensions = extensions_map(self.dialect.extensions)
        self._version = itertools.count(1)
        self._sections = itertools.count()
        mids = map(str, itertools.count())
        self._publish = dict(zip(mids, publish, strict=False))
        self._seats = [(next(mids), next(mids)) for _ in range(seats)]
        self._screens = [next(mids) for _ in range(screens)]
        self.tracks: dict[tuple[PublishSource, str], Track] = {}
        for mid, source in self._publish.items():
            layers = self.rids if source is PublishSource.CAMERA and self.rids else ("",)
            for rid in layers:
                self.tracks[source, rid] = Track(
                    ssrc=1 + secrets.randbelow(0xFFFFFFFE),
                    mid=mid,
                    source=source,
                    dialect=self.dialect,
                    rid=rid,
                )

    # -- signalling ----------------------------------------------------------------------------

    def publish_anew(self) -> None:
        """Give up the sections it sends on for new ones, which are offered next."""
        moved: dict[tuple[PublishSource, str], Track] = {}
        mids: dict[PublishSource, str] = {}
        for (source, rid), track in self.tracks.items():
            mid = mids.setdefault(source, f"again-{next(self._sections)}")
            moved[source, rid] = Track(
                ssrc=1 + secrets.randbelow(0xFFFFFFFE),
                mid=mid,
                source=source,
                dialect=track.dialect,
                rid=rid,
            )
        self.tracks = moved
        self._publish = {mid: source for source, mid in mids.items()}

    @property
    def layout(self) -> OfferLayout:
        return OfferLayout(dict(self._publish), tuple(self._seats), tuple(self._screens))

    def offer(self) -> str:
        """Write the offer as a browser would: nothing gathered, one bundle."""
        sections = [self._published(mid, source) for mid, source in self._publish.items()]
        for audio_mid, video_mid in self._seats:
            sections += [Section(audio_mid, audio=True), Section(video_mid, audio=False)]
        sections += [Section(mid, audio=False) for mid in self._screens]
        return offer(self.own, sections, self.dialect, next(self._version))

    def _published(self, mid: str, source: PublishSource) -> Section:
        tracks = [track for track in self.tracks.values() if track.source is source]
        ssrcs = tuple((track.ssrc, track.rtx_ssrc) for track in tracks)
        rids = tuple(track.rid for track in tracks if track.rid)
        return Section(mid, tracks[0].audio, True, ssrcs, rids)

    def negotiate(self) -> None:
        """Offer, and take what the answer says."""
        self.answered(
            self.relay.answer(
                self.participant_id, self.transport_id, self.offer(), self.layout, self.rights
            )
        )

    def answered(self, answer: str) -> None:
        """Take an answer."""
        self.answer = answer
        self.remote = read(self.answer)
        self.remote.address = self.destination
        self.slots = {
            section.mid: (section.ssrcs[0], section.ssrcs[1] if len(section.ssrcs) > 1 else 0)
            for section in self.remote.sections
            if section.ssrcs
        }

    async def connect(self, within: float = 10.0 * PATIENCE) -> None:
        """Negotiate, check, shake hands; returns when SRTP is ready."""
        await self.open()
        self.negotiate()
        await self.associate(within)
        self.keep_checking()

    @property
    def destination(self) -> Address:
        return self.server, self.relay.port

    # -- receiving -----------------------------------------------------------------------------

    def rtp_received(self, data: bytes) -> None:
        packet = RtpPacket.parse(data, self._extensions)
        now = asyncio.get_running_loop().time()
        number = packet.extensions.transport_sequence_number
        if self.arrivals is not None and number is not None:
            self.arrivals.arrived(number, now)
        self.heard.append(Heard(packet, packet.extensions.mid or "", now))

    def rtcp_received(self, data: bytes) -> None:
        self.raw_feedback.append(data)
        for packet in readable(data):
            self.reports.append(packet)
            if isinstance(packet, RtcpPsfbPacket) and packet.fmt == 1:
                self.key_frame_requests.append(
                    (packet.media_ssrc, asyncio.get_running_loop().time())
                )
                if self.on_key_frame_request is not None:
                    self.on_key_frame_request(packet.media_ssrc)

    def acknowledge(self) -> None:
        """Send transport-wide feedback ten times a second from now on, as browsers do."""
        if self.arrivals is None:
            self.arrivals = ArrivalLog()
        for message in self.arrivals.messages(1, next(iter(self.slots.values()))[0]):
            self.send_rtcp(message)
        if not self.gone:
            asyncio.get_running_loop().call_later(0.1, self.acknowledge)

    def heard_on(self, mid: str, *, repaired: bool = False) -> list[Heard]:
        """Packets of one slot's own SSRC, or of its RTX SSRC."""
        ssrc = self.slots[mid][repaired]
        return [heard for heard in self.heard if heard.packet.ssrc == ssrc]

    def seat(self, index: int) -> tuple[str, str]:
        return self._seats[index]

    def screen(self, index: int) -> str:
        return self._screens[index]

    # -- sending -------------------------------------------------------------------------------

    def track(self, source: PublishSource, rid: str = "") -> Track:
        return self.tracks[source, rid]

    def rtp(self, track: Track, payload: bytes, **unusual: Unpack[Unusual]) -> bytes:
        """Build and protect one packet; the track does not move on."""
        self._counter = self._counter + 1 & 0xFFFF
        return self.protect(track.packet(payload, self._counter, unusual))

    def send_audio(self, content: bytes = b"", *, level: int = 40, deliver: bool = True) -> int:
        """Send one 20 ms Opus packet; returns its sequence number."""
        track = self.track(PublishSource.MICROPHONE)
        payload = content or bytes([0x78]) + secrets.token_bytes(80)
        data = self.rtp(track, payload, level=level)
        if deliver:
            self.send(data)
        return track.step(AUDIO_TICKS, len(payload))

    def send_frame(
        self,
        *,
        key: bool = False,
        parts: Sequence[bytes] = (b"",),
        source: PublishSource = PublishSource.CAMERA,
        rid: str = "",
        lose: Sequence[int] = (),
    ) -> list[int]:
        """Send one VP8 frame of as many packets as `parts`; those in `lose` never leave."""
        track = self.track(source, rid)
        track.begin_picture()
        sequences = []
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            payload = track.vp8_payload(part, key=key, first=index == 0)
            data = self.rtp(track, payload, marker=last)
            if index not in lose:
                self.send(data)
            sequences.append(track.step(FRAME_TICKS if last else 0, len(payload)))
        return sequences

    def resend(self, track: Track, sequence: int, timestamp: int, payload: bytes) -> None:
        """Send an RTX packet (RFC 4588) that carries an earlier one."""
        assert track.rtx_payload_type is not None
        kept = track.timestamp
        track.timestamp = timestamp
        data = self.rtp(
            track,
            sequence.to_bytes(2, "big") + payload,
            sequence=track.rtx_sequence,
            ssrc=track.rtx_ssrc,
            payload_type=track.rtx_payload_type,
        )
        track.timestamp = kept
        track.rtx_sequence = track.rtx_sequence + 1 & 0xFFFF
        self.send(data)
