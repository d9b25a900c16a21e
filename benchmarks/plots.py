"""Plots as SVG text, so that a page needs no other file.

Texts and axes take the colour of the page's text, so that one file suits light and dark screens.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from textwrap import shorten

import matplotlib as mpl
from cycler import cycler
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.result import LATE, Line, ScenarioResult

INK = "#010203"
"""Stands for the page's own colour until the plot is written."""
WIDTH = 6.4
HEIGHT = 3.4
PANEL_HEIGHT = 1.5

mpl.use("Agg")
mpl.rcParams.update(
    {
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.grid": True,
        "grid.alpha": 0.3,
        "legend.framealpha": 0.0,
        "lines.markersize": 4,
        **dict.fromkeys(
            ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
        ),
        # Seven hues that can be told apart on white and on black, also by the colour-blind.
        "axes.prop_cycle": cycler(
            color=["#0a84c6", "#d9730d", "#2a9d6f", "#c2499a", "#8a7cf0", "#b08a00", "#808080"]
        ),
    }
)
POINT = re.compile(r"(.+) (\d+)x(\d+)$")
SIZED = re.compile(r"(.+) ((?:\d+x)?\d+)$")
STYLES = ("-", "--", ":", "-.")
MEANINGS = {
    "reply": "a request until its reply",
    "each": "an event until one receiver has it",
    "last": "an event until the last receiver has it",
    "ringing": "click until the consumer's screen rings",
    "started": "click until the session has started",
    "accepted": "accept until that is answered",
    "waiting": "a consumer's arrival until they wait",
    "first picture": "accept until the consumer's first picture",
    "agent's": "accept until the agent's first picture",
    "delay": "delay of a packet from sender to receiver",
    LATE: "how late the load itself sent",
}
"""What each latency is of, for readers who do not know its name."""
FAR = 30.0
"""Times the least value, from which the scale is logarithmic."""
MOST_ROUNDS = 30
"""Rounds above which their medians are no longer drawn one by one."""


def drawn(draw: Callable[[Axes], None], *, height: float = HEIGHT) -> str:
    """Draw one plot and return it as an `svg` element."""
    return panels([draw], height)


def panels(draws: Sequence[Callable[[Axes], None]], height: float) -> str:
    """Draw panels of one height below each other, over one horizontal axis."""
    figure, axes = pyplot.subplots(
        len(draws),
        figsize=(WIDTH, height * len(draws)),
        layout="constrained",
        sharex=True,
        squeeze=False,
    )
    try:
        for draw, each in zip(draws, axes[:, 0], strict=True):
            draw(each)
        text = io.StringIO()
        figure.savefig(
            text, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    finally:
        pyplot.close(figure)
    svg = text.getvalue()
    return svg[svg.index("<svg") :].replace(INK, "currentColor")


def distribution(result: ScenarioResult, histogram: str) -> str:
    """Draw which share of messages took longer than a time, both on logarithmic scales."""

    looks = looks_of(result.sides())

    def draw(axes: Axes) -> None:
        for side in result.sides():
            pooled = result.pooled(side, histogram)
            if not pooled.count:
                continue
            color, style = looks[side]
            points = [(ms, 1 - share) for ms, share in pooled.curve()]
            least = 0.5 / pooled.count
            axes.step(
                [max(ms, 1e-3) for ms, _ in points],
                [max(rest, least) for _, rest in points],
                where="post",
                label=side,
                color=color,
                linestyle=style,
            )
        axes.set(xscale="log", yscale="log", xlabel="ms", ylabel="share that took longer")
        axes.set_title(titled(result, histogram))
        plain(axes.xaxis)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
        for share, name in ((0.5, "p50"), (0.01, "p99"), (0.001, "p99.9")):
            axes.axhline(share, color="grey", linewidth=0.5, linestyle=":")
            axes.annotate(
                name,
                (1, share),
                (4, -2),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                fontsize=7,
            )
        named(axes)

    return drawn(draw)


def over_size(result: ScenarioResult, histogram: str) -> str | None:
    """Draw p50 and p99 against the size of a session; `None` when only one size was measured."""
    lines: dict[str, tuple[list[tuple[int, float]], list[tuple[int, float]]]] = {}
    for side in result.sides():
        match = POINT.match(side)
        if match is None:
            return None
        pooled, mine = result.pooled(side, histogram), lines.setdefault(match[1], ([], []))
        for percent, points in zip((50.0, 99.0), mine, strict=True):
            if pooled.bears(percent):
                points.append((int(match[3]), pooled.percentile(percent)))
    if max((len(half) for half, _ in lines.values()), default=0) < 2:
        return None

    def draw(axes: Axes) -> None:
        for number, (who, (half, most)) in enumerate(lines.items()):
            for name, points, style in (("p99", most, "o-"), ("p50", half, "o:")):
                if points:
                    label = f"{who} {name}"
                    axes.plot(*zip(*points, strict=True), style, color=f"C{number}", label=label)
        axes.set(xlabel="people in the session", ylabel="ms", yscale="log")
        plain(axes.yaxis)
        axes.set_title(titled(result, histogram, "by size of the session"))
        named(axes)

    return drawn(draw)


def rounds(result: ScenarioResult, histogram: str) -> str | None:
    """Draw each round's median, to show whether the machine drifted."""
    numbers = sorted({m.round for m in result.measurements})
    if not 2 <= len(numbers) <= MOST_ROUNDS:
        return None
    looks = looks_of(result.sides())

    def draw(axes: Axes) -> None:
        for side in result.sides():
            points = [
                (m.round + 1, m.histograms[histogram].percentile(50))
                for m in result.measurements
                if m.side == side
                and histogram in m.histograms
                and m.histograms[histogram].bears(50)
            ]
            if not points:
                continue
            color, style = looks[side]
            axes.plot(
                [r for r, _ in sorted(points)],
                [v for _, v in sorted(points)],
                marker="o",
                color=color,
                linestyle=style,
                label=side,
            )
        axes.set(xlabel="round", ylabel="p50, ms", yscale="log")
        axes.set_xticks([number + 1 for number in numbers])
        plain(axes.yaxis)
        axes.set_title(titled(result, histogram, "round by round"))
        named(axes)

    return drawn(draw)


def lines(result: ScenarioResult, over: str) -> str:
    """Draw a result's lines over one quantity, a panel for each kind of value."""
    mine = [line for line in result.lines if line.over == over]
    grouped: dict[str, list[Line]] = {}
    for line in mine:
        grouped.setdefault(line.panel, []).append(line)

    def panel(name: str, group: list[Line], *, last: bool) -> Callable[[Axes], None]:
        def draw(axes: Axes) -> None:
            for line in group:
                points = sorted(line.points)
                few = len(line.points) < 40 and line.shape == "line"
                axes.plot(
                    [x for x, _ in points],
                    [y for _, y in points],
                    "o" if line.shape == "points" else "o-" if few else "-",
                    drawstyle="steps-post" if line.shape == "steps" else "default",
                    linewidth=1.2,
                    label=line.name,
                )
            axes.set_title(name, fontsize=9, loc="left")
            heights = [y for line in group for _, y in line.points]
            if apart(heights):
                axes.set_yscale("log")
                plain(axes.yaxis)
            else:
                axes.set_ylim(0, None)
            if last:
                axes.set_xlabel(over)
            if len(group) > 1:
                named(axes)

        return draw

    names = list(grouped)
    return panels(
        [panel(name, grouped[name], last=name == names[-1]) for name in names],
        HEIGHT if len(names) == 1 else PANEL_HEIGHT,
    )


def apart(values: Sequence[float]) -> bool:
    """Whether values are so unlike that the small ones would lie on the axis of the large."""
    return min(values, default=0.0) > 0 and max(values) > FAR * min(values)


def steps(result: ScenarioResult) -> str:
    """Draw a time line of what follows one moment: each step's median, middle half and whole."""
    found = {
        name: pooled
        for name in result.steps
        if (pooled := result.pooled(result.sides()[0], name)).bears(50.0)
    }

    def draw(axes: Axes) -> None:
        for row, each in enumerate(found.values()):
            low, high = each.percentile(0.0), each.percentile(100.0)
            middle = each.percentile(50.0)
            axes.plot([low, high], [row, row], color="C0", linewidth=1)
            if each.bears(25.0):
                half = [each.percentile(25.0), each.percentile(75.0)]
                axes.plot(half, [row, row], color="C0", linewidth=6)
            axes.plot([middle], [row], "o", color="C1")
            axes.annotate(f"{middle:.0f}", (high, row), (6, -3), textcoords="offset points")
        axes.set_yticks(range(len(found)), list(found))
        longest = max(each.percentile(100.0) for each in found.values())
        axes.set(
            xlabel=f"ms since {result.since}: median, middle half, all", xlim=(0, 1.15 * longest)
        )
        axes.invert_yaxis()
        axes.set_title(f"{result.name}: time line")

    return drawn(draw, height=1.2 + 0.35 * len(found))


def bars(title: str, values: dict[str, float], unit: str) -> str:
    """Draw one bar for each value."""

    def draw(axes: Axes) -> None:
        shown = axes.barh([shorten(name, 40) for name in values], list(values.values()), height=0.6)
        axes.bar_label(shown, fmt="%.1f", padding=3)
        axes.set(xlabel=unit, title=title)
        axes.margins(x=0.12)
        axes.invert_yaxis()

    return drawn(draw, height=1.0 + 0.35 * len(values))


def meaning(result: ScenarioResult, histogram: str) -> str:
    """Say what a latency is of: of a step of a time line, since when."""
    if histogram in result.steps:
        return f"{result.since} until {histogram}"
    return MEANINGS.get(histogram, histogram)


def titled(result: ScenarioResult, histogram: str, how: str = "") -> str:
    """Name a plot of one latency by what it is of."""
    said = f"{result.name}: {meaning(result, histogram)}"
    return f"{said}, {how}" if how else said


def looks_of(sides: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Give each side a colour and a line: who is measured has a colour, its size a line."""
    found: dict[str, tuple[str, str]] = {}
    colors: dict[str, str] = {}
    styles: dict[str, str] = {}
    for side in sides:
        match = SIZED.match(side)
        who, size = (match[1], match[2]) if match else (side, "")
        color = colors.setdefault(who, f"C{len(colors)}")
        found[side] = color, styles.setdefault(size, STYLES[len(styles) % len(STYLES)])
    return found


def named(axes: Axes) -> None:
    """Name the lines beside the plot, so that no name hides a line."""
    handles, names = axes.get_legend_handles_labels()
    if names:
        axes.legend(handles, names, loc="upper left", bbox_to_anchor=(1.06, 1.0), fontsize=8)


def plain(axis: Axis) -> None:
    """Write the numbers of a logarithmic axis as people write them, and few enough to be read."""
    low, high = axis.get_view_interval()
    decades = math.log10(high / low)
    digits = (
        (1,)
        if decades > 3
        else (1, 2, 5)
        if decades > 1
        else (1, 2, 3, 5, 7)
        if decades > 0.6
        else range(1, 10)
    )
    axis.set_major_locator(LogLocator(subs=[float(digit) for digit in digits]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
