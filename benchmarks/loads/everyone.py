"""One event to everyone: how long until the last of them has it.

In a session a participant turns the camera off or on and every participant gets `roster.changed`;
in the peer's room a message makes the room send as many bytes to every member.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass

import httpx

from benchmarks.histogram import Histogram
from benchmarks.participant import Call, Edge, Participant, call
from benchmarks.websocket import WebSocket, connect

ROSTER_ENTRY_BYTES = 330
"""About what one person's entry takes in `roster.changed`, so that the peer sends as much."""
_PAD = re.compile(rb'^\{"id": ?(\d+)')


@dataclass(slots=True)
class Event:
    """One thing that everybody in one room is to learn."""

    intended: float
    waiting_for: set[int]


class Events:
    """What has been caused and not everybody has learnt, and how long it took those who have."""

    def __init__(self) -> None:
        self._measured_from = 0.0
        self._each, self._last = Histogram(), Histogram()
        self._open: dict[int, Event] = {}

    def begin(self, measured_from: float) -> None:
        self._measured_from = measured_from
        self._each, self._last = Histogram(), Histogram()
        self._open.clear()

    def missing(self) -> int:
        return len(self._open)

    def histograms(self) -> dict[str, Histogram]:
        """Return latencies to each receiver, and to the last one of each event."""
        return {"each": self._each, "last": self._last}

    def caused(self, number: int, intended: float, receivers: int) -> None:
        """Note an event that so many are to learn of."""
        self._open[number] = Event(intended, set(range(receivers)))

    def waits(self, number: int, receiver: int) -> bool:
        """Whether somebody has not learnt of an event yet."""
        event = self._open.get(number)
        return event is not None and receiver in event.waiting_for

    def received(self, number: int, receiver: int, now: float) -> None:
        """Note that one of them has it: twice is once, and of an earlier round is never."""
        if not self.waits(number, receiver):
            return
        event = self._open[number]
        event.waiting_for.discard(receiver)
        histograms = [self._each]
        if not event.waiting_for:
            del self._open[number]
            histograms.append(self._last)
        if event.intended >= self._measured_from:
            for histogram in histograms:
                histogram.record(now - event.intended)


def camera_of(roster: bytes, participant_id: str) -> bool | None:
    """Read one person's camera from a roster without reading the rest of it.

    Every receiver's roster is looked at before the next is: what this costs is charged to the
    server, and the peer's messages cost the load next to nothing.
    """
    entry = roster.find(b'"participant_id":"' + participant_id.encode() + b'"')
    camera = roster.find(b'"camera":', entry) + len(b'"camera":')
    return None if entry < 0 else roster[camera : camera + 1] == b"t"


@dataclass(frozen=True, slots=True)
class Toggle:
    """An event's number, whose camera it turns off or on, and which."""

    number: int
    participant_id: str
    camera: bool


class Everyone(Events):
    """Sessions of a given size; in each, the participants toggle their cameras in turn.

    A session has at most one event on its way when latencies are far below the time between two
    of its events. When they are not, a roster that shows a later state also tells of the earlier;
    and where one takes longer than the turns of all participants, one from before two toggles of a
    person may be taken for the later of them.
    """

    def __init__(self, address: str, sessions: int, size: int) -> None:
        super().__init__()
        self._http = httpx.AsyncClient(timeout=20)
        self._edge = Edge.at(address, self._http)
        self._sessions = sessions
        self._size = size
        self._calls: list[Call] = []
        self._toggles: list[list[Toggle]] = []
        """Of each session those that somebody has not learnt of, in order."""
        self._cameras: dict[str, bool] = {}

    async def open(self) -> None:
        for number in range(self._sessions):
            made = await call(self._edge, self._size)
            self._calls.append(made)
            self._toggles.append([])
            for receiver, person in enumerate(made.people):
                await person.ask(
                    {"type": "media.publish", "microphone": True, "camera": True, "screen": False}
                )
                self._cameras[person.participant_id] = True
                self._listen(number, receiver, person)

    def begin(self, measured_from: float) -> None:
        super().begin(measured_from)
        for toggles in self._toggles:
            toggles.clear()

    def send(self, number: int, intended: float) -> None:
        session = number % len(self._calls)
        people = self._calls[session].people
        person = people[(number // len(self._calls)) % len(people)]
        camera = not self._cameras[person.participant_id]
        self._cameras[person.participant_id] = camera
        self.caused(number, intended, len(people))
        self._toggles[session].append(Toggle(number, person.participant_id, camera))
        person.send(
            b'{"type":"media.publish","microphone":true,"camera":%s,"screen":false}'
            % (b"true" if camera else b"false")
        )

    async def close(self) -> None:
        for made in self._calls:
            await made.end()
        await self._http.aclose()

    def _listen(self, session: int, receiver: int, person: Participant) -> None:
        def on_raw(text: bytes, now: float) -> bool:
            if b'"roster.changed"' not in text[:64]:
                return False
            toggles = self._toggles[session]
            told = [
                index
                for index, each in enumerate(toggles)
                if self.waits(each.number, receiver)
                and camera_of(text, each.participant_id) is each.camera
            ]
            for each in toggles[: max(told, default=-1) + 1]:
                self.received(each.number, receiver, now)
            while toggles and toggles[0].number not in self._open:
                toggles.pop(0)
            return True

        person.on_raw = on_raw


class Room(Events):
    """The same for the single-process room: `size` members in each of `sessions` rooms."""

    def __init__(self, address: str, sessions: int, size: int, payload: int) -> None:
        super().__init__()
        self._address = address
        self._rooms: list[list[WebSocket]] = [[] for _ in range(sessions)]
        self._size = size
        self._payload = payload

    async def open(self) -> None:
        for number, members in enumerate(self._rooms):
            for receiver in range(self._size):
                socket = await connect(f"{self._address}/room/{number}")
                self._listen(socket, receiver)
                members.append(socket)

    def send(self, number: int, intended: float) -> None:
        members = self._rooms[number % len(self._rooms)]
        self.caused(number, intended, len(members))
        sender = members[(number // len(self._rooms)) % len(members)]
        sender.send(b'{"id":%d,"size":%d}' % (number, self._payload))

    async def close(self) -> None:
        for members in self._rooms:
            for socket in members:
                socket.close()
        await asyncio.sleep(0)

    def _listen(self, socket: WebSocket, receiver: int) -> None:
        def on_text(text: bytes) -> None:
            now = time.monotonic()
            match = _PAD.match(text)
            if match is not None:
                self.received(int(match[1]), receiver, now)

        socket.on_text = on_text
