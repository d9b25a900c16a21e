"""The part of PromQL that our queries use, read and evaluated; anything else is an error."""

from __future__ import annotations

import itertools
import math
import operator
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<name>[a-zA-Z_:][\w:]*)|(?P<text>\"[^\"]*\")"
    r"|(?P<range>\[\d+[smhd]\])|(?P<operator>==|!=|=~|!~|<=|>=|[-+*/<>=(){},]))"
)
_AGGREGATIONS: dict[str, Callable[[Sequence[float]], float]] = {
    "sum": sum,
    "max": max,
    "min": min,
    "avg": lambda values: sum(values) / len(values),
    "count": lambda values: float(len(values)),
}
_OF_RANGES = {"rate", "increase"}
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda a, b: a / b if b else math.copysign(math.inf, a) if a else math.nan,
}
_BINARY = {**_COMPARISONS, **_ARITHMETIC}
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Scrape:
    """What was read at one time, by metric."""

    at_s: float
    samples: dict[str, Vector]


History = Sequence[Scrape]
Value = float | Vector
Node = Callable[[History], Value]


class Query:
    """One query; `metrics` holds the names it reads. Raises ValueError where it does not parse."""

    def __init__(self, text: str) -> None:
        self.metrics: set[str] = set()
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text.rstrip()):
            match = _TOKEN.match(text, at)
            if match is None:
                raise ValueError(f"{text!r}: not understood from {text[at:]!r} on")
            kind = match.lastgroup or ""
            self._tokens.append((kind, match[kind]))
            at = match.end()
        self._node = self._expression()
        if self._tokens:
            raise ValueError(f"{text!r}: {self._tokens[0][1]!r} is left over")

    def evaluate(self, history: History) -> Vector:
        """Return what it yields at the time of the last scrape; an alert fires for what is left.

        Increases are those between scrapes, without Prometheus' extrapolation to the whole range.
        """
        found = self._node(history)
        return {frozenset(): found} if isinstance(found, float) else found

    def _next(self) -> str:
        return self._tokens[0][1] if self._tokens else ""

    def _take(self, *wanted: str, kind: str = "") -> str:
        if not self._tokens:
            raise ValueError(f"the end comes before {wanted or kind}")
        found, text = self._tokens.pop(0)
        if (wanted and text not in wanted) or (kind and found != kind):
            raise ValueError(f"{text!r} stands where {wanted or kind} belongs")
        return text

    def _expression(self) -> Node:
        """Read operands from the left; precedence is an error, not a guess."""
        left, used = self._term(), ""
        while self._next() in _BINARY:
            sign = self._take()
            if used in _COMPARISONS or (used and sign in {"*", "/"}):
                raise ValueError(f"{sign!r} after {used!r} needs brackets")
            left, used = _binary(sign, left, self._term()), sign
        return left

    def _term(self) -> Node:
        kind = self._tokens[0][0] if self._tokens else "name"
        if kind == "number":
            number = float(self._take())
            return lambda history: number
        if self._next() == "(":
            self._take("(")
            inner = self._expression()
            self._take(")")
            return inner
        name = self._take(kind="name")
        if name in _AGGREGATIONS:
            return self._aggregation(name)
        if name == "histogram_quantile":
            return self._quantile()
        if name in _OF_RANGES:
            self._take("(")
            metric = self._take(kind="name")
            matches = self._selector(metric)
            size = self._take(kind="range")
            self._take(")")
            return _growth(metric, matches, int(size[1:-2]) * _UNIT_S[size[-2]], name == "rate")
        matches = self._selector(name)
        return lambda history: {
            labels: value
            for labels, value in history[-1].samples.get(name, {}).items()
            if matches(labels)
        }

    def _aggregation(self, name: str) -> Node:
        by: tuple[str, ...] = ()
        without = False
        if self._next() in ("by", "without"):
            without = self._take() == "without"
            self._take("(")
            by = (self._take(kind="name"),)
            while self._next() == ",":
                self._take()
                by += (self._take(kind="name"),)
            self._take(")")
        self._take("(")
        inner = self._expression()
        self._take(")")

        def aggregate(history: History) -> Vector:
            groups: dict[Labels, list[float]] = defaultdict(list)
            for labels, value in _vector(inner(history)).items():
                kept = frozenset(each for each in labels if (each[0] in by) is not without)
                groups[kept].append(value)
            return {labels: _AGGREGATIONS[name](values) for labels, values in groups.items()}

        return aggregate

    def _quantile(self) -> Node:
        self._take("(")
        share = float(self._take(kind="number"))
        self._take(",")
        inner = self._expression()
        self._take(")")

        def quantile(history: History) -> Vector:
            groups: dict[Labels, list[tuple[float, float]]] = defaultdict(list)
            for labels, value in _vector(inner(history)).items():
                told = dict(labels)
                bound = float(told.pop("le"))
                groups[frozenset(told.items())].append((bound, value))
            return {labels: _within(share, sorted(found)) for labels, found in groups.items()}

        return quantile

    def _selector(self, name: str) -> Callable[[Labels], bool]:
        self.metrics.add(name)
        tests: list[Callable[[Labels], bool]] = []
        if self._next() == "{":
            self._take("{")
            while self._next() != "}":
                label = self._take(kind="name")
                sign = self._take("=", "!=", "=~", "!~")
                tests.append(_matcher(label, sign, self._take(kind="text")[1:-1]))
                if self._next() == ",":
                    self._take()
            self._take("}")
        return lambda labels: all(test(labels) for test in tests)


def _matcher(label: str, sign: str, text: str) -> Callable[[Labels], bool]:
    def matches(labels: Labels) -> bool:
        value = dict(labels).get(label, "")
        found = re.fullmatch(text, value) is not None if "~" in sign else value == text
        return found is not sign.startswith("!")

    return matches


def _growth(metric: str, matches: Callable[[Labels], bool], size_s: int, per_s: bool) -> Node:
    """How much counters grew within the range, a fall being a restart from zero."""

    def growth(history: History) -> Vector:
        within = [each for each in history if each.at_s > history[-1].at_s - size_s]
        found: Vector = {}
        for labels in within[-1].samples.get(metric, {}):
            if matches(labels):
                values = [
                    each.samples[metric][labels]
                    for each in within
                    if labels in each.samples.get(metric, {})
                ]
                grown = sum(
                    after - before if after >= before else after
                    for before, after in itertools.pairwise(values)
                )
                found[labels] = grown / size_s if per_s else grown
        return found

    return growth


def _within(share: float, buckets: Sequence[tuple[float, float]]) -> float:
    """Interpolate in the bucket that holds a share of all, as Prometheus does."""
    wanted = share * buckets[-1][1]
    lower = below = 0.0
    for bound, count in buckets:
        if count >= wanted and count > below:
            if bound == float("inf"):
                return lower
            return lower + (bound - lower) * (wanted - below) / (count - below)
        lower, below = bound, count
    return float("nan")


def _binary(sign: str, left: Node, right: Node) -> Node:
    def apply(history: History) -> Value:
        a, b = left(history), right(history)
        if isinstance(a, float) and isinstance(b, float):
            return float(_BINARY[sign](a, b))
        known = set(a) if not isinstance(a, float) else set(_vector(b))
        if not isinstance(b, float):
            known &= set(b)
        pairs = {labels: (_at(a, labels), _at(b, labels)) for labels in known}
        if sign in _COMPARISONS:
            return {labels: x for labels, (x, y) in pairs.items() if _COMPARISONS[sign](x, y)}
        return {labels: _ARITHMETIC[sign](x, y) for labels, (x, y) in pairs.items()}

    return apply


def _at(value: Value, labels: Labels) -> float:
    return value if isinstance(value, float) else value[labels]


def _vector(value: Value) -> Vector:
    if isinstance(value, float):
        raise ValueError("A number has no series to aggregate.")
    return value
