"""What a crafted client receives, read by a codec that is not the relay's own: aiortc's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import AnyRtcpPacket, HeaderExtensionsMap, RtcpPacket, RtpPacket

_TRANSPORT_FEEDBACK = (b"\x8f\xcd", b"\xaf\xcd")


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


def extensions_map(numbers: Mapping[str, int]) -> HeaderExtensionsMap:
    """Return what aiortc reads header extensions by: URI → id."""
    extensions = HeaderExtensionsMap()
    extensions.configure(
        RTCRtpParameters(
            headerExtensions=[
                RTCRtpHeaderExtensionParameters(id=number, uri=uri)
                for uri, number in numbers.items()
            ]
        )
    )
    return extensions


def readable(data: bytes) -> list[AnyRtcpPacket]:
    """Read a compound packet by packet, without transport-wide feedback, which aiortc refuses."""
    packets: list[AnyRtcpPacket] = []
    position = 0
    while position < len(data):
        end = position + 4 + 4 * int.from_bytes(data[position + 2 : position + 4], "big")
        if data[position : position + 2] not in _TRANSPORT_FEEDBACK:
            packets += RtcpPacket.parse(data[position:end])
        position = end
    return packets
