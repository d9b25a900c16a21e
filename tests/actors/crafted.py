"""Crafted media clients on a stage: they offer as their widget does, through the session."""

from __future__ import annotations

import itertools
from typing import Any

from actors.relay import Relay, RelayConfig
from actors.session.person import Person
from tests.actors.stage import Message, Stage, Trunk
from tests.relay.client import CraftedClient
from tests.relay.recording import RecordingListener

_numbers = itertools.count(1)


def request_of(client: CraftedClient) -> dict[str, Any]:
    """The fields of the offer that a widget would send for this client."""
    layout = client.layout
    return {
        "transport_id": client.transport_id,
        "epoch": 1,
        "sdp": client.offer(),
        "publish": [{"mid": mid, "source": source} for mid, source in layout.publish.items()],
        "seats": [{"audio_mid": audio, "video_mid": video} for audio, video in layout.seats],
        "screens": list(layout.screens),
    }


def offer(stage: Stage, trunk: Trunk) -> Message:
    """Offer as the consumer's widget does and return the reply."""
    return offered(stage, stage.consumer(), trunk)


async def connect(
    stage: Stage, person: Person, trunk: Trunk, *, says: bool = True
) -> CraftedClient:
    """Have a widget say what it sends, or not, offer a transport of its own and shake hands.

    `vanish` it at the end.
    """
    if says:
        stage.ask(person, trunk, "media.publish", microphone=True, camera=True, screen=False)
    client = CraftedClient(
        stage.session.media._relay, person.participant_id, f"t{next(_numbers)}", seats=4
    )
    await client.open()
    client.answered(_ask(stage, person, trunk, client)["sdp"])
    await client.associate(within=10)
    client.keep_checking()
    return client


def offered(stage: Stage, person: Person, trunk: Trunk) -> Message:
    """Have a widget offer a transport that nobody will answer for; returns the reply."""
    relay = Relay(RelayConfig(), RecordingListener())
    return _ask(
        stage, person, trunk, CraftedClient(relay, person.participant_id, f"t{next(_numbers)}")
    )


def again(stage: Stage, person: Person, trunk: Trunk, client: CraftedClient) -> None:
    """Have a widget renegotiate the transport of a client."""
    client.answered(_ask(stage, person, trunk, client)["sdp"])


def _ask(stage: Stage, person: Person, trunk: Trunk, client: CraftedClient) -> Message:
    request = stage.ask(person, trunk, "media.offer", **request_of(client))
    (reply,) = [message for message in trunk.heard if message.get("reply_to") == request]
    return reply
