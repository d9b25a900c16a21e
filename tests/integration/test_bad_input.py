"""One table: what is wrong, on which kind of connection, and what it is answered with.

A call goes on beside every row; after each row it must still work.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from broker.messages.cluster.trunk import Principal
from broker.words import Role
from gateway.proofs.tokens import Audience, Tokens
from tests.calls import Call
from tests.deployment import Deployment
from tests.widget import Widget, consumer_widget, guest_widget

pytestmark = pytest.mark.asyncio(loop_scope="module")

Attempt = Callable[[Call], Awaitable[str]]
AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:111 opus/48000/2\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def witness(deployment: Deployment) -> AsyncIterator[Call]:
    """The call that must not notice anything."""
    call = Call(deployment)
    await call.talking()
    yield call
    await call.close()


@pytest_asyncio.fixture(loop_scope="module")
async def call(deployment: Deployment) -> AsyncIterator[Call]:
    made = Call(deployment)
    yield made
    await made.close()


async def refusal_code(widget: Widget, request_id: str | None) -> str:
    """The code of the refusal of a request, or of a message that could not be read."""
    return str((await widget.expect("request.refused", reply_to=request_id))["code"])


async def hello(call: Call, **fields: object) -> str:
    """Say a hello that should not be accepted; the code, and the close code behind it."""
    widget = call.keep(await Widget.dial(call.origin))
    await widget.send("connection.hello", **{"revision": 1, "surface": "agent_frame", **fields})
    code = (await widget.expect("request.refused"))["code"]
    return f"{code} {await widget.expect_close()}"


def token(
    call: Call, *, age_s: float = 0, secret: bytes | None = None, account: str = "demo"
) -> str:
    """An agent's token, minted as the gateway would, but older, elsewhere, or for another."""
    known = (Path(call.deployment.data) / "secret").read_bytes().strip()
    tokens = Tokens(
        secret or known, lambda: time.time() - age_s, lambda size: b"x" * size, resume_s=60
    )
    principal = Principal(role=Role.AGENT, account_id=account, agent_id="7")
    return tokens.mint(Audience.AGENT, principal, 600)


async def malformed_json(call: Call) -> str:
    agent = await call.agent()
    await agent.send_raw("{")
    return await refusal_code(agent, None)


async def malformed_json_in_call(call: Call) -> str:
    agent, _ = await call.talking()
    await agent.send_raw("{")
    return await refusal_code(agent, None)


async def unknown_type(call: Call) -> str:
    agent, _ = await call.talking()
    await agent.send("session.explode")
    return await refusal_code(agent, None)


async def unknown_field(call: Call) -> str:
    agent, _ = await call.talking()
    await agent.send("session.end", force=True)
    return await refusal_code(agent, None)


async def too_large(call: Call) -> str:
    agent, _ = await call.talking()
    await agent.send_raw(json.dumps({"type": "session.end", "id": "x" * 300_000}))
    return f"{await refusal_code(agent, None)} {await agent.expect_close()}"


async def binary_frame(call: Call) -> str:
    agent, _ = await call.talking()
    await agent.send_raw(b"\x00\x01")
    return f"{await refusal_code(agent, None)} {await agent.expect_close()}"


async def no_token(call: Call) -> str:
    return await hello(call)


async def expired_token(call: Call) -> str:
    return await hello(call, token=token(call, age_s=3_600))


async def forged_token(call: Call) -> str:
    return await hello(call, token=token(call, secret=b"f" * 32))


async def foreign_token(call: Call) -> str:
    engagement = {"account_id": "demo", "rt_session_id": call.key}
    return await hello(call, token=token(call, account="other"), engagement=engagement)


async def foreign_origin(call: Call) -> str:
    widget = call.keep(await Widget.dial(call.origin, page="https://evil.example"))
    code = (await widget.expect("request.refused"))["code"]
    return f"{code} {await widget.expect_close()}"


async def offer(call: Call, sdp: str) -> str:
    agent, _ = await call.talking()
    request_id = await agent.send(
        "media.offer",
        transport_id="t",
        epoch=1,
        sdp=sdp,
        publish=[],
        seats=[],
        screens=[],
    )
    return await refusal_code(agent, request_id)


async def offer_not_sdp(call: Call) -> str:
    return await offer(call, "hello, world")


async def offer_too_large(call: Call) -> str:
    return await offer(call, "v=0\r\n" + "a=x\r\n" * 30_000)


async def offer_too_many_sections(call: Call) -> str:
    return await offer(call, "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n" + AUDIO * 65)


async def offer_without_media(call: Call) -> str:
    return await offer(
        call,
        "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n",
    )


async def accept_without_invitation(call: Call) -> str:
    consumer = await call.consumer()
    request_id = await consumer.send("invitation.accept", invitation_id="i", mode="video")
    return await refusal_code(consumer, request_id)


async def accept_another_invitation(call: Call) -> str:
    _, consumer = await call.ringing()
    request_id = await consumer.send("invitation.accept", invitation_id="i", mode="video")
    return await refusal_code(consumer, request_id)


async def end_twice(call: Call) -> str:
    agent, _ = await call.talking()
    await agent.request("session.end")
    await agent.expect("session.ended")
    return await refusal_code(agent, await agent.send("session.end"))


async def guest_invites(call: Call) -> str:
    agent, _ = await call.talking()
    url = (await agent.request("guest.invite"))["url"]
    guest = call.keep(await guest_widget(call.origin, url))
    participant_id = (await guest.expect("session.snapshot"))["participant_id"]
    await agent.request("participant.admit", participant_id=participant_id)
    await guest.expect("session.snapshot", attendance="present")
    return await refusal_code(guest, await guest.send("guest.invite"))


async def second_consumer(call: Call) -> str:
    _, consumer = await call.ringing()
    stranger = call.keep(
        await consumer_widget(call.origin, call.key, claim_secret="somebody else entirely")
    )
    invitation = (await consumer.expect("session.snapshot"))["invitation"]["invitation_id"]
    request_id = await stranger.send("invitation.accept", invitation_id=invitation, mode="video")
    return await refusal_code(stranger, request_id)


async def already_live(call: Call) -> str:
    await call.talking()
    other = await call.agent(agent_id="8")
    return await refusal_code(other, await other.send("session.start", mode="video"))


async def stale_epoch(call: Call) -> str:
    agent, _ = await call.talking()
    request_id = await agent.send(
        "media.offer", transport_id="t", epoch=9, sdp="v=0", publish=[], seats=[], screens=[]
    )
    return await refusal_code(agent, request_id)


TABLE: dict[str, tuple[Attempt, str]] = {
    "malformed JSON before a call": (malformed_json, "malformed"),
    "malformed JSON in a call": (malformed_json_in_call, "malformed"),
    "unknown type": (unknown_type, "malformed"),
    "unknown field": (unknown_field, "malformed"),
    "over 256 KiB": (too_large, "message_too_large 4400"),
    "binary frame": (binary_frame, "binary_frame 4400"),
    "no token": (no_token, "token_missing 4401"),
    "expired token": (expired_token, "token_expired 4401"),
    "forged token": (forged_token, "token_invalid 4401"),
    "another account's token": (foreign_token, "not_permitted 4403"),
    "foreign origin": (foreign_origin, "origin_refused 4403"),
    "offer that is no SDP": (offer_not_sdp, "offer_invalid"),
    "offer too large": (offer_too_large, "offer_too_large"),
    "offer with too many sections": (offer_too_many_sections, "offer_too_large"),
    "offer without audio and video": (offer_without_media, "offer_without_media"),
    "accept without invitation": (accept_without_invitation, "not_in_session"),
    "accept another invitation": (accept_another_invitation, "no_invitation"),
    "end twice": (end_twice, "not_in_session"),
    "guest invites": (guest_invites, "not_permitted"),
    "second consumer, another claim": (second_consumer, "not_in_session"),
    "start on a live engagement": (already_live, "already_live"),
    "offer of a past epoch": (stale_epoch, "stale_epoch"),
}


@pytest.mark.parametrize("row", TABLE)
async def test_bad_input_gets_its_code_and_harms_nobody(
    row: str, call: Call, witness: Call
) -> None:
    attempt, expected = TABLE[row]
    assert await attempt(call) == expected
    agent, consumer = witness.widgets[1], witness.widgets[0]
    mark = len(consumer.heard)
    camera = not any(m["type"] == "roster.changed" and _camera(m) for m in agent.heard[-1:])
    await agent.request("media.publish", microphone=True, camera=camera, screen=False)
    await consumer.expect("roster.changed", after=mark)


def _camera(roster: dict[str, object]) -> bool:
    entries: list[dict[str, object]] = roster["roster"]  # type: ignore[assignment]
    return bool(entries[0]["camera"])
