"""Synthetic peers in Switchboard's sessions, joined through the public edge as widgets do."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import httpx

from benchmarks.media.association import Certificate
from benchmarks.media.party import Media
from benchmarks.media.source import Camera
from benchmarks.participant import Call, Edge, Participant, call


class Sessions:
    """Some sessions of one size on one gateway. `close` ends them."""

    def __init__(self, address: str, *, profile: str, camera: Camera) -> None:
        self.media = Media(Certificate(profile), camera)
        self._http = httpx.AsyncClient(timeout=20)
        self._edge = Edge.at(address, self._http)
        self._calls: list[Call] = []

    async def open(self, sessions: int, size: int) -> None:
        """Start the sessions; returns when everybody's media are connected."""
        for _ in range(sessions):
            made = await call(self._edge, size)
            self._calls.append(made)
            for person in made.people:
                await self._join(person, seats=size - 1)

    async def _join(self, person: Participant, seats: int) -> None:
        async def exchange(sdp: str, seat_mids: Sequence[tuple[str, str]]) -> str:
            await person.ask(
                {"type": "media.publish", "microphone": True, "camera": True, "screen": False}
            )
            reply = await person.ask(
                {
                    "type": "media.offer",
                    "transport_id": f"load-{secrets.token_hex(6)}",
                    "epoch": 1,
                    "sdp": sdp,
                    "publish": [
                        {"mid": "0", "source": "microphone"},
                        {"mid": "1", "source": "camera"},
                    ],
                    "seats": [{"audio_mid": a, "video_mid": v} for a, v in seat_mids],
                    "screens": [],
                }
            )
            # Tells of seats and speakers are left alone from now on.
            person.on_raw = lambda text, now: b'"reply_to"' not in text
            return str(reply["sdp"])

        await self.media.join(seats, exchange)

    async def close(self) -> None:
        """End the sessions for everybody."""
        self.media.close()
        for made in self._calls:
            await made.end()
        await self._http.aclose()
