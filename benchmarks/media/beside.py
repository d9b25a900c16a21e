"""Media as a load beside which other scenarios run: sessions that forward audio and video."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import cast

from benchmarks.histogram import Histogram
from benchmarks.measurement import percentile_of
from benchmarks.media.source import Camera
from benchmarks.process import Child, set_up_seconds
from benchmarks.quantities import amount, count_or_none
from benchmarks.result import ScenarioResult, tell_beside
from benchmarks.rounds import Bench
from benchmarks.scenario import Progress
from benchmarks.targets import Comparison

PROFILE = "SRTP_AEAD_AES_128_GCM"
ASK_SECONDS = 20.0
SIZE = 4
HALF_A_CORE = Camera(bitrate=120_000, frames=12)
"""About what ten sessions of four need to keep half a processor busy; the report has the share.
It is packets that cost: at 30 frames a second they took 0.6 to 0.7, however few bits they had."""
MOST_BESIDE = 3.0
"""What a p99 beside media may be of the idle one (design §8)."""
OFF = 0.1
"""Of a processor, by which the media's share may differ from half of one."""
LEAST_BESIDE = 0.9
"""Of the packets that were due to somebody, below which a round was not beside media."""


@dataclass(frozen=True, slots=True)
class MediaReport:
    """What a media load counted between `begin` (or `mark`) and `end`."""

    seconds: float
    sent: int
    """RTP packets that publishers sent: what came in at the server."""
    packets: int
    """RTP packets that subscribers received, without repairs."""
    repaired: int
    lost: int
    """Sequence numbers that a subscriber never saw."""
    wrong: int
    """Packets that were not the ones their numbers promised."""
    undecryptable: int
    key_requests: int
    delays: Histogram
    """From a publisher's send to the arrival in the subscriber's kernel."""
    lateness: Histogram
    """How late the load itself sent the first packet of each frame."""

    receivers: int
    """Who was to get each packet."""

    @property
    def forwarded(self) -> float:
        """Return the share that came out of what was due: 1 when everything went to everybody.

        A little more where some were on their way when the counting began.
        """
        return self.packets / max(self.sent * self.receivers, 1)

    @property
    def absent(self) -> int:
        """Count the packets that did not come out.

        By their gaps or by their number: a stream that never came, or no longer, has no gap.
        """
        return max(self.lost, self.sent * self.receivers - self.packets)

    @classmethod
    def from_json(cls, answer: Mapping[str, object], receivers: int) -> MediaReport:
        numbers = {
            name: cast(int, answer[name])
            for name in (
                "sent",
                "packets",
                "repaired",
                "lost",
                "wrong",
                "undecryptable",
                "key_requests",
            )
        }
        return cls(
            seconds=cast(float, answer["seconds"]),
            **numbers,
            delays=Histogram.from_json(cast(dict[str, int], answer["delays"])),
            lateness=Histogram.from_json(cast(dict[str, int], answer["lateness"])),
            receivers=receivers,
        )


def add_media_options(parser: argparse.ArgumentParser) -> None:
    """Let a scenario be measured beside media as well."""
    parser.add_argument(
        "--media",
        type=count_or_none,
        default=0,
        help="also beside this many sessions of four with media",
    )
    parser.add_argument(
        "--media-bitrate",
        type=amount,
        default=HALF_A_CORE.bitrate,
        help="of each camera, bits a second",
    )
    parser.add_argument(
        "--media-frames",
        type=count_or_none,
        default=HALF_A_CORE.frames,
        help="of each camera, a second",
    )


async def media_beside(
    bench: Bench, address: str, options: argparse.Namespace, progress: Progress
) -> MediaLoad | None:
    """Connect the sessions with media that the options ask for, if they do."""
    if not options.media:
        return None
    progress("connecting sessions with media", 0.1)
    camera = Camera(options.media_bitrate, options.media_frames)
    return await MediaLoad.open(bench, address, sessions=options.media, size=SIZE, camera=camera)


def hold_beside(
    result: ScenarioResult, name: str, beside: str, idle: str, histogram: str, of: str = ""
) -> None:
    """Hold a p99 beside media against three times the idle one, and say what the media took.

    That is meant to be half a processor. Beside less, the target would be met by what is not there;
    beside more it may be met and cannot be missed. What was measured without media is judged
    whatever became of them, where the sides beside them are `apart`.
    """
    share = _share_of_media(result, beside, idle)
    result.facts[f"processors that the media took{of}"] = round(share, 2)
    if (why := not_beside(result, beside)) is not None:
        result.leave(name, why)
        return
    comparison = Comparison(name, beside, idle, percentile_of(histogram, 99.0), MOST_BESIDE)
    if share < 0.5 - OFF or (share > 0.5 + OFF and _is_missed(comparison, result)):
        advice = "give other --media or --media-frames"
        result.leave(name, f"the media took {share:.2f} of a processor, not a half; {advice}")
        return
    result.compare(comparison)


def not_beside(result: ScenarioResult, side: str) -> str | None:
    """Say why a side was not measured beside media, or was disturbed; `None` when it was well."""
    for sign in result.noise_apart.get(side, ()):
        return sign
    for measured in result.measurements:
        if measured.side == side and (measured.forwarded or 0.0) < LEAST_BESIDE:
            share = f"{measured.forwarded or 0.0:.2f} of the media that were due came out"
            return f"{share} in round {measured.round + 1} of {side}"
    return None


def tell_other_beside(
    result: ScenarioResult, name: str, beside: str, idle: str, histogram: str
) -> None:
    """Say what the same processors leave to whom no target names: the p99 over its own idle one."""
    if not result.noise and not_beside(result, beside) is None:
        tell_beside(result, name, beside, idle, percentile_of(histogram, 99.0))


def _is_missed(comparison: Comparison, result: ScenarioResult) -> bool:
    with suppress(ValueError):
        return not comparison.over(result.measurements).met
    return False


def _share_of_media(result: ScenarioResult, beside: str, idle: str) -> float:
    """Return how many processors the servers used more than when idle."""
    shares: dict[str, list[float]] = {beside: [], idle: []}
    for measurement in result.measurements:
        if measurement.side in shares:
            shares[measurement.side].append(measurement.processor_share)
    return statistics.median(shares[beside]) - statistics.median(shares[idle])


class Flow:
    """Media that flow, or have flowed."""

    def __init__(self) -> None:
        self.report: MediaReport | None = None
        """What was counted, once they have ended."""

    @property
    def forwarded(self) -> float:
        """Return the share that came out of what was due; of what was never told nothing."""
        return 0.0 if self.report is None else self.report.forwarded


class MediaLoad:
    """Sessions full of media in a process of its own. Ended with the bench that started it.

    Usage: `load = await MediaLoad.open(bench, subject.origin, sessions=10, size=4)`, then
    `async with load.flowing(): ...`; or `begin`, `mark` and `end` by hand.
    """

    def __init__(self, child: Child, size: int) -> None:
        self.child = child
        self._size = size
        self.ports = frozenset(cast(list[int], child.ready["ports"]))
        """UDP ports of the server that the load sends to."""
        self.profiles = cast(list[str], child.ready["profiles"])
        """SRTP profiles in use: one, the one that was asked for."""

    @classmethod
    async def open(
        cls,
        bench: Bench,
        address: str,
        *,
        sessions: int,
        size: int,
        kind: str = "switchboard",
        camera: Camera | None = None,
        profile: str = PROFILE,
    ) -> MediaLoad:
        """Connect everybody; nothing is sent yet.

        Raises:
            ChildFailed: they could not connect.
        """
        child = await Child.module(
            f"media of {kind}",
            "benchmarks.media.load",
            kind,
            address,
            json.dumps(
                {
                    "sessions": sessions,
                    "size": size,
                    "profile": profile,
                    **asdict(camera or Camera()),
                }
            ),
            on=bench.processors.load,
            environment=bench.target,
            within=set_up_seconds(sessions, size),
        )
        return cls(bench.owned(child), size)

    async def begin(self) -> None:
        """Let everybody send and receive."""
        await self.child.ask({"do": "begin"}, ASK_SECONDS)

    async def mark(self) -> None:
        """Count from here."""
        await self.child.ask({"do": "mark"}, ASK_SECONDS)

    async def end(self) -> MediaReport:
        """Fall silent, and say what was counted; connections stay."""
        answer = await self.child.ask({"do": "end"}, ASK_SECONDS)
        return MediaReport.from_json(answer, self._size - 1)

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[Flow]:
        """Keep media flowing within the context, after which it is known what came out."""
        flow = Flow()
        await self.begin()
        try:
            yield flow
        finally:
            flow.report = await self.end()
