"""Read the part of PromQL that our queries use; anything else is an error, not a guess."""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<name>[a-zA-Z_:][\w:]*)|(?P<text>\"[^\"]*\")"
    r"|(?P<range>\[\d+[smhd]\])|(?P<operator>==|!=|=~|!~|<=|>=|[-+*/<>=(){},]))"
)
_AGGREGATIONS = {"sum", "max", "min", "avg", "count"}
_OF_RANGES = {"rate", "increase"}
_BINARY = {"==", "!=", "<", ">", "<=", ">=", "+", "-", "*", "/"}


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
        self._expression()
        if self._tokens:
            raise ValueError(f"{text!r}: {self._tokens[0][1]!r} is left over")

    def _next(self) -> str:
        return self._tokens[0][1] if self._tokens else ""

    def _take(self, *wanted: str, kind: str = "") -> str:
        if not self._tokens:
            raise ValueError(f"the end comes before {wanted or kind}")
        found, text = self._tokens.pop(0)
        if (wanted and text not in wanted) or (kind and found != kind):
            raise ValueError(f"{text!r} stands where {wanted or kind} belongs")
        return text

    def _expression(self) -> None:
        self._term()
        while self._next() in _BINARY:
            self._take()
            self._term()

    def _term(self) -> None:
        kind = self._tokens[0][0] if self._tokens else "name"
        if kind == "number":
            self._take()
        elif self._next() == "(":
            self._take("(")
            self._expression()
            self._take(")")
        else:
            name = self._take(kind="name")
            if name in _AGGREGATIONS:
                self._aggregation()
            elif name in _OF_RANGES:
                self._take("(")
                self._selector(self._take(kind="name"))
                self._take(kind="range")
                self._take(")")
            else:
                self._selector(name)

    def _aggregation(self) -> None:
        if self._next() in ("by", "without"):
            self._take()
            self._take("(")
            self._take(kind="name")
            while self._next() == ",":
                self._take()
                self._take(kind="name")
            self._take(")")
        self._take("(")
        self._expression()
        self._take(")")

    def _selector(self, name: str) -> None:
        self.metrics.add(name)
        if self._next() != "{":
            return
        self._take("{")
        while self._next() != "}":
            self._take(kind="name")
            self._take("=", "!=", "=~", "!~")
            self._take(kind="text")
            if self._next() == ",":
                self._take()
        self._take("}")
