"""What is kept of a session, as `switchboard demo` composes it: webhooks go out, people go away."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from gateway.commands.command import app
from tests.calls import Call
from tests.deployment import Deployment
from tests.ledger.receiver import Receiver
from tests.patience import PATIENCE, until
from tests.widget import Refused, Widget, accept, guest_widget, ring

RUNNER = CliRunner()
PERSON = {"visitor_id": "visitor-08154711", "visitor_name": "Wilhelmine Löwenherz"}


async def test_a_receiver_that_fails_half_of_the_time_gets_every_event_in_order(
    call: Call, deployment: Deployment, webhook_port: int
) -> None:
    tries: Counter[str] = Counter()

    def every_first_try_fails(event: dict[str, Any]) -> int:
        tries[event["id"]] += 1
        return 500 if tries[event["id"]] == 1 else 200

    receiver = Receiver((deployment.data / "webhook-secret").read_bytes().strip())
    receiver.status = every_first_try_fails
    receiver.now_s = int(time.time())
    await receiver.start(webhook_port)
    try:
        agent, _ = await call.talking()
        await agent.request("session.end")

        def ended() -> bool:
            mine = [each for each in receiver.events if each["session_id"] == call.session_id]
            return bool(mine) and mine[-1]["type"] == "session.ended"

        await until(ended, "the session's last event", within=60 * PATIENCE)
        seqs = receiver.of(call.session_id)
        assert seqs == list(range(1, len(seqs) + 1))
        assert len(seqs) == len((await call.record())["events"])
        assert receiver.unsigned == 0
        assert {each["account_id"] for each in receiver.events} == {"demo"}
    finally:
        await receiver.stop()


def searched(deployment: Deployment) -> dict[Path, bytes]:
    """Every file that the deployment has written: database, its log, Ray's folder and spill."""
    found = {}
    for folder in (deployment.data, deployment.folder):
        for path in folder.rglob("*"):
            if path.is_file():
                found[path] = path.read_bytes()
    return found


async def test_an_erased_person_is_in_no_file_of_the_deployment(
    call: Call, deployment: Deployment
) -> None:
    consumer = await call.consumer(engagement=PERSON)
    agent = await call.agent()
    call.session_id = (await ring(agent, consumer))["session_id"]
    await accept(consumer, mode="voice")
    await agent.request("session.end")
    await consumer.expect("session.ended")
    words = [value.encode() for value in PERSON.values()]
    before = b"".join(searched(deployment).values())
    assert words[0] in before, "The person must have been written down to be forgotten."
    given = ["--gateway", call.origin, "--api-key-file", str(deployment.data / "api-key")]
    done = RUNNER.invoke(app, ["records", "erase", "--visitor-id", PERSON["visitor_id"], *given])
    assert done.output == "1 participants were erased.\n"
    left = [
        (path.name, word)
        for path, content in searched(deployment).items()
        for word in words
        if word in content
    ]
    assert left == []
    record = await call.record()
    assert record["events"][-1]["type"] == "subject.erased"
    listed = RUNNER.invoke(app, ["records", "erased", *given]).output
    assert call.session_id in listed
    assert PERSON["visitor_id"] not in listed


async def test_no_log_holds_a_secret_a_token_a_name_or_what_was_said(
    call: Call, deployment: Deployment
) -> None:
    consumer = await call.consumer(engagement=PERSON)
    agent = await call.agent(agent_id="94711")
    invitation = (await ring(agent, consumer))["invitation"]["invitation_id"]
    await accept(consumer)
    await consumer.request("text.send", text="the word is Quittenbrot")
    link = await agent.request("guest.invite", name="Ottilie Quendel")
    guest = call.keep(await guest_widget(call.origin, link["url"], "Ottilie Quendel"))
    offer: dict[str, Any] = {
        "transport_id": "t",
        "epoch": 1,
        "publish": [],
        "seats": [],
        "screens": [],
    }
    with pytest.raises(Refused):
        await agent.request("media.offer", sdp="v=0\r\na=ice-pwd:Pimpinelle0815\r\n", **offer)
    forged = "eyJhbGciOiJIUzI1NiJ9.eyJmb3JnZWQiOiJNZWxpc3NlIn0.c2lnbmF0dXJl"
    stranger = call.keep(await Widget.dial(call.origin))
    await stranger.send("connection.hello", revision=1, token=forged, surface="agent_frame")
    await stranger.expect_close()
    await agent.request("session.end")
    await guest.expect_close()
    kept = [deployment.data / name for name in ("secret", "webhook-secret", "api-key")]
    kept.append(deployment.folder / "token")
    secrets = [
        *(path.read_text().strip() for path in kept),
        PERSON["visitor_name"],
        "Agent 94711",
        "Ottilie Quendel",
        "Quittenbrot",
        "Pimpinelle0815",
        forged,
        link["url"].split("#")[1],
        *(m["resume"] for w in (agent, consumer) for m in w.heard if "resume" in m),
    ]
    assert len(secrets) >= 13
    assert all(len(each) > 4 for each in secrets)
    logs = {
        path: path.read_bytes()
        for path in deployment.folder.rglob("*")
        if path.is_file() and path not in kept
    }
    logs[Path("output")] = deployment.output.encode()
    assert sum(map(len, logs.values())) > 10_000
    found = [
        (path.name, secret)
        for path, content in logs.items()
        for secret in secrets
        if secret.encode() in content
    ]
    assert found == []
    # Ray shows every process's command, and an actor's arguments and environment in it.
    told = await asyncio.to_thread(commands_and_environments, deployment)
    assert b"SessionHost" in told
    known = [call.key, invitation, *secrets]
    assert [each for each in known if each.encode() in told] == []


def commands_and_environments(deployment: Deployment) -> bytes:
    """What the system shows of the deployment's processes."""
    found = []
    for process in psutil.Process(deployment.pid).children(recursive=True):
        with suppress(psutil.Error):
            found += [*process.cmdline(), str(process.environ())]
    return "\n".join(found).encode()


async def test_records_are_exported_by_the_command(call: Call, deployment: Deployment) -> None:
    agent, _ = await call.talking()
    await agent.request("session.end")
    given = [
        "--gateway",
        call.origin,
        "--api-key-file",
        str(deployment.data / "api-key"),
        "--limit",
        "1",
    ]
    lines = RUNNER.invoke(app, ["records", "export", *given]).output.splitlines()
    assert len(lines) == 1
    assert call.session_id in lines[0]
    table = RUNNER.invoke(app, ["records", "export", "--format", "csv", *given]).output
    assert len(table.splitlines()) == 2
