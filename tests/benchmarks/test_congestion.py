"""What `congestion` makes of two pages' counters, and the shaper that makes a line bad."""

from __future__ import annotations

import asyncio
import socket

import pytest

from benchmarks.congested_call import Sample
from benchmarks.result import ScenarioResult
from benchmarks.scenarios.congestion import NEVER, Episode, concealed_in, judge
from benchmarks.shaper import Downlink, Shaper
from tests.patience import PATIENCE


def samples(*heights: int, concealed: int = 0, silent: int = 0, fps: int = 30) -> list[Sample]:
    """A second between two; 48,000 samples of sound in each, so many of them concealed."""
    return [
        Sample(
            at=100.0 + number,
            height=height,
            frames=fps * number,
            frozen=0.0,
            samples=48_000 * number,
            concealed=concealed * number,
            silent=silent * number,
        )
        for number, height in enumerate(heights)
    ]


def episode(**changed: list[Sample]) -> Episode:
    usual = {
        "good": samples(360, 360),
        "bad": samples(360, 360, 180, 180, concealed=1_000, silent=520),
        "back": samples(180, 180, 180, 360),
        "beside_good": samples(360, 360, 360),
        "beside_bad": samples(360, 360, 360, fps=29),
    }
    return Episode(**{**usual, **changed})


def test_silence_that_is_made_up_is_no_loss() -> None:
    assert concealed_in(samples(360, 360, concealed=1_000, silent=520)) == pytest.approx(0.01)
    assert concealed_in(samples(360)) == 1.0, "nothing was heard at all"


def test_the_picture_goes_down_and_comes_back() -> None:
    one = episode()
    assert (one.dropped_after, one.returned_after) == (2.0, 3.0)
    assert episode(bad=samples(360, 0, 180)).dropped_after == 2.0
    assert episode(bad=samples(360, 0, 0)).dropped_after == NEVER, (
        "a still picture is no smaller one"
    )
    assert episode(back=samples(180, 180)).returned_after == NEVER
    assert one.missing_beside == pytest.approx(1 / 30)
    assert episode(beside_bad=samples(360, 360, concealed=960)).concealed_beside == 0.02


def test_the_worst_round_counts_for_the_one_and_the_usual_round_for_the_others() -> None:
    result = ScenarioResult("congestion", "", {})
    beside = samples(360, 360, fps=3, concealed=9_600)
    late = episode(back=samples(*[180] * 11, 360), beside_bad=beside)
    judge(result, [episode(), late, episode()])
    met = {target.name: target.met for target in result.targets}
    assert met == {
        "audio concealed on the bad line": True,
        "seconds to a smaller picture": True,
        "seconds back to the former picture": False,
        "pictures missing beside": True,
        "audio concealed beside": True,
    }
    judge(result, [late, episode(), late])
    usual = {target.name: target.met for target in result.targets[-2:]}
    assert usual == {"pictures missing beside": False, "audio concealed beside": False}


async def test_the_shaper_passes_both_ways_and_tells_clients_apart() -> None:
    loop = asyncio.get_running_loop()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ada,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ben,
    ):
        for each in (port, ada, ben):
            each.bind(("127.0.0.1", 0))
            each.setblocking(False)
        shaper = Shaper(port.getsockname())
        try:
            async with asyncio.timeout(10 * PATIENCE):
                seen = {}
                for name, client in ((b"ada", ada), (b"ben", ben)):
                    client.sendto(name, ("127.0.0.1", shaper.port))
                    data, address = await loop.sock_recvfrom(port, 100)
                    seen[data] = address
                assert len(set(seen.values())) == 2
                port.sendto(b"to ben", seen[b"ben"])
                assert await loop.sock_recv(ben, 100) == b"to ben"
                shaper.line = Downlink(1e9, loss=1.0, delay=0.0)
                port.sendto(b"lost", seen[b"ben"])
                port.sendto(b"lost too", seen[b"ada"])
                while shaper.lost < 2:  # noqa: ASYNC110 - two counters of a plain object
                    await asyncio.sleep(0.01)
                shaper.line = Downlink(8_000, loss=0.0, delay=0.0)
                begun = loop.time()
                port.sendto(bytes(100), seen[b"ada"])
                await loop.sock_recv(ada, 200)
                # 100 bytes take a tenth of a second on this line.
                assert loop.time() - begun >= 0.099
        finally:
            shaper.close()
            shaper.close()
    assert (shaper.passed, shaper.lost) == (2, 2)
