"""Who is speaking: the loudest, with hysteresis."""

from __future__ import annotations

from collections.abc import Mapping

from actors.relay.wire.rtp import SILENT

_SPEAKING = SILENT - 55
"""Louder than -55 dBov counts as speech."""
_MARGIN = 6.0
"""By how many dB a challenger must be louder..."""
_PATIENCE = 0.4
"""...and for how many seconds. Below it, a cough would change the picture."""
_QUIET = 2.0
"""Seconds without speech until nobody is the speaker."""


class SpeakerChoice:
    """Chooses the speaker from everybody's loudness; ask it at most five times a second."""

    __slots__ = ("_challenger", "_last_speech", "_since", "current")

    def __init__(self) -> None:
        self.current: str | None = None
        self._challenger: str | None = None
        self._since = 0.0
        self._last_speech = 0.0

    def decide(self, loudness: Mapping[str, float], now: float) -> str | None:
        """Return who speaks now."""
        loudest = max(loudness, key=lambda person: loudness[person], default=None)
        if self.current is not None and self.current not in loudness:
            self.current = None
        if loudest is None or loudness[loudest] < _SPEAKING:
            self._challenger = None
            if now - self._last_speech > _QUIET:
                self.current = None
            return self.current
        if self.current is None:
            self.current = loudest
        if loudness[self.current] >= _SPEAKING:
            self._last_speech = now
        if loudest == self.current:
            self._challenger = None
        elif _SPEAKING <= loudness[self.current] and (
            loudness[loudest] < loudness[self.current] + _MARGIN
        ):
            self._challenger = None
        elif loudest != self._challenger:
            self._challenger = loudest
            self._since = now
        elif now - self._since >= _PATIENCE:
            self.current = loudest
            self._last_speech = now
            self._challenger = None
        return self.current
