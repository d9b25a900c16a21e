"""Asking a peer to send less, by REMB (draft-alvestrand-rmcat-remb-03).

Browsers take that as an upper bound beside what transport-wide feedback tells them; it is one for
all that a peer sends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from actors.relay.wire.rtcp import receiver_estimate

if TYPE_CHECKING:
    from actors.relay.forwarding.outlet import Outlet
    from actors.relay.forwarding.publication import Publication

_HEADERS = 1.05
_VOICE = 60_000
"""Left for a voice: Chromium's takes 48 kbit/s with headers, 81 where each frame comes twice."""
_REPEAT = 1.0
"""Seconds: what was asked may have been lost."""
_CHANGED = 0.03
_MOST_GOODBYES = 3
"""How often the bound is lifted, for the same reason."""


class Asking:
    """What one peer has been asked to send at most. Belongs to its transport."""

    __slots__ = ("_goodbyes", "_outlet", "_said", "_said_at")

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._said: float | None = None
        self._said_at = 0.0
        self._goodbyes = 0

    def tick(self, publications: Sequence[Publication], most: float, now: float) -> None:
        """Say what has changed, and again each second; `most` lifts the bound."""
        asked = _asked_of(publications, now)
        if asked is None and self._said is not None:
            self._goodbyes, self._said = _MOST_GOODBYES, None
        elif asked is not None:
            before, self._goodbyes = self._said, 0
            if before is not None and abs(asked - before) < _CHANGED * before:
                asked = before
            if asked != before or now - self._said_at >= _REPEAT:
                self._said = asked
                self._say(publications, asked, now)
            return
        if self._goodbyes and (self._goodbyes == _MOST_GOODBYES or now - self._said_at >= _REPEAT):
            self._goodbyes -= 1
            self._say(publications, most, now)

    def _say(self, publications: Sequence[Publication], bitrate: float, now: float) -> None:
        self._said_at = now
        ssrcs = [layer.ssrc for each in publications for layer in each.layers.values()]
        outlet = self._outlet
        outlet.send_rtcp(receiver_estimate(outlet.feedback_ssrc, round(bitrate), ssrcs))


def _asked_of(publications: Sequence[Publication], now: float) -> float | None:
    """Return the bound for all that a peer sends; None while nothing is asked of it.

    Browsers divide what they are given evenly among their pictures, as far as those want it. So
    none may want more than the one that is to be less; what it does not want it leaves.
    """
    limits = [each.restraint.limit for each in publications if each.restraint.limit is not None]
    if not limits:
        return None
    limit = min(limits)
    voices = _VOICE * sum(not each.video for each in publications)
    return voices + _HEADERS * sum(
        limit if each.restraint.limit is not None else min(limit, each.sent(now))
        for each in publications
        if each.video
    )
