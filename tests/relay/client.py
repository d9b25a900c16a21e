"""A crafted media client: real UDP, real ICE checks, real DTLS-SRTP, media made by hand.

It is the other end of every relay test that a browser would make slow or imprecise. aioice makes
the checks, aiortc's codec reads what comes back, so the relay's own writers are not their judge.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from aioice import stun
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import (
    AnyRtcpPacket,
    HeaderExtensionsMap,
    RtcpPacket,
    RtcpPsfbPacket,
    RtpPacket,
)
from pylibsrtp import Error as SrtpError
from pylibsrtp import Policy, Session

from actors.relay import MediaRights, OfferLayout, PublishSource, Relay
from actors.relay.dtls import Dtls, DtlsState
from actors.relay.identity import Identity
from actors.relay.pylibsrtp_private import PROFILES
from actors.relay.rtp import (
    AUDIO_LEVEL_URI,
    MID_URI,
    REPAIRED_RID_URI,
    RID_URI,
    TRANSPORT_CC_URI,
)
from actors.relay.transport_feedback import ArrivalLog
from benchmarks.shaper import Downlink

Address: TypeAlias = tuple[str, int]

EVERYTHING = MediaRights(send_audio=True, send_video=True, send_screen=True)

_CHECK_INTERVAL = 0.05


@dataclass(frozen=True)
class Dialect:
    """How one client numbers things; two clients rarely agree."""

    opus: int = 111
    red: int | None = None
    """RED (RFC 2198) for Opus; None where the client does not speak it."""
    vp8: int = 96
    vp8_rtx: int = 97
    h264: int = 102
    h264_rtx: int = 103
    extensions: Mapping[str, int] = field(
        default_factory=lambda: {
            AUDIO_LEVEL_URI: 1,
            TRANSPORT_CC_URI: 3,
            MID_URI: 4,
            RID_URI: 10,
            REPAIRED_RID_URI: 11,
        }
    )
    has_vp8: bool = True
    has_h264: bool = True
    has_rtx: bool = True
    signals_ssrcs: bool = True


@dataclass
class Track:
    """One thing a client sends, with its running numbers."""

    source: PublishSource
    mid: str
    ssrc: int
    rtx_ssrc: int
    payload_type: int
    clock_rate: int
    rid: str = ""
    sequence: int = field(default_factory=lambda: secrets.randbelow(1 << 16))
    timestamp: int = field(default_factory=lambda: secrets.randbits(32))
    picture: int = field(default_factory=lambda: secrets.randbelow(1 << 15))
    level: int = 0
    rtx_sequence: int = 0
    sent: int = 0
    octets: int = 0


@dataclass
class Heard:
    """One RTP packet a client received, decrypted and parsed."""

    packet: RtpPacket
    mid: str
    at: float

    @property
    def picture(self) -> int | None:
        """The 15-bit VP8 picture id, if there is one."""
        payload = self.packet.payload
        if len(payload) > 4 and payload[0] & 0x80 and payload[1] & 0x80:
            return (payload[2] & 0x7F) << 8 | payload[3]
        return None

    @property
    def content(self) -> bytes:
        """What the sender put in behind the VP8 descriptor, or the whole audio payload."""
        payload = self.packet.payload
        return payload[6:] if self.picture is not None else payload


class CraftedClient(asyncio.DatagramProtocol):
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
    ) -> None:
        self.relay = relay
        self.participant_id = participant_id
        self.transport_id = transport_id or f"{participant_id}-1"
        self.rights = rights
        self.dialect = dialect or Dialect()
        self.host = host
        self.rids = tuple(rids)
        self.ufrag = secrets.token_hex(4)
        self.password = secrets.token_hex(16)
        self.remote_ufrag = ""
        self.remote_password = ""
        self.answer = ""
        self.slots: dict[str, tuple[int, int]] = {}
        """MID → (SSRC, RTX SSRC) of the answer."""
        self.heard: list[Heard] = []
        self.reports: list[AnyRtcpPacket] = []
        self.raw_feedback: list[bytes] = []
        """Decrypted RTCP compounds, for what aiortc does not parse."""
        self.answers_checks = True
        self.nominates = True
        self.checks_answered = 0
        self.checks_received = 0
        self.mapped: tuple[str, int] | None = None
        """What the relay's last answer said this client's address is."""
        self.answered_from: str | None = None
        """The address that answer came from."""
        self.undecryptable = 0
        self.on_key_frame_request: Callable[[int], None] | None = None
        self.key_frame_requests: list[tuple[int, float]] = []
        self.raw_received: Callable[[bytes], bool] | None = None
        """Sees every datagram first; True keeps the client from handling it (loss, capture)."""
        self.downlink: Downlink | None = None
        """What shapes everything that comes in; None for the bare loopback."""
        self.arrivals: ArrivalLog | None = None
        """Set by `acknowledge`: transport-wide numbers to report."""
        self._identity = Identity()
        self._dtls: Dtls | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._outbound: Session | None = None
        self._inbound: Session | None = None
        self._checks = itertools.count()
        self._checking: asyncio.TimerHandle | None = None
        self._twcc = 0
        self._map = HeaderExtensionsMap()
        self._mids = itertools.count()
        self._tie_breaker = secrets.randbits(64)
        self._version = itertools.count(1)
        self.tracks: dict[tuple[PublishSource, str], Track] = {}
        self._publish: dict[str, PublishSource] = {}
        self._seats: list[tuple[str, str]] = []
        self._screens: list[str] = []
        for source in publish:
            self._add_track(source)
        for _ in range(seats):
            self._seats.append((str(next(self._mids)), str(next(self._mids))))
        for _ in range(screens):
            self._screens.append(str(next(self._mids)))

    def _add_track(self, source: PublishSource) -> None:
        audio = source is PublishSource.MICROPHONE
        mid = str(next(self._mids))
        self._publish[mid] = source
        dialect = self.dialect
        video_type = dialect.vp8 if dialect.has_vp8 else dialect.h264
        for rid in self.rids if source is PublishSource.CAMERA and self.rids else ("",):
            self.tracks[source, rid] = Track(
                source,
                mid,
                ssrc=1 + secrets.randbelow(0xFFFFFFFE),
                rtx_ssrc=1 + secrets.randbelow(0xFFFFFFFE),
                payload_type=dialect.opus if audio else video_type,
                clock_rate=48000 if audio else 90000,
                rid=rid,
            )

    # -- signalling ----------------------------------------------------------------------------

    @property
    def layout(self) -> OfferLayout:
        return OfferLayout(dict(self._publish), tuple(self._seats), tuple(self._screens))

    def offer(self) -> str:
        """Write the offer as a browser would: nothing gathered, one bundle."""
        sections = [
            *((mid, source) for mid, source in self._publish.items()),
            *((mid, None) for pair in self._seats for mid in pair),
            *((mid, None) for mid in self._screens),
        ]
        audio_mids = {a for a, _ in self._seats} | {
            mid for mid, s in self._publish.items() if s is PublishSource.MICROPHONE
        }
        lines = [
            "v=0",
            f"o=- 1 {next(self._version)} IN IP4 127.0.0.1",
            "s=-",
            "t=0 0",
            "a=group:BUNDLE " + " ".join(mid for mid, _ in sections),
            "a=extmap-allow-mixed",
        ]
        for mid, source in sections:
            lines += self._section(mid, source, audio=mid in audio_mids)
        return "\r\n".join(lines) + "\r\n"

    def _section(self, mid: str, source: PublishSource | None, *, audio: bool) -> list[str]:
        dialect = self.dialect
        codecs: list[str] = []
        numbers: list[int] = []
        if audio:
            numbers.append(dialect.opus)
            codecs += [
                f"a=rtpmap:{dialect.opus} opus/48000/2",
                f"a=rtcp-fb:{dialect.opus} transport-cc",
                f"a=fmtp:{dialect.opus} minptime=10;useinbandfec=1",
            ]
            if dialect.red is not None:
                numbers.append(dialect.red)
                codecs += [
                    f"a=rtpmap:{dialect.red} red/48000/2",
                    f"a=fmtp:{dialect.red} {dialect.opus}/{dialect.opus}",
                ]
        else:
            video = []
            if dialect.has_vp8:
                video.append((dialect.vp8, dialect.vp8_rtx, "VP8", ""))
            if dialect.has_h264:
                fmtp = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
                video.append((dialect.h264, dialect.h264_rtx, "H264", fmtp))
            for number, rtx, name, fmtp in video:
                numbers.append(number)
                codecs.append(f"a=rtpmap:{number} {name}/90000")
                codecs += [
                    f"a=rtcp-fb:{number} {fb}"
                    for fb in ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
                ]
                if fmtp:
                    codecs.append(f"a=fmtp:{number} {fmtp}")
                if dialect.has_rtx:
                    numbers.append(rtx)
                    codecs += [f"a=rtpmap:{rtx} rtx/90000", f"a=fmtp:{rtx} apt={number}"]
        kind = "audio" if audio else "video"
        lines = [
            f"m={kind} 9 UDP/TLS/RTP/SAVPF {' '.join(map(str, numbers))}",
            "c=IN IP4 0.0.0.0",
            f"a=ice-ufrag:{self.ufrag}",
            f"a=ice-pwd:{self.password}",
            f"a=fingerprint:sha-256 {self._identity.fingerprint}",
            "a=setup:actpass",
            f"a=mid:{mid}",
            "a=sendonly" if source is not None else "a=recvonly",
            "a=rtcp-mux",
            "a=rtcp-rsize",
        ]
        lines += [
            f"a=extmap:{number} {uri}"
            for uri, number in dialect.extensions.items()
            if audio or uri != AUDIO_LEVEL_URI
        ]
        lines += codecs
        if source is not None:
            tracks = [t for t in self.tracks.values() if t.mid == mid]
            if tracks[0].rid:
                lines += [f"a=rid:{t.rid} send" for t in tracks]
                lines.append("a=simulcast:send " + ";".join(t.rid for t in tracks))
            elif dialect.signals_ssrcs:
                for track in tracks:
                    if not audio and dialect.has_rtx:
                        lines.append(f"a=ssrc-group:FID {track.ssrc} {track.rtx_ssrc}")
                        lines.append(f"a=ssrc:{track.rtx_ssrc} cname:crafted")
                    lines.append(f"a=ssrc:{track.ssrc} cname:crafted")
        return lines

    def negotiate(self) -> None:
        """Offer, and take what the answer says."""
        self.answer = self.relay.answer(
            self.participant_id, self.transport_id, self.offer(), self.layout, self.rights
        )
        mid = ""
        self.slots.clear()
        for line in self.answer.splitlines():
            name, _, value = line.partition(":")
            if name == "a=mid":
                mid = value
            elif name == "a=ice-ufrag":
                self.remote_ufrag = value
            elif name == "a=ice-pwd":
                self.remote_password = value
            elif name == "a=fingerprint":
                self._remote_fingerprint = value.split()[1]
            elif name == "a=ssrc" and mid not in self.slots:
                self.slots[mid] = (int(value.split()[0]), 0)
            elif name == "a=ssrc-group":
                first, second = value.split()[1:]
                self.slots[mid] = (int(first), int(second))

    # -- connection ----------------------------------------------------------------------------

    async def open(self) -> None:
        """Bind a socket of one's own."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self.host, 0))
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * 1024 * 1024)
        self._transport = transport

    async def connect(self, within: float = 10.0) -> None:
        """Negotiate, check, shake hands; returns when SRTP is ready."""
        await self.open()
        self.negotiate()
        self._keep_checking()
        await self._until(lambda: self.checks_answered > 0, within)
        self.start_dtls()
        await self._until(lambda: self._outbound is not None, within)
        self._map = self._extensions_map()

    async def rebind(self) -> None:
        """Move to another port, as a NAT or a network change would make it."""
        assert self._transport is not None
        self._transport.close()
        await self.open()

    @property
    def local_port(self) -> int:
        assert self._transport is not None
        port: int = self._transport.get_extra_info("sockname")[1]
        return port

    @property
    def fileno(self) -> int:
        assert self._transport is not None
        number: int = self._transport.get_extra_info("socket").fileno()
        return number

    def start_dtls(self) -> None:
        self._dtls = Dtls(
            self._identity.context, {"sha-256": self._remote_fingerprint}, server=False
        )
        self._dtls.start()
        self._flush_dtls()

    def _flush_dtls(self) -> None:
        assert self._dtls is not None
        for datagram in self._dtls.datagrams():
            self.send_raw(datagram)

    async def _until(self, condition: Callable[[], object], within: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while True:
            if condition():
                return
            if loop.time() > deadline:
                raise TimeoutError(f"{self.transport_id} got no answer")
            await asyncio.sleep(0.005)

    def _extensions_map(self) -> HeaderExtensionsMap:
        extensions = HeaderExtensionsMap()
        extensions.configure(
            RTCRtpParameters(
                headerExtensions=[
                    RTCRtpHeaderExtensionParameters(id=number, uri=uri)
                    for uri, number in self.dialect.extensions.items()
                ]
            )
        )
        return extensions

    def _keep_checking(self) -> None:
        self.send_check()
        interval = _CHECK_INTERVAL if not self.checks_answered else 0.25
        self._checking = asyncio.get_running_loop().call_later(interval, self._keep_checking)

    def stop_checking(self) -> None:
        if self._checking is not None:
            self._checking.cancel()
            self._checking = None

    def resume_checking(self) -> None:
        self.stop_checking()
        self._keep_checking()

    def check(self, *, nominate: bool | None = None, password: str | None = None) -> bytes:
        """Make a Binding request; `password` other than the relay's makes a forged one."""
        attributes: dict[str, object] = {
            "USERNAME": f"{self.remote_ufrag}:{self.ufrag}",
            "PRIORITY": 2130706431,
            "ICE-CONTROLLING": self._tie_breaker,
        }
        if self.nominates if nominate is None else nominate:
            attributes["USE-CANDIDATE"] = None
        request = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.REQUEST,
            attributes=attributes,
        )
        request.add_message_integrity((password or self.remote_password).encode())
        return bytes(request)

    def send_check(self, *, nominate: bool | None = None) -> None:
        self.send_raw(self.check(nominate=nominate))

    def send_raw(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, (self.host, self.relay.port))

    def close(self) -> None:
        """Say goodbye and give the socket back."""
        self.stop_checking()
        if self._dtls is not None:
            self._dtls.close()
            self._flush_dtls()
        self.vanish()

    def vanish(self) -> None:
        """Be gone without a word, as a crashed browser is."""
        self.stop_checking()
        if self._transport is not None:
            self._transport.close()

    # -- receiving -----------------------------------------------------------------------------

    def error_received(self, exc: Exception) -> None:
        """Ignore ICMP errors about what was sent to a port that is gone."""

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.answered_from = addr[0]
        if self.downlink is None:
            self._handle(data)
            return
        loop = asyncio.get_running_loop()
        arrival = self.downlink.arrival(len(data), loop.time())
        if arrival is not None:
            loop.call_at(arrival, self._handle, data)

    def _handle(self, data: bytes) -> None:
        if self.raw_received is not None and self.raw_received(data):
            return
        first = data[0]
        if first < 2:
            self._stun_received(data)
        elif 19 < first < 64 and self._dtls is not None:
            self._dtls.receive(data)
            self._flush_dtls()
            if self._dtls.state is DtlsState.CONNECTED and self._outbound is None:
                self._take_keys()
        elif 127 < first < 192 and self._inbound is not None:
            try:
                if 192 <= data[1] <= 223:
                    self._rtcp_received(self._inbound.unprotect_rtcp(data))
                else:
                    self._rtp_received(self._inbound.unprotect(data))
            except SrtpError:
                self.undecryptable += 1

    def _take_keys(self) -> None:
        assert self._dtls is not None
        keys = self._dtls.keys
        assert keys is not None
        profile, _, _ = PROFILES[keys.profile]
        outbound = Policy(keys.client, Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)
        inbound = Policy(keys.server, Policy.SSRC_ANY_INBOUND, srtp_profile=profile)
        # A test may send the same packet twice on purpose.
        outbound.allow_repeat_tx = True
        outbound.window_size = inbound.window_size = 1024
        self._outbound = Session(outbound)
        self._inbound = Session(inbound)

    def _stun_received(self, data: bytes) -> None:
        message = stun.parse_message(data)
        if message.message_class == stun.Class.RESPONSE:
            if message.check_message_integrity(self.remote_password.encode()):
                self.checks_answered += 1
                self.mapped = message.attributes["XOR-MAPPED-ADDRESS"]
        elif message.message_class == stun.Class.REQUEST:
            self.checks_received += 1
            if not self.answers_checks:
                return
            assert message.check_message_integrity(self.password.encode())
            response = stun.Message(
                message_method=stun.Method.BINDING,
                message_class=stun.Class.RESPONSE,
                transaction_id=message.transaction_id,
                attributes={"XOR-MAPPED-ADDRESS": (self.host, self.relay.port)},
            )
            response.add_message_integrity(self.password.encode())
            self.send_raw(bytes(response))

    def _rtp_received(self, data: bytes) -> None:
        packet = RtpPacket.parse(data, self._map)
        mid = packet.extensions.mid or ""
        number = packet.extensions.transport_sequence_number
        if self.arrivals is not None and number is not None:
            self.arrivals.arrived(number, asyncio.get_running_loop().time())
        self.heard.append(Heard(packet, mid, asyncio.get_running_loop().time()))

    def _rtcp_received(self, data: bytes) -> None:
        self.raw_feedback.append(data)
        for packet in _readable(data):
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
        if self._transport is not None and not self._transport.is_closing():
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

    def rtp(
        self,
        track: Track,
        payload: bytes,
        *,
        sequence: int | None = None,
        marker: bool = False,
        level: int | None = None,
        ssrc: int | None = None,
        payload_type: int | None = None,
        mid: str | None = None,
    ) -> bytes:
        """Build and protect one packet, with every extension the dialect has."""
        assert self._outbound is not None
        extensions = self.dialect.extensions
        block = b""

        def add(uri: str, value: bytes) -> None:
            nonlocal block
            if uri in extensions:
                block += bytes([extensions[uri] << 4 | len(value) - 1]) + value

        self._twcc = self._twcc + 1 & 0xFFFF
        add(MID_URI, (track.mid if mid is None else mid).encode())
        add(TRANSPORT_CC_URI, struct.pack("!H", self._twcc))
        if track.rid:
            repair = payload_type in (self.dialect.vp8_rtx, self.dialect.h264_rtx)
            add(REPAIRED_RID_URI if repair else RID_URI, track.rid.encode())
        if level is not None:
            add(AUDIO_LEVEL_URI, bytes([level]))
        block += bytes(-len(block) % 4)
        packet = struct.pack(
            "!BBHII",
            0x90,
            marker << 7 | (track.payload_type if payload_type is None else payload_type),
            track.sequence if sequence is None else sequence,
            track.timestamp,
            track.ssrc if ssrc is None else ssrc,
        )
        packet += struct.pack("!HH", 0xBEDE, len(block) // 4) + block + payload
        return self._outbound.protect(packet)

    def send_audio(self, content: bytes = b"", *, level: int = 40, deliver: bool = True) -> int:
        """Send one 20 ms Opus packet; returns its sequence number."""
        track = self.track(PublishSource.MICROPHONE)
        data = self.rtp(track, content or bytes([0x78]) + secrets.token_bytes(80), level=level)
        return self._step(track, data, 960, len(content), deliver=deliver)

    def _step(self, track: Track, data: bytes, ticks: int, octets: int, *, deliver: bool) -> int:
        sequence = track.sequence
        if deliver:
            self.send_raw(data)
        track.sequence = track.sequence + 1 & 0xFFFF
        track.timestamp = track.timestamp + ticks & 0xFFFFFFFF
        track.sent += 1
        track.octets += octets
        return sequence

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
        track.picture = track.picture + 1 & 0x7FFF
        track.level = track.level + 1 & 0xFF
        sequences = []
        for index, part in enumerate(parts):
            payload = self.vp8_payload(track, part, key=key, first=index == 0)
            data = self.rtp(track, payload, marker=index == len(parts) - 1)
            sequences.append(self._step(track, data, 0, len(payload), deliver=index not in lose))
        track.timestamp = track.timestamp + 3000 & 0xFFFFFFFF
        return sequences

    def vp8_payload(self, track: Track, content: bytes, *, key: bool, first: bool) -> bytes:
        """A descriptor with picture id and TL0PICIDX (RFC 7741), a frame byte, then content."""
        descriptor = bytes(
            [
                0x80 | (0x10 if first else 0),
                0xC0,
                0x80 | track.picture >> 8,
                track.picture & 0xFF,
                track.level,
            ]
        )
        return descriptor + bytes([0x00 if key and first else 0x01]) + content

    def resend(self, track: Track, sequence: int, timestamp: int, payload: bytes) -> None:
        """Send an RTX packet (RFC 4588) that carries an earlier one."""
        dialect = self.dialect
        rtx = dialect.vp8_rtx if track.payload_type == dialect.vp8 else dialect.h264_rtx
        kept = track.timestamp
        track.timestamp = timestamp
        data = self.rtp(
            track,
            struct.pack("!H", sequence) + payload,
            sequence=track.rtx_sequence,
            ssrc=track.rtx_ssrc,
            payload_type=rtx,
        )
        track.timestamp = kept
        track.rtx_sequence = track.rtx_sequence + 1 & 0xFFFF
        self.send_raw(data)

    def send_rtcp(self, packet: bytes) -> None:
        assert self._outbound is not None
        self.send_raw(self._outbound.protect_rtcp(packet))


def _readable(data: bytes) -> list[AnyRtcpPacket]:
    """Read a compound packet by packet, without transport-wide feedback, which aiortc refuses."""
    packets: list[AnyRtcpPacket] = []
    position = 0
    while position < len(data):
        end = position + 4 + 4 * int.from_bytes(data[position + 2 : position + 4], "big")
        if data[position : position + 2] not in (b"\x8f\xcd", b"\xaf\xcd"):
            packets += RtcpPacket.parse(data[position:end])
        position = end
    return packets
