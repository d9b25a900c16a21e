"""`switchboard down` ends no call that it was not told to end, also where nobody knows of one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from ray._private.worker import print_to_stdstream
from ray.exceptions import ActorUnavailableError

from broker.messages.cluster.nodes import PoolLevel
from gateway.commands import running
from gateway.commands.down import PAUSE_S, Ended, begin_no_more, run_down
from gateway.commands.running import RunFile
from gateway.compose import cluster, ray_runtime
from gateway.settings import Away, BadSettings
from tests.gateway.answering import serving


class Ledger:
    """Stands for the handle of a ledger that has so many sessions; `None`: it does not answer."""

    def __init__(self, live: int | None) -> None:
        self._live = live
        self.pauses: list[float] = []

    @property
    def pause_openings(self) -> Ledger:
        return self

    async def remote(self, for_s: float) -> int:
        if self._live is None:
            raise ActorUnavailableError("It is being restarted.", None)
        self.pauses.append(for_s)
        return self._live


class OldLedger:
    """Stands for the handle of a ledger of the release before; it only says how many are live."""

    def __init__(self, live: int) -> None:
        self._live = live

    @property
    def level(self) -> OldLedger:
        return self

    async def remote(self) -> PoolLevel:
        return PoolLevel(standbys=0, live=self._live, queued=0)


@pytest.mark.parametrize("lives", [(), (0,), (0, 0)], ids=["no deployment", "one", "two"])
async def test_where_nobody_talks_no_session_begins_any_more(
    monkeypatch: pytest.MonkeyPatch, lives: tuple[int, ...]
) -> None:
    there = _there(monkeypatch, *lives)
    await begin_no_more()
    assert [each.pauses for each in there] == [[PAUSE_S]] * len(lives)


@pytest.mark.parametrize(
    ("lives", "said"),
    [
        ((3,), "3 sessions are live"),
        ((2, 3), "5 sessions are live"),
        ((0, 1), "1 sessions are live"),
        ((None,), "does not say"),
        ((0, None), "does not say"),
    ],
)
async def test_who_may_talk_is_not_cut_off_unasked_and_all_goes_on(
    monkeypatch: pytest.MonkeyPatch, lives: tuple[int | None, ...], said: str
) -> None:
    there = _there(monkeypatch, *lives)
    with pytest.raises(BadSettings, match=said):
        await begin_no_more()
    assert [each.pauses for each in there] == [
        [] if live is None else [PAUSE_S, 0.0] for live in lives
    ]


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("switchboard_sessions_live 0.0", None),
        ("switchboard_sessions_live 2.0", "2 sessions are live"),
        ("switchboard_gateway_ready 0.0", "does not say"),
    ],
)
def test_a_private_ray_is_ended_with_nobody_on_it_unless_that_is_said(
    tmp_path: Path, shown: str, said: str | None
) -> None:
    with serving("/metrics", f"{shown}\n".encode()) as gateway, sleeping() as up:
        run = RunFile(up.pid, up.create_time(), gateway, gateway, address=None)
        (tmp_path / running.NAME).write_text(json.dumps(asdict(run)))
        if said is not None:
            with pytest.raises(BadSettings, match=said):
                run_down(tmp_path, None, drop_live=False)
        assert run.alive
        assert run_down(tmp_path, None, drop_live=said is not None) == Ended(True, 0)
        assert not run.alive


@contextmanager
def sleeping() -> Iterator[psutil.Popen]:
    """Stands for the `up` that a run file names."""
    process = psutil.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def test_a_ledger_of_the_release_before_is_asked_what_it_can_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = OldLedger(2)
    monkeypatch.setattr(cluster, "find_actors", lambda: ["ledger-0"])
    monkeypatch.setattr(ray, "get_actor", lambda name, namespace: old)
    with pytest.raises(BadSettings, match="2 sessions are live"):
        await begin_no_more()


async def test_a_ray_that_does_not_answer_is_no_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def find() -> Any:
        raise ValueError("The GCS is away.")

    monkeypatch.setattr(cluster, "find_actors", find)
    with pytest.raises(Away):
        await begin_no_more()


def test_what_ray_tells_of_a_lost_node_is_no_part_of_a_commands_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ray_runtime, "join_ray", lambda address: None)
    monkeypatch.setattr(ray_runtime, "leave_ray", lambda: None)
    lost = {"lines": ["A node was lost."], "pid": "raylet", "is_err": False}
    with ray_runtime.joined_ray("127.0.0.1:1"):
        print_to_stdstream(lost, ignore_prefix=False)
    said = capsys.readouterr()
    assert said.out == ""
    assert "A node was lost." in said.err


def _there(monkeypatch: pytest.MonkeyPatch, *lives: int | None) -> list[Ledger]:
    """Ledgers on the Ray that was joined."""
    ledgers = {f"ledger-{number}": Ledger(live) for number, live in enumerate(lives)}
    monkeypatch.setattr(cluster, "find_actors", lambda: [*ledgers, "pool", "session-1"])
    monkeypatch.setattr(ray, "get_actor", lambda name, namespace: ledgers[name])
    return list(ledgers.values())
