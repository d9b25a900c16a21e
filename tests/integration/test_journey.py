"""The whole path without a browser: real Ray, real uvicorn, WebSocket clients."""

from __future__ import annotations

import asyncio

import psutil
import pytest

from tests.calls import Call
from tests.widget import WAIT_S, Refused, Widget, consumer_widget, guest_widget, plain_http

MOST_HELD = 10
"""Sessions in a row, of which one is to be held by a process that has held another."""


async def finish(agent: Widget) -> None:
    await agent.request("session.end")
    await agent.expect("session.ended")


async def test_from_start_to_end_and_the_record_survives(call: Call) -> None:
    agent, consumer = await call.talking()
    await consumer.request("session.end")
    assert (await agent.expect("session.ended"))["reason"] == "ended_by_consumer"
    record = await call.record()
    assert [event["type"] for event in record["events"]] == [
        "session.started",
        "participant.joined",
        "invitation.sent",
        "invitation.ringing",
        "invitation.accepted",
        "participant.joined",
        "session.ended",
    ]


@pytest.mark.parametrize("first", ["agent", "consumer"])
async def test_the_two_meet_in_either_order_of_arrival(call: Call, first: str) -> None:
    if first == "consumer":
        await call.talking()
        return
    agent = await call.agent()
    await agent.request("session.start", mode="video")
    await agent.expect("session.snapshot")
    consumer = await call.consumer()
    assert (await consumer.expect("session.snapshot"))["attendance"] == "invited"
    await agent.expect("invitation.changed")


async def test_messaging_meets_by_conversation_id(call: Call) -> None:
    ids = {"window_session_id": "another", "conversation_id": call.key, "channel": "messaging"}
    consumer = await call.consumer(engagement=ids)
    agent = await call.agent()
    await agent.request("session.start", mode="video")
    await consumer.expect("session.snapshot")


async def test_a_declined_consumer_can_be_invited_again(call: Call) -> None:
    agent, consumer = await call.ringing()
    snapshot = await consumer.expect("session.snapshot")
    await consumer.request(
        "invitation.decline", invitation_id=snapshot["invitation"]["invitation_id"]
    )
    await consumer.expect("session.left")
    await agent.request("invitation.send", mode="voice")
    await consumer.expect("session.snapshot", after=1 + consumer.types().index("session.left"))
    await finish(agent)


async def test_after_an_end_a_new_session_starts_on_the_same_sockets(call: Call) -> None:
    agent, consumer = await call.talking()
    first = (await agent.expect("session.snapshot"))["session_id"]
    await finish(agent)
    await consumer.expect("session.ended")
    mark, marked = len(consumer.heard), len(agent.heard)
    await agent.request("session.start", mode="video")
    await agent.expect("session.snapshot", after=marked)
    second = await consumer.expect("session.snapshot", after=mark)
    assert second["session_id"] != first
    await finish(agent)


def listening(process: psutil.Process) -> set[int]:
    found = process.net_connections("tcp")
    return {each.laddr.port for each in found if each.status == psutil.CONN_LISTEN}


async def test_a_process_whose_session_has_ended_holds_another(call: Call) -> None:
    media = await asyncio.to_thread(call.deployment.media_ports)
    agent, consumer = await call.talking()
    resume = (await consumer.expect("resume.renewed"))["resume"]
    held: set[int] = set()
    while True:
        # Others' sessions go on until their grace is over, and may end meanwhile.
        before, media = media, await asyncio.to_thread(call.deployment.media_ports)
        (holder,) = (process for port, process in media.items() if port not in before)
        if holder.pid in held:
            break
        held.add(holder.pid)
        assert len(held) <= MOST_HELD, "each session is held by a process that has held none"
        old = await asyncio.to_thread(listening, holder)
        await finish(agent)
        await consumer.expect("session.ended")
        async with asyncio.timeout(WAIT_S):
            # It listens anew before it enlists; then it is taken before one that has held none. A
            # start that comes in between has another.
            while not await asyncio.to_thread(listening, holder) - old:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        mark, marked = len(consumer.heard), len(agent.heard)
        await agent.insist("session.start", mode="video")
        await agent.expect("session.snapshot", after=marked)
        await consumer.expect("session.snapshot", after=mark)
    # What let somebody into the first session lets nobody into the one its process holds now.
    late = call.keep(await Widget.dial(call.origin))
    await late.send("connection.hello", revision=1, resume=resume, surface="launcher")
    assert await late.expect_close() == 4410
    assert [message["code"] for message in late.heard] == ["session_ended"]
    await finish(agent)


async def test_a_guest_waits_in_the_lobby_until_admitted(call: Call) -> None:
    agent, _ = await call.talking()
    url = (await agent.request("guest.invite"))["url"]
    # A preview opens the link, and whoever presses Join may lose the page: both use nothing up.
    async with plain_http(call.origin) as http:
        for _ in range(2):
            assert (await http.get(url)).status_code == 200
            lost = await http.post("/v1/guest", json={"code": url.split("#")[1], "name": "Eve"})
            assert lost.status_code == 200
    guest = call.keep(await guest_widget(call.origin, url))
    snapshot = await guest.expect("session.snapshot")
    assert (snapshot["attendance"], snapshot["roster"]) == ("lobby", [])
    with pytest.raises(Refused) as refusal:
        await guest.request("guest.invite")
    assert refusal.value.code == "not_in_session"
    await agent.request("participant.admit", participant_id=snapshot["participant_id"])
    await guest.expect("session.snapshot", attendance="present")
    with pytest.raises(Refused) as refusal:
        await guest.request("guest.invite")
    assert refusal.value.code == "not_permitted"
    async with plain_http(call.origin) as http:
        used = await http.post("/v1/guest", json={"code": url.split("#")[1], "name": "Eve"})
    assert used.status_code in (404, 410)
    await finish(agent)
    assert await guest.expect_close() == 4410


async def test_a_stranger_who_knows_every_id_gets_no_ring_and_no_name(call: Call) -> None:
    agent, consumer = await call.ringing()
    invitation = (await consumer.expect("session.snapshot"))["invitation"]["invitation_id"]
    strangers = [
        call.keep(
            await consumer_widget(
                call.origin, call.key, claim_secret=f"somebody at the {surface}", surface=surface
            )
        )
        for surface in ("launcher", "window")
    ]
    for stranger in strangers:
        for kind, fields in (
            ("invitation.accept", {"invitation_id": invitation, "mode": "video"}),
            ("media.publish", {"microphone": True, "camera": True, "screen": False}),
            ("session.end", {}),
        ):
            with pytest.raises(Refused) as refused:
                await stranger.request(kind, **fields)
            assert refused.value.code == "not_in_session"
    await consumer.request("media.publish", microphone=False, camera=False, screen=False)
    await finish(agent)
    await consumer.expect("session.left")
    for stranger in strangers:
        assert set(stranger.types()) == {"connection.welcome", "request.refused"}


async def test_a_lost_connection_comes_back_with_what_it_missed(call: Call) -> None:
    agent, consumer = await call.talking()
    resume = (await consumer.expect("resume.renewed"))["resume"]
    last_seq = max(message.get("seq", 0) for message in consumer.heard)
    await consumer.close()
    roster = await agent.expect("roster.changed", after=len(agent.heard) - 1)
    while all(entry["attendance"] != "reconnecting" for entry in roster["roster"]):
        roster = await agent.expect("roster.changed", after=agent.heard.index(roster) + 1)
    back = call.keep(await Widget.dial(call.origin))
    await back.request(
        "connection.hello", revision=1, resume=resume, last_seq=last_seq, surface="launcher"
    )
    missed = await back.expect("roster.changed")
    assert missed["seq"] > last_seq
    assert "session.snapshot" not in back.types()

    # Once more, while the connection still stands: the newer one takes its place at once.
    resume = (await back.expect("resume.renewed"))["resume"]
    await agent.request("text.send", text="between")
    last_seq, told = (await back.expect("text.said"))["seq"], len(agent.heard)
    newer = call.keep(await Widget.dial(call.origin))
    await newer.request(
        "connection.hello", revision=1, resume=resume, last_seq=last_seq, surface="launcher"
    )
    assert await back.expect_close() == 4409
    await agent.request("text.send", text="to the newer one")
    assert (await newer.expect("text.said"))["text"] == "to the newer one"
    await newer.request("text.send", text="from it")
    assert (await agent.expect("text.said", after=told))["text"] == "to the newer one"
    assert not [each for each in agent.heard[told:] if each["type"] == "roster.changed"]
    await finish(agent)
