"""What runs while a packet is on its way: nothing that is made for signalling (design-media §5)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

import actors.relay
from actors.relay.network.port import Socket
from actors.relay.network.reception import Reception
from tests.patience import until

from .camera import RIDS, Camera
from .conftest import StartCall
from .voice import talking

RELAY = Path(actors.relay.__file__).parent
SIGNALLING = {"sdp/answer.py", "sdp/codec.py", "sdp/offer.py", "transport/negotiation.py"}
"""What reads and writes SDP."""
PREPARED = {
    "Context.__init__",
    "Dtls.__init__",
    "Identity.__init__",
    "Slot.__init__",
    "Transport.__init__",
}
"""What is made once for a relay or a transport, before its first datagram."""

USUAL = {
    ("transport/intake.py", "Intake.receive_rtp"),
    ("forwarding/layer.py", "Layer.receive"),
    ("forwarding/slot.py", "Slot.forward"),
    ("congestion/estimate.py", "Estimate.feedback"),
}
"""What every packet passes, and what is told of it."""


class Watch:
    """Notes which Python functions this thread calls, apart by whether a wake-up called them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waking: set[tuple[Path, str]] = set()
        """(file, qualified name) of what was called between a datagram and its wake-up's end."""
        self.otherwise: set[tuple[Path, str]] = set()
        self._into = self.otherwise
        wake = Reception.wake

        def watched(reception: Reception, socket: Socket) -> None:
            self._into = self.waking
            try:
                wake(reception, socket)
            finally:
                self._into = self.otherwise

        monkeypatch.setattr(Reception, "wake", watched)

    def _event(self, frame: FrameType, event: str, argument: object) -> None:
        del argument
        if event == "call":
            code = frame.f_code
            self._into.add((Path(code.co_filename), code.co_qualname))

    @contextmanager
    def looking(self) -> Iterator[None]:
        before = sys.getprofile()
        sys.setprofile(self._event)
        try:
            yield
        finally:
            sys.setprofile(before)


async def test_no_description_and_no_context_is_made_between_a_datagram_and_its_followers(
    start_call: StartCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While two see and hear each other a third joins, one negotiates anew, one comes back."""
    watch = Watch(monkeypatch)
    call = await start_call()
    ada, ben = await call.join("ada", rids=RIDS), await call.join("ben")
    camera = Camera(ada)
    try:
        async with talking(ada):
            with watch.looking():
                ben.acknowledge()
                await call.join("cy")
                ada.negotiate()
                await call.join("ben", "ben-2")
                await asyncio.sleep(0.2)
    finally:
        await camera.stop()

    def heavy(called: set[tuple[Path, str]]) -> set[str]:
        files = {str(path.relative_to(RELAY)) for path, _ in called if RELAY in path.parents}
        names = {name for _, name in called}
        return files & SIGNALLING | names & PREPARED

    assert heavy(watch.otherwise) == SIGNALLING | PREPARED
    assert heavy(watch.waking) == set()


async def test_a_packet_passes_through_the_relays_own_code_and_no_other(
    start_call: StartCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No library written in Python, no log, no coroutine: what each packet costs is seen here."""
    watch = Watch(monkeypatch)
    call = await start_call()
    ada, ben = await call.join("ada", rids=RIDS), await call.join("ben")
    for client in (ada, ben):
        # A check is answered by aioice's codec.
        client.stop_checking()
    await asyncio.sleep(0.1)
    camera = Camera(ada)
    try:
        async with talking(ada):
            with watch.looking():
                ben.acknowledge()
                await asyncio.sleep(0.5)
                await until(lambda: {(RELAY / file, name) for file, name in USUAL} <= watch.waking)
    finally:
        await camera.stop()
    # A named tuple's constructor stands in no file.
    others = {(str(path), name) for path, name in watch.waking if path.is_file()}
    assert {each for each in others if RELAY not in Path(each[0]).parents} == set()
