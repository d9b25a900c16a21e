"""A picture in one layer that lines do not carry is asked to be less, at whose cost is bounded.

Scenarios run on a clock of their own (`virtual_time`), with a seeded shaper and an encoder that
does as it is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from math import inf
from typing import NamedTuple

import pytest
from aiortc.rtp import RtcpPsfbPacket, unpack_remb_fci
from hypothesis import given
from hypothesis import strategies as st

from actors.relay import PublishSource
from actors.relay.congestion.allocation import Demand, LayerFacts, rooms_of
from actors.relay.congestion.restraint import LEAST, LEAST_FOR_OTHERS, Restraint, limit_of
from actors.relay.wire.rtcp import parts_of, receiver_estimate, remb_of
from benchmarks.shaper import Downlink
from tests.patience import until

from .camera import key_content
from .client import CraftedClient
from .conftest import Call
from .virtual_time import run_in_virtual_time
from .voice import concealed, talking

NATURAL = 1_900_000
"""What the screen would take, in bits per second."""
FRAMES = 30
MOST_OCTETS = 1000
VOICE = 60_000
"""What the relay leaves for a voice."""


def asked(client: CraftedClient) -> list[float]:
    """Return what the relay has asked this publisher to send at most, as aiortc reads it."""
    return [
        float(unpack_remb_fci(report.fci)[0])
        for report in client.reports
        if isinstance(report, RtcpPsfbPacket) and report.fmt == 15
    ]


class Encoder:
    """Sends pictures at what was last asked for, evenly divided as by browsers."""

    def __init__(
        self, client: CraftedClient, wants: Mapping[PublishSource, float], fills: float
    ) -> None:
        """`wants`: bits per second that each would take, were nothing asked.

        `fills`: the part of what it is given that it makes use of; browsers drop pictures of what
        they cannot press into it.
        """
        self.client = client
        self.wants = dict(wants)
        self.fills = fills
        self.rates = dict(wants)
        self._sources = {client.track(source).ssrc: source for source in wants}
        self._keys = set(wants)
        client.on_key_frame_request = lambda ssrc: self._keys.add(self._sources[ssrc])
        self._task = asyncio.create_task(self._run())

    def _divide(self) -> None:
        left = asked(self.client)[-1] - VOICE if asked(self.client) else inf
        by_want = sorted(self.wants, key=lambda source: self.wants[source])
        for place, source in enumerate(by_want):
            given = self.fills * left / (len(by_want) - place)
            self.rates[source] = min(self.wants[source], given)
            left -= self.rates[source]

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self._divide()
            for source, rate in self.rates.items():
                octets = int(rate / 8 / FRAMES)
                if not octets:
                    continue
                count = -(-octets // MOST_OCTETS)
                parts = [bytes(octets // count)] * count
                key = source in self._keys
                self._keys.discard(source)
                if key:
                    parts[0] = key_content("") + parts[0]
                self.client.send_frame(key=key, parts=parts, source=source)
            due += 1 / FRAMES
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@asynccontextmanager
async def sharing(
    *lines: Downlink | None, camera: float = 0.0, fills: float = 1.0
) -> AsyncIterator[tuple[Call, Encoder, list[CraftedClient]]]:
    """Let Ada speak and share a screen with as many as there are lines; None is a good one.

    Her `camera` has one layer, too, and would take so many bits per second.
    """
    call = Call(clock=asyncio.get_running_loop().time)
    await call.relay.open()
    wants = {PublishSource.SCREEN: NATURAL} | ({PublishSource.CAMERA: camera} if camera else {})
    ada = await call.join("ada", publish=(PublishSource.MICROPHONE, *wants))
    others = [await call.join(f"other-{index}", publish=()) for index in range(len(lines))]
    encoder = Encoder(ada, wants, fills)
    try:
        async with talking(ada):
            for client, line in zip(others, lines, strict=True):
                client.downlink = line
                client.acknowledge()
            yield call, encoder, others
    finally:
        await encoder.stop()
        await call.close()


def held(call: Call, client: CraftedClient) -> int:
    return call.relay.transports[client.transport_id].held


def seen(client: CraftedClient) -> int:
    return len(client.heard_on(client.screen(0)))


async def one_who_sees_it() -> None:
    loop = asyncio.get_running_loop()
    async with sharing(Downlink(800_000, loss=0.0, delay=0.05)) as (call, encoder, (ben,)):
        microphone = encoder.client.track(PublishSource.MICROPHONE)
        await until(lambda: asked(encoder.client), within=3.0, every=0.05)
        # Less comes within a second, and meanwhile the line's queue runs empty.
        await asyncio.sleep(3)
        first, pictures = microphone.packets, seen(ben)
        began = loop.time()
        rates = []
        while loop.time() < began + 10:
            await asyncio.sleep(0.1)
            assert held(call, ben) == 0
            rates.append(encoder.rates[PublishSource.SCREEN])
        # It is seen all the time, the line is used, and the voice is whole.
        assert 300_000 < sum(rates) / len(rates) < 800_000
        assert seen(ben) - pictures > 9 * FRAMES
        assert concealed(ben, first, microphone.packets - 20) <= 0.03
        ben.downlink = None
        await until(lambda: encoder.rates[PublishSource.SCREEN] == NATURAL, within=15.0, every=0.05)
        # What lifts the bound is said more than once, and then no more.
        await asyncio.sleep(5)
        bounds = asked(encoder.client)
        assert [bound > 2 * NATURAL for bound in bounds[-4:]] == [False, True, True, True]
        await asyncio.sleep(5)
        assert len(asked(encoder.client)) == len(bounds)


def test_a_screen_that_the_line_does_not_carry_is_shared_at_what_it_carries() -> None:
    """800 kbit/s for who sees it, and 1.9 Mbit/s of what is shared."""
    run_in_virtual_time(one_who_sees_it())


async def one_whose_line_is_not_filled() -> None:
    narrow = Downlink(800_000, loss=0.0, delay=0.05)
    async with sharing(narrow, None, fills=0.6) as (call, encoder, (ben, cy)):
        microphone = encoder.client.track(PublishSource.MICROPHONE)
        await until(lambda: asked(encoder.client), within=3.0, every=0.05)
        await asyncio.sleep(15)
        first, rates = microphone.packets, []
        for _ in range(100):
            await asyncio.sleep(0.1)
            assert held(call, ben) == 0
            assert call.relay.transports[ben.transport_id].starved
            assert not call.relay.transports[cy.transport_id].starved
            rates.append(encoder.rates[PublishSource.SCREEN])
        assert sum(rates) / len(rates) > 0.4 * 800_000
        assert concealed(ben, first, microphone.packets - 20) <= 0.03


def test_what_is_given_and_not_used_makes_no_line_narrower() -> None:
    """What arrives tells of no more than was sent: the line is found out about beside it.

    Only where it is the line that is too narrow, and no other's.
    """
    run_in_virtual_time(one_whose_line_is_not_filled())


class Outcome(NamedTuple):
    """What came of a share."""

    bounds: list[float]
    """What its sender was asked for, in bits per second."""
    sees: list[bool]
    """Who saw it at the end."""
    stood_still: bool
    """Whether anybody's picture was held back."""
    rate: float


async def shared_with(lines: Sequence[float | None]) -> Outcome:
    """Share a screen for 15 s over lines of so many bits per second; None is a good one."""
    shaped = [None if line is None else Downlink(line, loss=0.0, delay=0.05) for line in lines]
    async with sharing(*shaped) as (call, encoder, others):
        stood_still = False
        for _ in range(120):
            await asyncio.sleep(0.1)
            if sum(held(call, client) for client in others):
                stood_still = True
        before = [seen(client) for client in others]
        await asyncio.sleep(3)
        sees = [
            seen(client) - count > 2.5 * FRAMES
            for client, count in zip(others, before, strict=True)
        ]
        return Outcome(
            asked(encoder.client), sees, stood_still, encoder.rates[PublishSource.SCREEN]
        )


def test_nobody_is_asked_for_less_than_a_good_line_is_worth() -> None:
    """Who has 300 kbit/s would bring the screen below what others are left; they see none."""
    outcome = run_in_virtual_time(shared_with([300_000, None]))
    assert outcome.bounds == []
    assert outcome.sees == [False, True]
    assert outcome.rate == NATURAL


@pytest.mark.parametrize("line", [900_000, 640_000])
def test_who_has_a_good_line_gives_up_sharpness_for_who_would_see_nothing(line: float) -> None:
    outcome = run_in_virtual_time(shared_with([line, None]))
    assert outcome.sees == [True, True]
    assert not outcome.stood_still
    assert min(outcome.bounds) >= VOICE + LEAST_FOR_OTHERS


def test_of_narrow_lines_the_widest_counts_where_nobody_has_a_good_one() -> None:
    outcome = run_in_virtual_time(shared_with([200_000, 450_000]))
    assert outcome.sees == [False, True]
    assert LEAST <= outcome.rate < 450_000


def test_nobody_is_asked_for_less_than_a_picture_takes() -> None:
    outcome = run_in_virtual_time(shared_with([80_000]))
    assert outcome.sees == [False]
    assert min(outcome.bounds) >= VOICE + LEAST


async def one_who_looks_at_the_camera_alone() -> tuple[list[float], Mapping[PublishSource, float]]:
    narrow = Downlink(300_000, loss=0.0, delay=0.05)
    async with sharing(narrow, None, camera=900_000) as (call, encoder, (_, cy)):
        call.relay.set_view(cy.transport_id, {}, {0: None})
        await asyncio.sleep(12)
        return asked(encoder.client), encoder.rates


def test_who_sees_another_picture_of_its_sender_does_not_pay_below_what_they_are_left() -> None:
    """One bound is for all that she sends, and who looks at her camera has a good line."""
    bounds, rates = run_in_virtual_time(one_who_looks_at_the_camera_alone())
    assert bounds == []
    assert rates[PublishSource.CAMERA] == 900_000


async def one_who_leaves() -> list[float]:
    line = Downlink(800_000, loss=0.0, delay=0.05)
    async with sharing(line, None, camera=900_000) as (call, encoder, (ben, cy)):
        call.relay.set_view(ben.transport_id, {0: None}, {})
        call.relay.set_view(cy.transport_id, {}, {0: None})
        await until(lambda: asked(encoder.client), within=5.0, every=0.05)
        await asyncio.sleep(3)
        call.relay.remove("other-0")
        ben.vanish()
        await asyncio.sleep(10)
        return asked(encoder.client)[-3:]


def test_what_nobody_sees_any_more_binds_nothing() -> None:
    """The screen is still shared: for who looks at its sender's camera it would stay a bound."""
    assert [bound > 2 * NATURAL for bound in run_in_virtual_time(one_who_leaves())] == [True] * 3


async def a_share_that_ends() -> None:
    async with sharing(Downlink(600_000, loss=0.0, delay=0.05)) as (_, encoder, _):
        await until(lambda: asked(encoder.client), within=3.0, every=0.05)
        await asyncio.sleep(3)
        encoder.wants[PublishSource.SCREEN] = 0
        await asyncio.sleep(10)
        bounds = asked(encoder.client)
        # What else its person sends is not bound by it.
        assert [bound > 2 * NATURAL for bound in bounds[-3:]] == [True] * 3


def test_a_share_that_has_ended_binds_nothing() -> None:
    run_in_virtual_time(a_share_that_ends())


async def two_pictures() -> tuple[dict[PublishSource, float], int, int]:
    line = Downlink(1_000_000, loss=0.0, delay=0.05)
    async with sharing(line, camera=900_000) as (_, encoder, (ben,)):
        await asyncio.sleep(5)
        camera, screen = len(ben.heard_on(ben.seat(0)[1])), seen(ben)
        await asyncio.sleep(10)
        pictures = len(ben.heard_on(ben.seat(0)[1])) - camera
        return encoder.rates, pictures, seen(ben) - screen


def test_two_pictures_of_one_sender_divide_a_line() -> None:
    rates, pictures, screens = run_in_virtual_time(two_pictures())
    assert min(rates.values()) > 250_000
    assert sum(rates.values()) < 1_000_000
    assert min(pictures, screens) > 9 * FRAMES


@pytest.mark.parametrize(
    ("rooms", "limit"),
    [
        ([], None),
        ([(900e3, False)], None),
        ([(900e3, True)], 900e3),
        ([(300e3, True)], 300e3),
        ([(50e3, True)], LEAST),
        ([(200e3, True), (300e3, True)], 300e3),
        # Nobody is brought below what they need for who has less.
        ([(300e3, True), (900e3, False)], None),
        ([(300e3, True), (900e3, True)], 900e3),
        ([(700e3, True), (900e3, True), (1e6, False)], 700e3),
    ],
)
def test_what_is_asked_is_what_helps_most_and_costs_nobody_their_picture(
    rooms: list[tuple[float, bool]], limit: float | None
) -> None:
    assert limit_of(rooms) == limit
    assert limit_of(rooms[::-1]) == limit
    # Nor for who sees another picture of its sender, and has more.
    enough = limit if limit is not None and limit >= LEAST_FOR_OTHERS else None
    assert limit_of(rooms, others=True) == enough


def test_what_is_asked_follows_the_lines_until_they_carry_what_was_sent_before() -> None:
    restraint = Restraint()
    restraint.note([(700e3, True), (3e6, False)], 2e6, 0.0)
    assert restraint.limit is None, "those with a good line do not pay for a moment"
    restraint.note([(600e3, True), (3e6, False)], 2e6, 0.5)
    assert restraint.limit is None, "nor while an estimate falls"
    restraint.note([(700e3, True), (3e6, False)], 2e6, 1.0)
    assert restraint.limit == 700e3
    restraint.note([(900e3, False), (3e6, False)], 800e3, 1.25)
    assert restraint.limit == 900e3, "it is carried for the reason that it is less"
    restraint.note([], 800e3, 1.5)
    assert restraint.limit == 900e3
    for now in (1.75, 6.5):
        restraint.note([(200e3, False), (3e6, False)], 800e3, now)
        assert restraint.limit == LEAST_FOR_OTHERS, "a line falls for a moment"
    restraint.note([(1e6, False), (3e6, False)], 400e3, 6.75)
    restraint.note([(2.1e6, False), (3e6, False)], 800e3, 7.0)
    assert restraint.limit is None
    restraint.note([(700e3, True)], 2e6, 7.5)
    assert restraint.limit == 700e3, "it costs nobody anything"
    for now in (7.75, 13.0):
        restraint.note([(200e3, True), (3e6, False)], 400e3, now)
    assert restraint.limit is None, "who cannot be helped costs the others nothing in the end"
    restraint.note([(300e3, True)], 2e6, 20.0)
    assert restraint.limit == 300e3
    restraint.note([(300e3, True)], 400e3, 20.25, others=True)
    assert restraint.limit == LEAST_FOR_OTHERS, "somebody begins to see another of its sender's"
    for now in (20.5, 25.5):
        assert restraint.limit == LEAST_FOR_OTHERS, "who saw it may look again"
        restraint.note([], 400e3, now)
    assert restraint.limit is None, "nobody sees it"
    restraint.note([(700e3, True)], 2e6, 30.0, others=True)
    assert restraint.limit is None, "nor do those pay for a moment"
    restraint.note([(700e3, True)], 2e6, 30.5, others=True)
    assert restraint.limit == 700e3


costs = st.lists(st.floats(1e3, 3e6), min_size=1, max_size=8)


@given(costs, st.floats(0, 5e6))
def test_rooms_are_fair_and_no_more_than_there_is(rates: list[float], bitrate: float) -> None:
    demands = [Demand([LayerFacts("", 0, rate)], 0, -1) for rate in rates]
    rooms = rooms_of(demands, bitrate)
    taken = [min(room, rate) for room, rate in zip(rooms, rates, strict=True)]
    assert sum(taken) <= 0.9 * bitrate + 1
    # Who takes less than their room is never less off than who takes more.
    for rate, room in zip(rates, rooms, strict=True):
        for other, theirs in zip(rates, rooms, strict=True):
            assert rate > other or room <= theirs + 1 or rate == other
    if sum(rates) <= 0.9 * bitrate:
        assert taken == rates


@given(st.integers(1, 20_000_000), st.lists(st.integers(0, 0xFFFFFFFF), max_size=9))
def test_an_estimate_reads_back(bitrate: int, ssrcs: list[int]) -> None:
    packet = receiver_estimate(7, bitrate, ssrcs)
    (part,) = parts_of(memoryview(packet))
    assert remb_of(part.body) == pytest.approx(bitrate, rel=1e-5)
    report = RtcpPsfbPacket.parse(packet[4:], part.form)
    assert unpack_remb_fci(report.fci) == (remb_of(part.body), ssrcs)
