"""A standby's rehearsal answers an offer and leaves nothing behind."""

from __future__ import annotations

import asyncio
import logging
import os
import socket

import pytest

from actors.relay import Relay, RelayConfig, rehearse


async def test_it_answers_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[str] = []
    answer = Relay.answer

    def noted(relay: Relay, *arguments: object) -> str:
        answers.append(answer(relay, *arguments))  # type: ignore[arg-type]
        return answers[-1]

    monkeypatch.setattr(Relay, "answer", noted)
    await rehearse(RelayConfig())
    descriptors, tasks = os.listdir("/proc/self/fd"), len(asyncio.all_tasks())
    with caplog.at_level(logging.WARNING):
        # Whatever an operator has configured: the rehearsal is nobody's to reach.
        await rehearse(RelayConfig(bind=("192.0.2.1",), ports=range(40_000, 40_001)))
    assert len(answers) == 2
    assert all(each.count("a=setup:passive") == 4 for each in answers)
    assert "192.0.2.1" not in answers[1]
    assert (len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())) == (len(descriptors), tasks)
    assert not caplog.records


async def test_it_opens_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """A standby with a UDP port would look like one that holds a session."""
    bound: list[object] = []

    class Watched(socket.socket):
        def bind(self, address: object) -> None:
            bound.append(address)
            super().bind(address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "socket", Watched)
    await rehearse(RelayConfig())
    assert bound == []
