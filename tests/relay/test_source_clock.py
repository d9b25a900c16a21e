"""What a source says of its time: believed as far as what arrives bears it out."""

from __future__ import annotations

import asyncio
import itertools
from functools import partial

import pytest
from aiortc.rtp import RtcpSrPacket
from hypothesis import given
from hypothesis import strategies as st

from actors.relay import PublishSource, RelayConfig
from actors.relay.forwarding.source_clock import MOST_DELAY, SourceClock
from actors.relay.forwarding.wall_clock import WallClock
from actors.relay.wire.rtcp import SenderInfo, ntp_of, seconds_of, sender_report
from tests.patience import until

from .client import CraftedClient
from .conftest import Call, call_in_virtual_time

RATE = 90_000
FAR = 1 << 30
"""More than three hours of a picture's clock."""


def signed(ticks: int) -> int:
    return (ticks + 0x80000000 & 0xFFFFFFFF) - 0x80000000


class Right(WallClock):
    """A publisher's clock that is the relay's, whatever its reports say."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = 0.0

    def reported(self, ntp: float, now: float) -> None:
        pass


def begun(timestamp: int = 0, now: float = 0.0, rate: int = RATE) -> SourceClock:
    clock = SourceClock(Right(), rate)
    clock.begin(timestamp, now)
    return clock


@given(
    st.integers(0, 0xFFFFFFFF),
    st.lists(st.tuples(st.integers(-FAR * 2, FAR * 2), st.floats(0, 10)), max_size=60),
)
def test_whatever_a_source_numbers_its_line_goes_on_with_time(
    first: int, steps: list[tuple[int, float]]
) -> None:
    clock = begun(first)
    now, timestamp, stamp, gone = 0.0, first, first, 0
    for count, (step, wait) in enumerate(steps, 1):
        now += wait
        timestamp = timestamp + step & 0xFFFFFFFF
        before, stamp = stamp, clock.follow(timestamp, now)
        gone += signed(stamp - before)
        assert gone <= RATE * (MOST_DELAY + 1.01 * now) + 8 * count + 1
        assert signed(stamp - before) >= -2 * MOST_DELAY * RATE


@pytest.mark.parametrize(
    ("steps", "wait", "count"),
    [
        # Every 33 ms; an hour with a clock that is 0.2 % too fast; once a minute by the clock, as
        # a camera that was off; after pauses in which the source's time stood still, as a voice's.
        (3_000, 1 / 30, 1_000),
        (3_006, 1 / 30, 108_000),
        (60 * RATE, 60.0, 10),
        (1_800, 60.0, 10),
    ],
)
def test_what_honest_sources_do_is_left_as_it_is(steps: int, wait: float, count: int) -> None:
    clock = begun()
    for index in range(1, count + 1):
        timestamp = index * steps & 0xFFFFFFFF
        # Nearly a second of jitter.
        assert clock.follow(timestamp, index * wait + (0.0, 0.9)[index % 2]) == timestamp
    assert clock.shift == 0


def test_a_source_that_counts_anew_goes_on_where_it_was_and_by_its_next_report() -> None:
    clock = begun(1_000, 10.0)
    clock.reported(SenderInfo(1, ntp_of(10.0), 1_000, 1, 1), 10.0)
    assert clock.follow(FAR, 10.5) == 1_000 + RATE // 2
    assert clock.follow(FAR + 3_000, 10.6) == 4_000 + RATE // 2
    assert clock.captured_at(4_000 + RATE // 2, 10.6) == pytest.approx(10.5 + 1 / 30)
    clock.reported(SenderInfo(1, ntp_of(10.4), FAR, 1, 1), 10.6)
    assert clock.captured_at(1_000 + RATE // 2, 10.6) == pytest.approx(10.4)
    assert clock.timestamp_at(10.6) == pytest.approx(1_000 + 0.7 * RATE, abs=2)


def test_a_report_is_believed_within_a_second_of_what_arrived() -> None:
    clock = begun(0, 10.0)
    for said, believed in (
        (0.9, 0.9),
        (-0.9, -0.9),
        (1.1, 0.0),
        (-1.1, 0.0),
        (FAR / RATE, 0.0),
        (-FAR / RATE, 0.0),
    ):
        stamp = round(said * RATE) & 0xFFFFFFFF
        clock.reported(SenderInfo(1, ntp_of(10.0), stamp, 1, 1), 10.0)
        assert signed(clock.timestamp_at(10.0)) == pytest.approx(believed * RATE, abs=2)
        if said == believed:
            assert signed(clock.timestamp_at(12.0)) == pytest.approx((said + 2) * RATE, abs=2)


@given(
    st.floats(0.1, 5.0),
    st.sampled_from([(48_000, 0.02), (90_000, 1 / 30)]),
    st.integers(0, 0xFFFFFFFF),
)
def test_what_waited_in_a_queue_comes_in_order_and_the_clock_lags_by_what_was_too_late(
    waited: float, media: tuple[int, float], first: int
) -> None:
    """A mobile network holds packets up, for longer than a second even, and then lets all through.

    A second of it is believed. What was held up longer is put so much later, once and for all.
    """
    rate, interval = media
    ticks = round(interval * rate)
    clock = begun(first, 0.0, rate)
    clock.reported(SenderInfo(1, ntp_of(0.0), first, 1, 1), 0.0)
    count, held = round(waited / interval), round(2 / interval)
    now, stamps = 0.0, [first]
    for index in range(1, 2 * held + count + 1):
        captured = index * interval
        queued = held < index <= held + count
        # Captured while the line stood, it arrives with the first that did not wait.
        now = (held + count + 1) * interval if queued else captured
        stamps.append(clock.follow(first + index * ticks & 0xFFFFFFFF, now))
    steps = [signed(after - before) for before, after in itertools.pairwise(stamps)]
    assert min(steps) >= 8
    lag = signed(first + (len(stamps) - 1) * ticks - stamps[-1]) / rate
    assert -0.001 <= lag <= max(0.0, waited - 1.0 + 2 * interval)
    if waited <= 1.0 - 2 * interval:
        assert clock.shift == 0
        assert set(steps) == {ticks}
    # The next report says what the new numbers mean: lip sync is where it was.
    clock.reported(
        SenderInfo(1, ntp_of(now), first + (len(stamps) - 1) * ticks & 0xFFFFFFFF, 1, 1), now
    )
    assert clock.captured_at(stamps[-1], now + 0.001) == pytest.approx(now, abs=0.001)
    assert clock.timestamp_at(now) == pytest.approx(stamps[-1], abs=2)


def test_a_late_packet_is_no_way_ahead() -> None:
    clock = begun(5_000, 10.0)
    assert clock.earlier(2_000) == 2_000
    assert clock.earlier(5_000 + FAR) is None


async def bent(call: Call, how: str) -> list[float]:
    """Let Ada bend her clock in the seat that Eve has next.

    Returns by how many seconds each time stamp of the seat, in packets and reports, is off the
    time at which it came.
    """
    loop = asyncio.get_running_loop()
    ada = await call.join("ada")
    ben = await call.join("ben", publish=(), seats=1)
    eve = await call.join("eve")
    sources = (PublishSource.MICROPHONE, PublishSource.CAMERA)

    def jump() -> None:
        for source in sources:
            track = ada.track(source)
            track.timestamp = track.timestamp + FAR & 0xFFFFFFFF

    def report() -> None:
        for source in sources:
            track = ada.track(source)
            stamp = track.timestamp + FAR & 0xFFFFFFFF
            info = SenderInfo(track.ssrc, ntp_of(loop.time()), stamp, 1, 1)
            ada.send_rtcp(sender_report(info))

    def overtake() -> None:
        """Send what cannot be read first, then what comes late, from far ahead."""
        camera = ada.track(PublishSource.CAMERA)
        ada.send(ada.rtp(camera, b"\x90", sequence=camera.sequence + 1 & 0xFFFF))
        camera.timestamp = camera.timestamp + FAR & 0xFFFFFFFF
        ada.send_frame()
        camera.sequence = camera.sequence + 1 & 0xFFFF

    async def send(client: CraftedClient, seconds: float) -> None:
        for step in range(round(seconds / 0.02)):
            client.send_audio()
            if step % 5 == 0:
                client.track(PublishSource.CAMERA).timestamp += 6_000
                client.send_frame(key=True)
            await asyncio.sleep(0.02)

    await send(ada, 1.0)
    {"jump": jump, "report": report, "overtake": overtake}[how]()
    await send(ada, 1.0)
    if how == "jump":
        # And once more in her very last packets.
        jump()
        await send(ada, 0.02)
    ada.close()
    await until(lambda: call.listener.occupants("ben").get(("seat", 0)) == "eve")
    await send(eve, 2.0)
    readings = []
    for mid, rate in zip(ben.seat(0), (48_000, 90_000), strict=True):
        ssrc, _ = ben.slots[mid]
        packets = [(h.packet.timestamp, h.at) for h in ben.heard_on(mid)]
        reports = [
            (
                r.sender_info.rtp_timestamp,
                seconds_of(r.sender_info.ntp_timestamp) - call.relay.epoch,
            )
            for r in ben.reports
            if isinstance(r, RtcpSrPacket) and r.ssrc == ssrc
        ]
        assert len(packets) > 30
        assert len(reports) > 20
        stamp, came = packets[0]
        readings += [signed(s - stamp) / rate - (at - came) for s, at in packets + reports]
        forward = [signed(b - a) for (a, _), (b, _) in itertools.pairwise(packets)]
        assert min(forward) > -rate
    return readings


@pytest.mark.parametrize("how", ["jump", "report", "overtake"])
def test_nobody_bends_the_clock_of_who_sits_in_the_seat_next(how: str) -> None:
    """Three hours ahead, a voice would wait a second, and lip sync be sought anew."""
    readings = call_in_virtual_time(partial(bent, how=how), RelayConfig(report_interval=0.1))
    assert max(map(abs, readings)) < 2 * MOST_DELAY, readings
