"""One negotiation with nobody, so that the first with somebody finds everything in its place.

The first certificate and the first offer of a process take four times as long as the next, 13 ms
instead of 3: libraries load their algorithms, expressions are compiled. A standby has the time, a
consumer who is rung has not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from actors.relay.config import RelayConfig
from actors.relay.listener import Grade, SeatUpdate, TransportState
from actors.relay.relay import Relay
from actors.relay.terms import MediaRights, OfferLayout, PublishSource

_SECTION = """\
m={kind} 9 UDP/TLS/RTP/SAVPF {number}
c=IN IP4 0.0.0.0
a=ice-ufrag:rehearse
a=ice-pwd:rehearsalrehearsalrehearsal
a=fingerprint:sha-256 {fingerprint}
a=setup:actpass
a=mid:{mid}
a={direction}
a=rtcp-mux
a=rtpmap:{number} {codec}
"""


class _Nobody:
    """Hears what a relay says of a participant who is not there."""

    def transport_changed(
        self, participant_id: str, transport_id: str, state: TransportState
    ) -> None: ...

    def seats_changed(
        self, participant_id: str, transport_id: str, seats: Sequence[SeatUpdate]
    ) -> None: ...

    def speaker_changed(self, participant_id: str | None) -> None: ...

    def quality_changed(self, participant_id: str, grade: Grade, reason: str) -> None: ...

    def stood_still(self, seconds: float) -> None: ...

    def layers_wanted(
        self,
        participant_id: str,
        transport_id: str,
        source: PublishSource,
        rids: tuple[str, ...],
    ) -> None: ...


async def rehearse(config: RelayConfig) -> None:
    """Open a relay without a socket, answer an offer, close it.

    A UDP port is a session's: whoever looks for those that are held must not find a standby.
    """
    away = replace(config, bind=(), advertise=("127.0.0.1",), ports=range(1))
    relay = Relay(away, _Nobody())
    await relay.open()
    try:
        layout = OfferLayout(
            {"0": PublishSource.MICROPHONE, "1": PublishSource.CAMERA}, (("2", "3"),), ()
        )
        rights = MediaRights(send_audio=True, send_video=True, send_screen=False)
        relay.answer("nobody", "rehearsal", _offer(), layout, rights)
    finally:
        await relay.close()


def _offer() -> str:
    head = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nt=0 0\na=group:BUNDLE 0 1 2 3\n"
    sections = [
        _SECTION.format(
            kind="video" if mid % 2 else "audio",
            number=96 if mid % 2 else 111,
            codec="VP8/90000" if mid % 2 else "opus/48000/2",
            mid=mid,
            direction="sendonly" if mid < 2 else "recvonly",
            fingerprint=":".join(["5A"] * 32),
        )
        for mid in range(4)
    ]
    return (head + "".join(sections)).replace("\n", "\r\n")
