"""A brand's backend acts on a live session by API key: real Ray, real uvicorn."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.calls import Call
from tests.patience import PATIENCE
from tests.widget import guest_widget


@pytest.fixture
async def api(call: Call) -> AsyncIterator[httpx.AsyncClient]:
    key = {"Authorization": f"Bearer {call.deployment.api_key}"}
    limit_s = 20 * PATIENCE
    async with httpx.AsyncClient(base_url=call.origin, headers=key, timeout=limit_s) as client:
        yield client


async def test_a_backend_ends_a_session_and_is_told_once_it_is_saved(
    call: Call, api: httpx.AsyncClient
) -> None:
    agent, consumer = await call.talking()
    ended = await api.post(f"/v1/sessions/{call.session_id}/end")
    assert (ended.status_code, ended.content) == (204, b"")
    record = await call.record()
    assert (record["phase"], record["end_reason"]) == ("ended", "ended_by_backend")
    for widget in (agent, consumer):
        assert (await widget.expect("session.ended"))["reason"] == "ended_by_backend"
    again = await api.post(f"/v1/sessions/{call.session_id}/end")
    assert (again.status_code, again.json()["code"]) == (410, "session_ended")


async def test_a_guest_uses_the_backends_link_and_is_removed_by_it(
    call: Call, api: httpx.AsyncClient
) -> None:
    agent, _ = await call.talking()
    session = f"/v1/sessions/{call.session_id}"
    once = {"Idempotency-Key": "one-guest"}
    named = {"name": "Dr Weber"}
    made = await api.post(f"{session}/guests", json=named, headers=once)
    assert made.status_code == 201
    assert (await api.post(f"{session}/guests", json=named, headers=once)).json() == made.json()
    [view] = (await agent.expect("guests.changed"))["guest_invitations"]
    assert view["name"] == "Dr Weber"
    guest = call.keep(await guest_widget(call.origin, made.json()["url"]))
    guest_id = (await guest.expect("session.snapshot"))["participant_id"]
    await agent.request("participant.admit", participant_id=guest_id)
    await guest.expect("session.snapshot", attendance="present")

    listed = (await api.get(f"{session}/participants")).json()["participants"]
    assert [one["role"] for one in listed] == ["agent", "consumer", "guest"]
    assert listed[2]["name"] == "Dr Weber"
    [known] = [p for p in (await call.record())["participants"] if p["role"] == "guest"]
    assert (known["name"], known["participant_id"]) == ("Dr Weber", guest_id)
    place = f"{session}/participants/{guest_id}"
    muted = await api.post(f"{place}/mute", json={"sources": ["microphone"]})
    assert muted.status_code == 204
    assert (await guest.expect("participant.muted"))["sources"] == ["microphone"]
    limited = await api.put(f"{place}/capabilities", json={"capabilities": ["send_audio"]})
    assert limited.status_code == 204
    assert (await guest.expect("rights.changed"))["capabilities"] == ["send_audio"]
    assert (await api.post(f"{place}/remove")).status_code == 204
    assert await guest.expect_close() == 4403
    owner = listed[0]["participant_id"]
    refused = await api.post(f"{session}/participants/{owner}/remove")
    assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")


async def test_a_link_that_the_backend_withdraws_opens_nothing(
    call: Call, api: httpx.AsyncClient
) -> None:
    await call.talking()
    guests = f"/v1/sessions/{call.session_id}/guests"
    made = (await api.post(guests, json={})).json()
    place = f"{guests}/{made['guest_invitation_id']}/revoke"
    assert (await api.post(place)).status_code == 204
    code = made["url"].split("#")[1]
    used = await api.post("/v1/guest", json={"code": code, "name": "Eve"})
    assert used.status_code in (404, 410)
    assert (await api.post(place)).json()["code"] == "unknown_invitation"
