"""What a synthetic subscriber counts of the packets that come."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from actors.relay.network.pylibsrtp_private import Buffer
from actors.relay.wire.rtp import HEADER
from benchmarks.media import sink as module
from benchmarks.media.sink import Counts, Sink
from benchmarks.media.source import MAGIC, MARK

SSRC = 77


def subscriber(monkeypatch: pytest.MonkeyPatch, repair_ssrcs: set[int]) -> Sink:
    """One that asks for every picture's packet again, and whose packets are not encrypted."""
    monkeypatch.setattr(module, "NACK_SHARE", 1.0)
    plain = SimpleNamespace(unprotect=lambda buffer, size: size)
    peer: Any = SimpleNamespace(inbound=plain)
    track: Any = SimpleNamespace(audio=False, sent_at=[0.0] * 65536)
    return Sink(
        peer,
        {3: track},
        repair_ssrcs=repair_ssrcs,
        counter_id=None,
        on_key_frame=lambda ssrc: None,
    )


def counted(sink: Sink, sequences: list[int]) -> Counts:
    sink.begin()
    for sequence in sequences:
        buffer = Buffer()
        HEADER.pack_into(buffer.view, 0, 0x80, 96, sequence, 0, SSRC)
        MARK.pack_into(buffer.view, HEADER.size, MAGIC, 3, sequence)
        sink._rtp(buffer, HEADER.size + MARK.size, 1.0)
    return sink.finish()


def test_a_repair_under_the_same_ssrc_is_no_packet_and_hides_no_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sink = subscriber(monkeypatch, set())
    # 65535 is asked for and comes again, as does 1; 2 is lost.
    counts = counted(sink, [65534, 65535, 0, 1, 65535, 1, 3])
    assert (counts.packets, counts.repaired, counts.lost, counts.wrong) == (5, 2, 1, 0)
    assert sink.delays.count == 5
    # A round counts for itself.
    counts = counted(sink, [4, 5, 7, 5])
    assert (counts.packets, counts.repaired, counts.lost) == (3, 1, 1)


def test_where_repairs_have_an_ssrc_of_their_own_nothing_is_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sink = subscriber(monkeypatch, {78})
    assert counted(sink, [1, 2, 3]).packets == 3
    assert sink.streams[SSRC].asked == set()
