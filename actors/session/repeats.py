"""Commands that are said again: whoever did not hear the answer asks once more.

A command has an id, by which whoever asks names it. Hashed, as its *mark*, it stands in the journal
with what it led to (`Event.mark`), so that the next actor does not do it again.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from actors.session.person import Person
from broker.errors import SwitchboardError

REMEMBERED = 256
"""Answers to the backend kept of one session. Those before, and of an earlier tenure, are made
anew of the command and of what the journal says that it did."""


class Answering(Protocol):
    """How a call is answered, once."""

    def done(self, payload: bytes) -> None: ...
    def fault(self, error: SwitchboardError) -> None: ...


@dataclass(frozen=True, slots=True)
class Shared:
    """Answers one command for everybody who asked for it."""

    _answered: Callable[[bytes | SwitchboardError], None]

    def done(self, payload: bytes) -> None:
        self._answered(payload)

    def fault(self, error: SwitchboardError) -> None:
        self._answered(error)


class Repeats:
    """Which commands of the backend were done or are under way in this tenure, and their answers. A
    refusal is not remembered."""

    def __init__(self) -> None:
        self._done: OrderedDict[str, bytes] = OrderedDict()
        self._under_way: dict[str, list[Answering]] = {}

    def first(self, command_id: str | None, reply: Answering) -> Answering | None:
        """Return what is to answer a new command; `None`: this one was or will be answered."""
        if command_id is None:
            return reply
        if (answer := self._done.get(command_id)) is not None:
            reply.done(answer)
            return None
        if (waiting := self._under_way.get(command_id)) is not None:
            waiting.append(reply)
            return None
        self._under_way[command_id] = [reply]
        return Shared(lambda answer: self._answered(command_id, answer))

    def _answered(self, command_id: str, answer: bytes | SwitchboardError) -> None:
        waiting = self._under_way.pop(command_id, ())
        if isinstance(answer, bytes):
            self._done[command_id] = answer
            while len(self._done) > REMEMBERED:
                self._done.popitem(last=False)
        for reply in waiting:
            if isinstance(answer, bytes):
                reply.done(answer)
            else:
                reply.fault(answer)


def asked_by(person: Person, request_id: str) -> str:
    """The id of a widget's request as a command: among those of all who are in the session."""
    return f"{person.participant_id}:{request_id}"


def request_mark(person: Person, request_id: str) -> str:
    """The mark of a widget's request."""
    return mark_of(asked_by(person, request_id))


def mark_of(command_id: str) -> str:
    """By what the journal knows a command, and the id of what it makes.

    A hash: its own id is whatever somebody chose, and everybody sees the id of what it makes.
    """
    return urlsafe_b64encode(hashlib.sha256(command_id.encode()).digest()[:12]).decode()


def code_of(command_id: str, key: bytes) -> str:
    """The code of the guest link that a command makes; only the cluster, by its key, knows it."""
    digest = hmac.digest(key, b"guest-link:" + command_id.encode(), "sha256")
    return urlsafe_b64encode(digest[:18]).decode()
