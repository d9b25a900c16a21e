"""Rewriting: whatever comes in, a slot's outgoing numbering has the properties a decoder needs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.relay.forwarding.numbering import MAX_DROPOUT, Numbering
from actors.relay.wire.rtp import ahead, unwrap
from actors.relay.wire.vp8 import parse_vp8

_START = 0x10000


fates = st.sampled_from(["send"] * 6 + ["lose", "late", "padding"])
feeds = st.lists(st.lists(fates, min_size=1, max_size=60), min_size=1, max_size=5)


def arrivals(feed: list[str]) -> list[tuple[int, str]]:
    """Order the packets of a feed as they arrive: (index, fate)."""
    timed = [
        (index + (3.5 if fate == "late" else 0), index, fate)
        for index, fate in enumerate(feed)
        if fate != "lose"
    ]
    return [(index, fate) for _, index, fate in sorted(timed)]


@given(
    feeds=feeds,
    first=st.integers(0, 0x7FFF),
    stamp=st.integers(0, 0xFFFFFFFF),
    starts=st.lists(st.integers(0, 0xFFFF), min_size=5, max_size=5),
    offsets=st.lists(st.integers(0, 0xFFFFFFFF), min_size=5, max_size=5),
)
def test_sequences_are_unique_and_holes_are_exactly_what_was_lost(
    feeds: list[list[str]], first: int, stamp: int, starts: list[int], offsets: list[int]
) -> None:
    numbering = Numbering(90000, 0.0, first, stamp)
    used: dict[int, tuple[int, int]] = {}
    now = 0.0
    highest_before = first - 1
    for number, feed in enumerate(feeds):
        base = _START + starts[number]
        started = False
        begin = 0
        closed = 0
        late_padding = 0
        for index, fate in arrivals(feed):
            now += 0.02
            sequence = base + index
            timestamp = offsets[number] + 3000 * index & 0xFFFFFFFF
            if not started:
                if fate == "padding":
                    continue
                numbering.switch(sequence, timestamp, numbering.timestamp_at(now))
                started, begin = True, index
                assert numbering.sequence_of(sequence) == highest_before + 1
                out: int | None = highest_before + 1
            elif fate == "padding":
                if sequence > numbering.highest:
                    closed += 1
                else:
                    late_padding += 1
                numbering.skip(sequence)
                continue
            else:
                out = numbering.sequence_of(sequence)
            if index < begin:
                # From before the switch: must not be shown.
                assert out is None
                continue
            assert out is not None
            assert out not in used
            used[out] = (number, index)
            assert numbering.incoming_of(out) == sequence
            stamped = timestamp + numbering.timestamp_offset & 0xFFFFFFFF
            numbering.sent = True
            if ahead(stamped, numbering.last_timestamp):
                numbering.last_timestamp = stamped
        if started:
            mine = [o for o, (feed_number, _) in used.items() if feed_number == number]
            assert min(mine) == highest_before + 1
            # In the order of the source, whatever the order of arrival.
            ordered = sorted(mine)
            assert [used[o][1] for o in ordered] == sorted(used[o][1] for o in ordered)
            reached = numbering.next_sequence - 1
            span = numbering.highest - (base + begin) + 1
            assert reached - highest_before == span - closed
            highest_before = reached


@given(
    stamps=st.lists(st.tuples(st.integers(0, 0xFFFFFFFF), st.floats(0, 5)), max_size=30),
    first=st.integers(0, 0xFFFFFFFF),
)
def test_a_switch_always_moves_the_time_line_forward(
    stamps: list[tuple[int, float]], first: int
) -> None:
    numbering = Numbering(48000, 0.0, 7, first)
    now = 0.0
    for index, (timestamp, wait) in enumerate(stamps):
        now += wait
        before = numbering.last_timestamp
        stamp = numbering.timestamp_at(now)
        numbering.switch(_START + 10 * index, timestamp, stamp)
        out = timestamp + numbering.timestamp_offset & 0xFFFFFFFF
        assert out == stamp
        if numbering.sent:
            assert ahead(out, before)
        numbering.last_timestamp = out
        numbering.sent = True


@given(picture=st.integers(0, 0x7FFF), before=st.integers(0, 0x7FFF), level=st.integers(0, 255))
def test_picture_ids_go_on_where_they_stopped(picture: int, before: int, level: int) -> None:
    numbering = Numbering(90000, 0.0, 0, 0)
    numbering.last_picture = before
    numbering.last_level = level
    numbering.switch(_START, 0, 1, picture, 9)
    assert picture + numbering.picture_offset & 0x7FFF == before + 1 & 0x7FFF
    assert 9 + numbering.level_offset & 0xFF == level + 1 & 0xFF


FORMS = {"both": b"\xc0\x80\x05", "short": b"\xc0\x05", "no id": b"\x40"}
"""How a descriptor with TL0PICIDX may begin: picture id of 15 bits, 7 or none (RFC 7741 §4.2)."""


@given(first=st.integers(0, 255), forms=st.lists(st.sampled_from(sorted(FORMS)), min_size=2))
def test_whatever_counters_a_picture_has_go_on_from_source_to_source(
    first: int, forms: list[str]
) -> None:
    """Of three pictures each, that count from anywhere."""
    numbering = Numbering(90000, 0.0, 0, 0)
    levels = []
    for number, form in enumerate(forms):
        source, place = divmod(number, 3)
        level = first + 77 * source + place & 0xFF
        view = memoryview(bytearray(b"\x90" + FORMS[form] + bytes([level]) + b"\x00\x9d"))
        vp8 = parse_vp8(view, 0, len(view))
        assert vp8 is not None
        if not place:
            numbering.switch(_START + number, 0, 1, vp8.picture, vp8.level)
        numbering.renumber(view, 0, vp8, newest=True)
        seen = parse_vp8(view, 0, len(view))
        assert seen is not None
        assert (seen.picture_bits, seen.size) == (vp8.picture_bits, vp8.size)
        assert bytes(view[seen.size :]) == b"\x00\x9d"
        assert not seen.picture_bits or seen.picture == numbering.last_picture
        levels.append(seen.level)
    assert levels == [(levels[0] + count) & 0xFF for count in range(len(levels))]


@given(near=st.integers(0, 1 << 40), step=st.integers(-0x7FFF, 0x7FFF))
def test_unwrapping_finds_the_nearest(near: int, step: int) -> None:
    assert unwrap(near + step & 0xFFFF, near, 16) == near + step


def test_a_late_packet_finds_the_place_it_left() -> None:
    numbering = Numbering(90000, 0.0, 100, 0)
    numbering.switch(_START, 0, 1)
    assert numbering.sequence_of(_START) == 100
    numbering.skip(_START + 3)
    assert numbering.sequence_of(_START + 4) == 103
    assert numbering.sequence_of(_START + 1) == 101
    assert numbering.sequence_of(_START + 2) == 102
    assert numbering.sequence_of(_START + 3) is None


def test_padding_in_rows_takes_no_late_packets_place() -> None:
    """A browser that finds out about its line sends many in a row, over and over."""
    numbering = Numbering(90000, 0.0, 100, 0)
    numbering.switch(_START, 0, 1)
    sequence = _START
    rows, row = 12, 20
    for _ in range(rows):
        # Of three packets the second comes late.
        numbering.sequence_of(sequence)
        numbering.sequence_of(sequence + 2)
        for place in range(row):
            numbering.skip(sequence + 3 + place)
        sequence += 3 + row
    for number in range(rows):
        late = _START + number * (3 + row) + 1
        assert numbering.sequence_of(late) == 101 + 3 * number
        assert numbering.incoming_of(101 + 3 * number) == late
    assert numbering.sequence_of(sequence) == 100 + 3 * rows


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["send", "send", "pad"]),
            st.one_of(st.integers(1, 4), st.integers(1, MAX_DROPOUT + 2), st.integers(1, 0x7FFF)),
        ),
        min_size=1,
        max_size=50,
    ),
    st.integers(0, 0x7FFF),
)
def test_a_source_that_leaves_numbers_out_opens_no_hole_that_a_receiver_cannot_follow(
    steps: list[tuple[str, int]], first: int
) -> None:
    """Else the rollover that a receiver guesses would be wrong for whoever comes next, too."""
    numbering = Numbering(90000, 0.0, first, 0)
    sequence = _START
    numbering.switch(sequence, 0, 1)
    assert numbering.sequence_of(sequence) == first
    sent = [first]
    for what, step in steps:
        sequence += step
        if what == "pad":
            numbering.skip(sequence)
            continue
        out = numbering.sequence_of(sequence)
        assert out is not None
        assert out > sent[-1]
        assert numbering.incoming_of(out) == sequence
        sent.append(out)
    for start, before in enumerate(sent):
        for count, out in enumerate(sent[start:]):
            assert out - before <= count + count / 4 + MAX_DROPOUT


def test_what_was_lost_on_the_way_in_stays_a_hole_up_to_the_bound() -> None:
    numbering = Numbering(90000, 0.0, 100, 0)
    numbering.switch(_START, 0, 1)
    assert numbering.sequence_of(_START) == 100
    after = _START + 1 + MAX_DROPOUT
    assert numbering.sequence_of(after) == 101 + MAX_DROPOUT
    assert numbering.sequence_of(_START + 5) == 105
    # Once more at once would be more than is sent: a new feed, and what was before it is late.
    assert numbering.sequence_of(after + MAX_DROPOUT) == 102 + MAX_DROPOUT
    assert numbering.sequence_of(after + 1) is None


def test_holes_without_end_are_a_quarter_of_what_is_sent() -> None:
    """So that what a silent receiver misses in eight seconds of a flood is less than 2¹⁵."""
    numbering = Numbering(90000, 0.0, 0, 0)
    numbering.switch(_START, 0, 1)
    count = 4 * MAX_DROPOUT
    outs = [numbering.sequence_of(_START + 2 * index) for index in range(count)]
    assert outs[-1] is not None
    assert count + count // 4 <= outs[-1] <= count + count // 4 + MAX_DROPOUT
