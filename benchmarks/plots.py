"""Plots as SVG text, so that a page needs no other file."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import matplotlib as mpl
from matplotlib import pyplot
from matplotlib.axes import Axes

from benchmarks.result import ScenarioResult

mpl.use("Agg")
mpl.rcParams.update({"svg.fonttype": "none", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3})
POINT = re.compile(r"(.+) (\d+)x(\d+)$")


def drawn(draw: Callable[[Axes], None]) -> str:
    """Draw one plot and return it as an `svg` element."""
    figure, axes = pyplot.subplots(figsize=(6.4, 3.4), layout="constrained")
    try:
        draw(axes)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    finally:
        pyplot.close(figure)
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


def distribution(result: ScenarioResult, histogram: str) -> str:
    """Draw which share of messages took longer than a time, both on logarithmic scales."""

    def draw(axes: Axes) -> None:
        for side in result.sides():
            pooled = result.pooled(side, histogram)
            if not pooled.count:
                continue
            points = [(ms, 1 - share) for ms, share in pooled.curve()]
            least = 0.5 / pooled.count
            axes.step(
                [max(ms, 1e-3) for ms, _ in points],
                [max(rest, least) for _, rest in points],
                where="post",
                label=side,
            )
        axes.set(xscale="log", yscale="log", xlabel="ms", ylabel="share that took longer")
        axes.set_title(f"{result.name}: {histogram}")
        for share in (0.5, 0.01, 0.001):
            axes.axhline(share, color="grey", linewidth=0.5, linestyle=":")
        axes.legend()

    return drawn(draw)


def over_size(result: ScenarioResult, histogram: str) -> str | None:
    """Draw p50 and p99 against the size of a session; `None` when only one size was measured."""
    lines: dict[str, list[tuple[int, float, float]]] = {}
    for side in result.sides():
        match = POINT.match(side)
        if match is None:
            return None
        pooled = result.pooled(side, histogram)
        if pooled.count:
            point = (int(match[3]), pooled.percentile(50), pooled.percentile(99))
            lines.setdefault(match[1], []).append(point)
    if max((len(points) for points in lines.values()), default=0) < 2:
        return None

    def draw(axes: Axes) -> None:
        for who, points in lines.items():
            sizes = [size for size, _, _ in points]
            (line,) = axes.plot(sizes, [p99 for _, _, p99 in points], "o-", label=f"{who} p99")
            axes.plot(
                sizes,
                [p50 for _, p50, _ in points],
                "o:",
                color=line.get_color(),
                label=f"{who} p50",
            )
        axes.set(
            xlabel="people in the session", ylabel="ms until the last one has it", ylim=(0, None)
        )
        axes.legend()

    return drawn(draw)


def rounds(result: ScenarioResult, histogram: str) -> str | None:
    """Draw each round's median, to show whether the machine drifted."""
    if len({m.round for m in result.measurements}) < 2:
        return None

    def draw(axes: Axes) -> None:
        for side in result.sides():
            points = [
                (m.round + 1, m.histograms[histogram].percentile(50))
                for m in result.measurements
                if m.side == side and histogram in m.histograms and m.histograms[histogram].count
            ]
            axes.plot(
                [r for r, _ in sorted(points)], [v for _, v in sorted(points)], "o-", label=side
            )
        axes.set(xlabel="round", ylabel="p50, ms", yscale="log")
        axes.legend()

    return drawn(draw)


def bars(title: str, values: dict[str, float], unit: str) -> str:
    """Draw one bar for each value."""

    def draw(axes: Axes) -> None:
        shown = axes.barh(list(values), list(values.values()))
        axes.bar_label(shown, fmt="%.1f", padding=3)
        axes.set(xlabel=unit, title=title)
        axes.invert_yaxis()

    return drawn(draw)
