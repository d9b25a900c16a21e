"""Ctrl-C in mid-call leaves no process, no socket and no temporary file; policy is obeyed."""

from __future__ import annotations

import psutil

from tests.calls import Call
from tests.deployment import Deployment
from tests.patience import PATIENCE


async def test_an_unanswered_invitation_expires_and_ctrl_c_leaves_nothing(
    brief: Deployment,
) -> None:
    running, call = brief, Call(brief)
    agent, consumer = await call.ringing()
    expired = await consumer.expect("session.left")
    states = [m["invitation"]["state"] for m in consumer.heard if m["type"] == "invitation.changed"]
    assert states == ["expired"]
    assert expired["reason"] == "left"
    mark = len(agent.heard)
    await agent.request("invitation.send", mode="video")
    await agent.expect("invitation.changed", after=mark)
    processes = psutil.Process(running.pid).children(recursive=True)
    assert any("SessionHost" in " ".join(process.cmdline()) for process in processes)
    folder = running.folder
    assert folder.exists()
    assert running.stop() == 0
    assert await agent.expect_close() == 1001
    _, alive = psutil.wait_procs(processes, timeout=10 * PATIENCE)
    assert [process.name() for process in alive] == []
    assert not folder.exists()
    assert running.output.count("Traceback") == 0
    await call.close()
