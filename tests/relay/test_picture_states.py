"""A seat's picture through all that may happen to it, in any order: one unbroken stream.

People follow one another, layers change, pictures are paused; packets are lost, late, repaired,
padding, or not to be read; numbers wrap. Whatever happens, a decoder at the other end can go on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.relay import PublishSource
from actors.relay.forwarding.numbering import TURNS
from actors.relay.sdp.codec import Codec, CodecName
from actors.relay.wire.rtp import ahead
from actors.relay.wire.vp8 import parse_vp8

from .line import Arrived, Line, Source, publication_of

RATE = 90_000
MEDIA_DELAY, REPORT_DELAY = 0.2, 0.02
"""Seconds from capture to arrival: a report need not be encoded."""
LAYERS = {"ada": ("q", "h"), "ben": ("",)}
PAYLOAD_TYPE, REPAIR = 96, 97
WITHOUT = 6
"""Bytes before what a payload tells of itself."""

fates = st.sampled_from(["now"] * 5 + ["lost", "late", "late", "later", "padded"])


def counts(bits: int, count: int = 3) -> st.SearchStrategy[list[int]]:
    """Where counters begin: half of them wrap within the test."""
    most = (1 << bits) - 1
    one = st.integers(0, most) | st.integers(most - 100, most)
    return st.lists(one, min_size=count, max_size=count)


class Made(NamedTuple):
    """A packet that a source has made."""

    source: Source
    sequence: int
    captured: float
    payload: bytes
    marker: bool


class Content(NamedTuple):
    """What a packet is of."""

    name: str
    sequence: int
    picture: int
    part: int
    key: bool
    captured: float

    def payload(self, told: int) -> bytes:
        """Return a VP8 payload as browsers write it (RFC 7741 §4.2), that tells so much."""
        picture = self.picture & 0x7FFF
        head = bytes([0x80 if self.part else 0x90, 0xC0, 0x80 | picture >> 8, picture & 0xFF])
        return head + bytes([self.picture & 0xFF, not self.key]) + told.to_bytes(4, "big")


class Seat(RuleBasedStateMachine):
    """One seat's video slot, two people, three encodings."""

    @initialize(
        first=counts(16, 1),
        starts=counts(16),
        stamps=counts(32, 4),
        pictures=counts(15),
        repairs=st.booleans(),
    )
    def begin(
        self,
        first: list[int],
        starts: list[int],
        stamps: list[int],
        pictures: list[int],
        repairs: bool,
    ) -> None:
        feedback = frozenset({"nack"})
        codec = Codec(CodecName.VP8, PAYLOAD_TYPE, REPAIR if repairs else None, RATE, feedback, {})
        self.line = Line(codec, first=first[0], stamp=stamps[3])
        self.now = 100.0
        self.sources: dict[str, Source] = {}
        self.pictures: dict[str, int] = {}
        self.publications = {
            name: publication_of(name, PublishSource.CAMERA, self.line.departures)
            for name in LAYERS
        }
        for name, rids in LAYERS.items():
            publication = self.publications[name]
            publication.rids = rids if len(rids) > 1 else ()
            for rid in rids:
                place = len(self.sources)
                # So that the time stamp at hand is what was drawn.
                origin = stamps[place] - round(self.now * RATE)
                source = Source(publication, codec, rid, sequence=starts[place], origin=origin)
                self.sources[source.name] = source
                self.pictures[source.name] = pictures[place]
        self.fates = itertools.cycle(["now"])
        self.padded = 0.0
        self.reported: set[str] = set()
        self.late: list[Made] = []
        """On their way, behind the next picture."""
        self.held_back: list[Made] = []
        """On their way for longer."""
        self.came: dict[str, set[int]] = {name: set() for name in self.sources}
        """What has reached the relay, by source."""
        self.lost: list[Made] = []
        self.turns: dict[int, str] = {}
        self.begins = True
        """Whether what comes next has to be the beginning of a key frame."""
        self.read = self.read_repairs = 0
        self.newest: tuple[Arrived, Content] | None = None
        self.by_sequence: dict[int, Arrived] = {}
        self.contents: list[Content] = []
        self.at: dict[int, float] = {}
        """When a sequence was sent, or sent again."""
        self.film()
        self.seat("ada")

    # -- what publishers send --------------------------------------------------------------------

    def _make(self, source: Source, payload: bytes, captured: float, *, marker: bool) -> Made:
        made = Made(source, source.sequence, captured, payload, marker)
        source.sequence += 1
        return made

    def _go(self, made: Made, fate: str) -> None:
        if fate == "lost":
            self.lost.append(made)
        elif fate == "late":
            self.late.append(made)
        elif fate == "later":
            self.held_back.append(made)
        else:
            made.source.deliver(
                made.sequence, made.captured, made.payload, self.now, marker=made.marker
            )
            self.came[made.source.name].add(made.sequence)

    @rule(fates=st.lists(fates, min_size=1, max_size=20), slow=st.booleans(), wakes=st.booleans())
    def fare(self, fates: Sequence[str], slow: bool, wakes: bool) -> None:
        """Let this happen to one packet after another from now on."""
        self.fates = itertools.cycle(fates)
        for _ in range(3):
            self.film(slow=slow, wakes=wakes)

    def film(self, *, slow: bool = False, wakes: bool = True) -> None:
        """Let every encoder make a picture of two packets or three, a key frame if asked."""
        late, self.late = self.late, []
        self.now += 1 / 30
        captured = self.now - MEDIA_DELAY
        for source in self.sources.values():
            if self.line.slot.layer is not source.layer:
                # What was begun by another layer is whole: it is not about who goes on meanwhile.
                self.line.departures.depart(self.now)
            picture = self.pictures[source.name] = self.pictures[source.name] + 1
            key = (source.layer.key_wanted or not picture % 4) and not slow
            parts = 2 + picture % 2
            for part in range(parts):
                fate = next(self.fates)
                if fate == "padded" and captured - self.padded > 0.1:
                    # Behind padding, as where a browser finds out about its line.
                    self.padded = captured
                    self._go(self._make(source, b"", captured, marker=False), "now")
                content = Content(source.name, source.sequence, picture, part, key, captured)
                last = part == parts - 1
                self.contents.append(content)
                payload = content.payload(len(self.contents) - 1)
                made = self._make(source, payload, captured, marker=last)
                self._go(made, fate)
        for made in late:
            self._go(made, "now")
        self._take(wakes=wakes)

    @rule(
        name=st.sampled_from([None, "ada/q", "ada/h", "ben/"]),
        payload=st.sampled_from([b"", b"", b"\x90"]),
        count=st.sampled_from([1, 2, 20]),
        fate=st.sampled_from(["now", "now", "late", "lost"]),
    )
    def send_what_is_left_out(
        self, name: str | None, payload: bytes, count: int, fate: str
    ) -> None:
        """Send padding, or what cannot be read; without a name by who is shown."""
        shown = self.line.slot.layer
        source = next(
            (each for each in self.sources.values() if each.layer is shown and name is None),
            self.sources[name or "ben/"],
        )
        for _ in range(count):
            self._go(self._make(source, payload, self.now - MEDIA_DELAY, marker=False), fate)
        self._take(wakes=False)
        self.film()

    @precondition(lambda self: self.held_back)
    @rule(place=st.integers(0, 99), wakes=st.booleans())
    def arrive_late(self, place: int, wakes: bool) -> None:
        made = self.held_back.pop(place % len(self.held_back))
        if self.now - made.captured < 1:
            self._go(made, "now")
        self._take(wakes=wakes)
        self.film()

    @precondition(lambda self: self.lost)
    @rule(place=st.integers(0, 99))
    def repair_on_the_way_in(self, place: int) -> None:
        made = self.lost.pop(place % len(self.lost))
        layer = made.source.layer
        before = layer.repaired
        made.source.deliver(
            made.sequence,
            made.captured,
            made.payload,
            self.now,
            marker=made.marker,
            repaired=True,
        )
        if layer.repaired > before:
            self.came[made.source.name].add(made.sequence)
        self.film()

    @rule(name=st.sampled_from(["ada/q", "ada/h", "ben/"]))
    def report(self, name: str) -> None:
        self.reported.add(name)
        self.sources[name].report(self.now - REPORT_DELAY, self.now)
        self.film()

    # -- what the relay decides ------------------------------------------------------------------

    def _decide(self, step: Callable[[], None]) -> None:
        """Take a step, what had come in before having left."""
        self.line.departures.depart(self.now)
        self._take(wakes=False)
        step()
        self._take(wakes=False)
        if self.line.slot.layer is None:
            self.begins = True
        self.film()

    @rule(name=st.sampled_from([None, "ada", "ben", "ada", "ben"]))
    def seat(self, name: str | None) -> None:
        slot = self.line.slot
        publication = self.publications[name] if name is not None else None

        def step() -> None:
            slot.follow(publication, self.now)
            slot.numbering.promise(self.now)
            self.turns[slot.numbering.turn] = name or ""

        if slot.publication is not publication:
            self._decide(step)

    @rule(rid=st.sampled_from(["q", "h"]))
    def choose(self, rid: str) -> None:
        self.line.slot.wanted_rid = rid
        self._decide(lambda: self.line.slot.retarget(self.now))

    @rule(name=st.sampled_from(["ada", "ben", None]))
    def pause(self, name: str | None) -> None:
        """Mute somebody, or hide the seat, for two pictures."""
        slot = self.line.slot

        def step(on: bool) -> None:
            if name is None:
                slot.enabled = on
                slot.retarget(self.now)
            else:
                self.publications[name].set_open(on, self.now)

        self._decide(lambda: step(False))
        self.film()
        self._decide(lambda: step(True))

    @rule()
    def tell(self) -> None:
        """Write a sender report."""
        self.line.slot.sender_info(self.now, 0.0)
        self.film()

    @precondition(lambda self: self.by_sequence)
    @rule(back=st.integers(0, 30))
    def ask_again(self, back: int) -> None:
        """Let the subscriber ask for what it was sent, or for a hole."""
        line = self.line
        self._take(wakes=True)
        asked = max(self.by_sequence) - back
        before = len(line.repaired), len(line.repeated)
        line.slot.repairs.resend(asked & 0xFFFF, self.now)
        self._take(wakes=False)
        if asked in self.by_sequence and asked >= self.began_at and not self.begins:
            # Not within what may be a round trip, and not after a second.
            due = 0.02 < self.now - self.at[asked] < 0.9
            sent = len(line.repaired) - before[0], len(line.repeated) - before[1]
            assert sum(sent) == due or self.at[asked] == self.now
            if sent[1]:
                assert line.repeated[-1] == line.datagrams[asked]
            if due:
                self.at[asked] = self.now
        self.film()

    # -- what a decoder needs --------------------------------------------------------------------

    def _take(self, *, wakes: bool) -> None:
        if wakes:
            self.line.departures.depart(self.now)
        else:
            self.line.departures.send()
        arrived, self.read = self.line.arrived[self.read :], len(self.line.arrived)
        for packet in arrived:
            assert packet.sequence not in self.by_sequence, "a number was used twice"
            self.by_sequence[packet.sequence] = packet
            self.at[packet.sequence] = self.now
            if packet.payload:
                told = int.from_bytes(packet.payload[WITHOUT:], "big")
                self._look(packet, self.contents[told])
        repaired, self.read_repairs = (
            self.line.repaired[self.read_repairs :],
            len(self.line.repaired),
        )
        for packet in repaired:
            original = int.from_bytes(packet.payload[:2], "big")
            (same,) = [p for s, p in self.by_sequence.items() if s & 0xFFFF == original]
            assert packet.payload[2:] == same.payload
            assert packet.payload_type == REPAIR
            assert (packet.timestamp, packet.marker) == (same.timestamp, same.marker)
            assert same.sequence >= self.began_at

    def _look(self, packet: Arrived, content: Content) -> None:
        assert self.turns[packet.timestamp % TURNS] == content.name.split("/")[0]
        vp8 = parse_vp8(memoryview(packet.payload), 0, len(packet.payload))
        assert vp8 is not None
        assert packet.payload_type == PAYLOAD_TYPE
        if self.newest is None:
            assert (content.key, content.part) == (True, 0)
            self._go_on(packet, content)
            return
        before, then = self.newest
        newer = packet.sequence > before.sequence
        if self.begins or (newer and content.name != then.name):
            assert newer
            # A hole only where something was lost before what is left out.
            behind = self.sources[then.name].sequence - then.sequence
            assert 0 < packet.sequence - before.sequence <= behind
            assert content.key
            assert content.part == 0
            assert ahead(packet.timestamp, before.timestamp), "time went back"
            gone = (packet.timestamp - before.timestamp & 0xFFFFFFFF) / RATE
            passed = content.captured - then.captured
            # By both layers' reports the same moment; by arrival up to what is late, and where
            # somebody begins up to what media take longer than reports.
            bound = 0.001 if {content.name, then.name} <= self.reported else 0.1
            assert abs(gone - passed) < (0.3 if self.begins else bound), (gone, passed)
            told = parse_vp8(memoryview(before.payload), 0, len(before.payload))
            assert told is not None
            assert vp8.picture == told.picture + 1 & 0x7FFF
            assert vp8.level == told.level + 1 & 0xFF
            self._go_on(packet, content)
            return
        # Of the same feed: everything is as far apart as the source made it.
        told = parse_vp8(memoryview(before.payload), 0, len(before.payload))
        assert told is not None
        assert content.name == then.name
        assert (content.sequence > then.sequence) == newer
        assert vp8.picture - told.picture & 0x7FFF == content.picture - then.picture & 0x7FFF
        assert vp8.level - told.level & 0xFF == content.picture - then.picture & 0xFF
        ticks = round((content.captured - then.captured) * RATE)
        off = packet.timestamp - before.timestamp - ticks & 0xFFFFFFFF
        assert min(off, 0x100000000 - off) < TURNS
        if newer:
            self.newest = packet, content

    @invariant()
    def has_all_that_came(self) -> None:
        """Hold that what came of the present feed has arrived, and that nothing else is a hole."""
        if self.begins or self.newest is None or self.line.departures.held:
            return
        newest, content = self.newest
        feed = range(self.began_with.sequence, content.sequence + 1)
        missing = set(feed) - self.came[content.name]
        span = range(self.began_at, newest.sequence + 1)
        holes = [number for number in span if number not in self.by_sequence]
        assert len(holes) == len(missing), (holes, missing)

    def _go_on(self, packet: Arrived, content: Content) -> None:
        self.begins = False
        self.began_at = packet.sequence
        self.began_with = content
        self.newest = packet, content


def test_a_layer_that_has_reported_nothing_yet_takes_no_step() -> None:
    """Its sender has just turned it on, and has reported on the other all along."""
    seat = Seat()
    seat.begin(first=[1], starts=[2, 3, 4], stamps=[5, 6, 7, 8], pictures=[9, 9, 9], repairs=True)
    seat.choose("q")
    seat.report("ada/q")
    seat.choose("h")
    assert seat.newest is not None
    assert seat.newest[1].name == "ada/h"


TestSeat = Seat.TestCase
TestSeat.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
