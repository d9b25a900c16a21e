"""One event to everyone in Janus's videoroom, over its WebSocket API.

A participant changes the name that is shown of them (`configure` with `display`). Janus tells every
other participant (an `event` with `id` and `display`) and answers who asked (`configured`); both
count, as a session's roster also goes to whoever caused it. Of what Janus tells a whole room at
once this is what needs no media: talking and moderation need published streams, joining and leaving
change the room. Everybody has a connection of their own, joined as a publisher who publishes
nothing. Janus sends about 150 bytes each time, where a session and the peer's room send a whole
roster: the comparison favours Janus.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from dataclasses import dataclass

from benchmarks.janus_session import JanusSession
from benchmarks.loads.everyone import Events

TOLD = re.compile(rb'"display":\s*"e(\d+)"')
CONFIGURED = re.compile(rb'"transaction":\s*"e(\d+)"')


def event_in(text: bytes) -> int | None:
    """Return the number of the event that a message tells of; `None` when it tells of none.

    The acknowledgement that comes before an answer tells nothing: Janus sends it before it has
    done anything.
    """
    if (match := TOLD.search(text)) is not None:
        return int(match[1])
    if b'"configured"' in text and (match := CONFIGURED.search(text)) is not None:
        return int(match[1])
    return None


@dataclass(slots=True)
class Member:
    """Somebody in a room."""

    janus: JanusSession
    handle: int


class Videoroom(Events):
    """`sessions` rooms of `size` members, who change their names in turn."""

    def __init__(self, address: str, sessions: int, size: int) -> None:
        super().__init__()
        self._address = address
        self._sessions = sessions
        self._size = size
        self._rooms: list[list[Member]] = []

    async def open(self) -> None:
        for _ in range(self._sessions):
            room = 1 + secrets.randbelow(1 << 30)
            members: list[Member] = []
            self._rooms.append(members)
            for receiver in range(self._size):
                janus = await JanusSession.open(self._address)
                member = Member(janus, await janus.attach())
                members.append(member)
                if receiver == 0:
                    await janus.request(
                        member.handle,
                        {"request": "create", "room": room, "publishers": self._size},
                    )
                # Only the change of a name is told, so that everybody must have one to begin with.
                await janus.request(
                    member.handle,
                    {"request": "join", "ptype": "publisher", "room": room, "display": "nobody"},
                )
                self._listen(janus, receiver)

    def send(self, number: int, intended: float) -> None:
        members = self._rooms[number % len(self._rooms)]
        self.caused(number, intended, len(members))
        sender = members[(number // len(self._rooms)) % len(members)]
        sender.janus.send(
            {
                "janus": "message",
                "handle_id": sender.handle,
                "body": {"request": "configure", "display": f"e{number}"},
            },
            f"e{number}",
        )

    async def close(self) -> None:
        await asyncio.gather(*(member.janus.close() for room in self._rooms for member in room))

    def _listen(self, janus: JanusSession, receiver: int) -> None:
        def on_raw(text: bytes, now: float) -> bool:
            number = event_in(text)
            if number is None:
                return False
            self.received(number, receiver, now)
            return True

        janus.on_raw = on_raw
