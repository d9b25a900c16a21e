"""How loud a voice is, by the audio levels of its packets (RFC 6464)."""

from __future__ import annotations

from actors.relay.wire.rtp import SILENT

_WEIGHT = 0.1
"""Of one packet in the smoothed loudness; at 20 ms a packet, 0.2 s to follow a voice."""


class Loudness:
    """One voice, smoothed. Counts dB above silence, so that louder is more."""

    __slots__ = ("_at", "_value")

    def __init__(self) -> None:
        self._value = 0.0
        self._at = -1e9

    def heard(self, level: int, now: float) -> None:
        """Take a packet's level in -dBov; its top bit (voice activity) is ignored."""
        self._value += ((SILENT - (level & 0x7F)) - self._value) * _WEIGHT
        self._at = now

    def at(self, now: float) -> float:
        """Return the loudness; with discontinuous transmission no packet means silence."""
        return self._value if now - self._at < 0.4 else 0.0
