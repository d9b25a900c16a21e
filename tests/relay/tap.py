"""What a crafted client is sent, as it comes off the wire."""

from __future__ import annotations

import random

import pytest

from benchmarks.media.description import Dialect

from .client import CraftedClient

WITHOUT_RTX = Dialect(vp8_rtx=None, h264_rtx=None)
"""How somebody speaks who must be sent the very bytes again."""
either = pytest.mark.parametrize("dialect", [None, WITHOUT_RTX], ids=["rtx", "the same bytes"])
"""Whoever has RTX, and whoever has none."""


class Tap:
    """Sees every SRTP packet on its way to a client, and lets some of them get lost."""

    def __init__(self, client: CraftedClient) -> None:
        self.seen: list[bytes] = []
        self.lost: list[bytes] = []
        self.repeated: list[bytes] = []
        """What had come before, byte for byte."""
        self.lose: set[int] = set()
        """Places in `seen` that do not reach the client."""
        self.loss = 0.0
        """The fraction of first copies that does not reach it either."""
        self._random = random.Random(1)
        self._copies: set[bytes] = set()
        client.raw_received = self._take

    def _take(self, data: bytes) -> bool:
        if not 127 < data[0] < 192 or 192 <= data[1] <= 223:
            return False
        place = len(self.seen)
        self.seen.append(data)
        first = data not in self._copies
        self._copies.add(data)
        if not first:
            self.repeated.append(data)
        lost = place in self.lose or (first and self._random.random() < self.loss)
        if lost:
            self.lost.append(data)
        return lost

    def beyond_first_copies(self, ssrc: int) -> list[bytes]:
        """What came of one slot and of its RTX apart from each packet's first copy."""
        firsts = {data for data in self.seen if int.from_bytes(data[8:12], "big") == ssrc}
        beyond = []
        for data in self.seen:
            if data in firsts:
                firsts.remove(data)
            else:
                beyond.append(data)
        return beyond
