"""Reading a journal in which the next release may have written.

Sessions move between actors of two releases while nodes are upgraded, so the older one reads what
the newer one wrote. Within a major version changes only add; hence an unknown field is left out,
the known fields of a later version mean what they meant, and an event of an unknown type is passed
over: it keeps its place in the count and its row in the record. An unknown word is read as the
known one that exposes people least. What must not be passed over is read one release before it is
written (`docs/operations.md`, with the one exception).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, get_args, get_origin, get_type_hints

from broker.events import EVENTS, AnyEvent, LaterEvent, PastEvent
from broker.evolve import evolve
from broker.state import SessionState
from broker.words import Capability, EndReason, LeaveReason, Mode, Role, Surface, Way

LEAST: Mapping[type[StrEnum], StrEnum] = MappingProxyType(
    {
        Role: Role.GUEST,
        Mode: Mode.VOICE,
        Way: Way.JOIN,
        Surface: Surface.WINDOW,
        LeaveReason: LeaveReason.LEFT,
        EndReason: EndReason.LOST,
    }
)
"""How an unknown word is read. An unknown way is that of somebody whom everybody sees and nobody
hears: `read_event` takes their capabilities away."""


def read_event(type_: str, version: int, at_ms: int, body: Mapping[str, Any]) -> PastEvent:
    """Rebuild an event from the journal, as far as this release knows it.

    Raises:
        ValueError: an event of this release whose fields do not fit: a mistake of ours.
    """
    cls = EVENTS.get(type_)
    if cls is None:
        return LaterEvent(type=type_, at_ms=at_ms, mark=body.get("mark"))
    try:
        readers = _READERS[type_]
        values = {name: read(body[name]) for name, read in readers.items() if name in body}
        if "way" in values and body["way"] != values["way"]:
            values["capabilities"] = ()
        return cls(at_ms=at_ms, **values)
    except (TypeError, ValueError) as error:
        if version > cls.version:
            return LaterEvent(type=type_, at_ms=at_ms, mark=body.get("mark"))
        raise ValueError(f"The journal's {type_!r} does not fit its schema.") from error


def retrace(state: SessionState, past: Iterable[PastEvent]) -> SessionState:
    """Replay a journal. Behind an event of a later release one that does not fit is passed over.

    Raises:
        KeyError, AssertionError: what does not fit, in a journal of known events only.
    """
    later = False
    for event in past:
        later = later or isinstance(event, LaterEvent)
        try:
            state = evolve(state, event)
        except (KeyError, AssertionError):
            if not later:
                raise
            state = replace(state, event_count=state.event_count + 1)
    return state


def known_word(words: type[StrEnum], word: object) -> StrEnum | None:
    """Return the word of a closed set, or `None` for one that only a later release knows.

    Raises:
        ValueError: no word at all.
    """
    if not isinstance(word, str):
        raise ValueError(f"{word!r} is no word.")
    return words(word) if word in words._value2member_map_ else None


def _reader(hint: Any) -> Callable[[Any], Any]:
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return lambda word: known_word(hint, word) or LEAST[hint]
    if get_origin(hint) is tuple and get_args(hint)[0] is Capability:
        return lambda words: tuple(filter(None, (known_word(Capability, word) for word in words)))
    return lambda value: value


def _readers(cls: type[AnyEvent]) -> dict[str, Callable[[Any], Any]]:
    return {
        name: _reader(hint)
        for name, hint in get_type_hints(cls).items()
        if name not in ("at_ms", "type", "version")
    }


_READERS = {type_: _readers(cls) for type_, cls in EVENTS.items()}
