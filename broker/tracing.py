"""Traces as the parts see them: whoever composes the parts says whether there are any.

A gateway begins a trace; session actor and ledger only continue one that they are given. No fact
of a span is the id of a session, a participant or anything of theirs.
"""

from __future__ import annotations

from typing import Literal, Protocol

Kind = Literal["server", "client"]
CONTEXT = "trace.context"
"""Notice gateway to session actor: the message that follows belongs to this trace."""


class Span(Protocol):
    """Something that is being done. Whoever began it ends it."""

    @property
    def context(self) -> str | None:
        """What continues the trace elsewhere, as W3C's `traceparent`; `None`: it is not kept."""
        ...

    def end(self, code: str | None = None) -> None:
        """It is done, or failed with this stable code. Harmless when ended."""
        ...


class Traces(Protocol):
    """Where spans go."""

    def begin(self, name: str, kind: Kind, context: str | None = None, **facts: str) -> Span:
        """Begin a span within a trace, or without a context a trace."""
        ...
