"""The harness sends when it meant to, ends what it started, and can run what it lists."""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import os
import platform
import re
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import cast
from unittest import mock

import psutil
import pytest

from benchmarks.arrivals import Arrivals
from benchmarks.command import SCENARIOS, main, parser
from benchmarks.histogram import Histogram
from benchmarks.process import FAMILY, Child, ChildFailed, environment_of, lives
from benchmarks.scenario import Scenario
from benchmarks.scheduling import SETATTR, SLICE_NS, run_at_once
from benchmarks.websocket import connect
from broker.trunk import Frame, FrameLink
from tests.patience import PATIENCE, until


async def test_a_stall_does_not_change_what_is_sent_when() -> None:
    async def intended(stall: float) -> tuple[list[float], Histogram]:
        times: list[float] = []

        def send(number: int, at: float) -> None:
            times.append(at)
            until = time.monotonic() + (stall if number == 3 else 0)
            while time.monotonic() < until:
                pass

        arrivals = Arrivals(rate=200, seconds=0.2, seed=7)
        await arrivals.run(send)
        return [at - times[0] for at in times], arrivals.lateness

    calm, _ = await intended(0.0)
    stalled, lateness = await intended(0.05)
    assert stalled == pytest.approx(calm, abs=1e-6)
    assert lateness.percentile(100) > 20


async def test_even_arrivals_have_even_pauses() -> None:
    times: list[float] = []
    await Arrivals(100, 0.1, 0, even=True).run(lambda _, at: times.append(at))
    assert len(times) == 10
    assert [b - a for a, b in itertools.pairwise(times)] == pytest.approx([0.01] * 9)


async def test_a_child_and_its_descendants_end_with_it() -> None:
    hop = await Child.module("hop", "benchmarks.floors.hop")
    family = hop.family()
    await hop.close()
    await hop.close()
    assert not any(map(lives, family))


async def test_a_child_that_cannot_start_is_named() -> None:
    with pytest.raises(ChildFailed, match="echo"):
        await Child.module("echo", "benchmarks.floors.echo", "no-port")


async def test_a_child_that_stays_silent_is_given_the_time_it_was_given() -> None:
    silent = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with pytest.raises(ChildFailed, match="silent did not answer"):
        await Child.start("silent", silent, within=0.1)


async def test_a_program_that_speaks_no_json_is_ready_when_it_says_so_in_its_own_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = (
        "import sys; print('hello'); print('Ray runtime started.', flush=True); sys.stdin.read()"
    )
    child = await Child.start("node", [sys.executable, "-c", words], sign="runtime started")
    (process,) = child.family()
    assert capsys.readouterr().err == "", "what it says before goes into no progress bar"
    await child.close()
    assert not lives(process)
    with pytest.raises(ChildFailed, match="node ended"):
        await Child.start("node", [sys.executable, "-c", "print('hello')"], sign="started")
    before = set(psutil.Process().children(recursive=True))
    silent = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with pytest.raises(ChildFailed, match="node did not answer"):
        await Child.start("node", silent, sign="started", within=0.1)
    assert set(psutil.Process().children(recursive=True)) <= before


async def test_one_that_has_ended_is_named_when_it_is_asked() -> None:
    child = await Child.start("brief", [sys.executable, "-c", "print('{}')"])
    await until(lambda: child.family() == [])
    for _ in range(2):
        with pytest.raises(ChildFailed, match="brief"):
            await child.ask({"do": "level"}, 5 * PATIENCE)
    await child.close()


SET_CHILD_SUBREAPER = 36
"""Of prctl(2): orphans become children of who says so."""
ORPHANING = (
    "import os, signal, subprocess, sys\n"
    "started = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "print('{\"pid\": %d}' % started.pid, flush=True)\n"
    "os.kill(os.getpid(), signal.SIGKILL)"
)


NESTED = (
    "import asyncio, os, signal, sys\n"
    "from benchmarks.process import Child\n"
    "nested = 'import time; print(\"{}\", flush=True); time.sleep(600)'\n"
    "started = asyncio.run(Child.start('nested', [sys.executable, '-c', nested]))\n"
    "print('{\"pid\": %d}' % started.pid, flush=True)\n"
    "os.kill(os.getpid(), signal.SIGKILL)"
)
"""As a further Ray node, which what starts Switchboard starts."""


async def crashed(words: str) -> tuple[Child, psutil.Process]:
    """Start a program that starts another and dies; returns it, and what it has left behind."""
    child = await Child.start("crashing", [sys.executable, "-c", words])
    left = psutil.Process(int(str(child.ready["pid"])))
    await until(lambda: child.family() == [])
    assert lives(left)
    return child, left


@pytest.mark.parametrize("words", [ORPHANING, NESTED], ids=["its own", "of a child of its own"])
async def test_one_that_died_leaves_none_that_it_started_behind(words: str) -> None:
    child, left = await crashed(words)
    await child.close()
    assert not lives(left)


@pytest.mark.parametrize(
    ("arguments", "program", "looks"),
    [([], "/bin/ray", 3), (["ray::IDLE"], "/bin/ray", 1), ([], "", 1)],
    ids=["just started", "changed its title", "a thread of the kernel"],
)
def test_one_whose_program_does_not_stand_yet_is_looked_at_again(
    arguments: list[str], program: str, looks: int
) -> None:
    environment = {FAMILY: "mark"}
    process = mock.Mock(psutil.Process)
    process.environ.side_effect = [{}, {}, environment]
    process.cmdline.return_value, process.exe.return_value = arguments, program
    assert environment_of(process) == (environment if looks > 1 else {})
    assert process.environ.call_count == looks


@pytest.mark.skipif(sys.platform != "linux", reason="prctl")
async def test_an_orphan_whose_end_nobody_takes_note_of_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where process 1 of a container does not reap: here this one stands for it."""
    monkeypatch.setattr("benchmarks.process.KILLED_SECONDS", 60.0 * PATIENCE)
    libc = ctypes.CDLL(None)
    assert libc.prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    try:
        child, orphan = await crashed(ORPHANING)
        async with asyncio.timeout(20.0 * PATIENCE):
            await child.close()
        assert orphan.status() == psutil.STATUS_ZOMBIE
        os.waitpid(orphan.pid, 0)  # noqa: ASYNC222 - it has ended
    finally:
        libc.prctl(SET_CHILD_SUBREAPER, 0, 0, 0, 0)


async def test_the_floor_sends_back_what_it_got() -> None:
    hop = await Child.module("hop", "benchmarks.floors.hop")
    echo = await Child.module("echo", "benchmarks.floors.echo", str(hop.ready["port"]))
    try:
        load = await Child.module(
            "load",
            "benchmarks.load",
            "echo",
            f"http://127.0.0.1:{echo.ready['port']}",
            '{"connections": 2}',
        )
        try:
            plan = {"rate": 100, "seconds": 0.3, "warm_up": 0.1, "seed": 1, "even": False}
            answer = await load.ask(plan, 30)
            assert answer["missing"] == 0
            assert isinstance(answer["sent"], int)
            assert answer["sent"] > 10
        finally:
            await load.close()
    finally:
        await echo.close()
        await hop.close()


def backwards(link: FrameLink, kind: Frame, body: bytes) -> None:
    link.send(kind, body[::-1])


async def test_the_floor_has_a_trunk_hop_and_the_loads_own_websocket_carries_any_size() -> None:
    hop = await asyncio.get_running_loop().create_server(
        lambda: cast(asyncio.Protocol, FrameLink(backwards, lambda link: None)), "127.0.0.1", 0
    )
    port = hop.sockets[0].getsockname()[1]
    echo = await Child.module("echo", "benchmarks.floors.echo", str(port))
    try:
        socket = await connect(f"http://127.0.0.1:{echo.ready['port']}/v1/connect")
        got: asyncio.Queue[bytes] = asyncio.Queue()
        socket.on_text = got.put_nowait
        for size in (0, 124, 125, 65_534, 65_535, 200_000):
            socket.send(b"<" + b"x" * size)
            async with asyncio.timeout(10 * PATIENCE):
                assert await got.get() == b"x" * size + b"<"
        socket.close()
    finally:
        await echo.close()
        hop.close()
        await hop.wait_closed()


async def test_the_floor_of_fan_out_has_a_process_for_each_session_and_tells_nobody_elses() -> None:
    floor = await Child.module("spread", "benchmarks.floors.spread", "2")
    try:
        assert len(floor.family()) == 3
        address = f"http://127.0.0.1:{floor.ready['port']}/room"
        got: list[tuple[str, bytes]] = []
        sockets = [await connect(f"{address}/{room}") for room in "001"]
        for name, socket in zip("abc", sockets, strict=True):
            socket.on_text = lambda text, name=name: got.append((name, text))  # type: ignore[misc]
        for number, socket in enumerate(sockets):
            socket.send(b'{"id":%d,"size":0}' % number)
        themselves = {(name, b'{"id": %d, "pad": ""}' % at) for at, name in enumerate("abc")}
        await until(lambda: themselves <= set(got), "each is in their room: they hear themselves")

        def heard() -> list[tuple[str, bytes]]:
            return sorted(each for each in got if b"x" in each[1])

        sockets[0].send(b'{"id":7,"size":10}')
        await until(lambda: len(heard()) >= 2)
        sockets[2].send(b'{"id":8,"size":10}')
        await until(lambda: len(heard()) >= 3)
        told = b'{"id": %d, "pad": "xxxxxxxxxx"}'
        assert heard() == [("a", told % 7), ("b", told % 7), ("c", told % 8)]
        for socket in sockets:
            socket.close()
        head, *rooms = floor.family()
        head.kill()
        await until(lambda: not any(map(lives, rooms)))
    finally:
        await floor.close()


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in SETATTR, reason="sched_setattr"
)
def test_a_load_asks_to_run_as_soon_as_it_wakes() -> None:
    """In a process of its own, which asks and then says what it was given."""
    asks = (
        "import ctypes, struct; from benchmarks.scheduling import SETATTR, run_at_once\n"
        "import os, platform; before = os.getpriority(os.PRIO_PROCESS, 0)\n"
        "known, given = run_at_once(), ctypes.create_string_buffer(56)\n"
        "number = SETATTR[platform.machine()] + 1\n"
        "ctypes.CDLL(None).syscall(number, 0, given, 56, 0)\n"
        "policy, nice, runtime = (struct.unpack_from(f, given, at)[0] for f, at in "
        "(('I', 4), ('i', 16), ('Q', 24)))\n"
        "print(known, policy, nice == before, runtime)"
    )
    told = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True)
    since = tuple(map(int, platform.release().split(".")[:2]))
    assert told.stdout.split() == ["True", "0", "True", str(SLICE_NS if since >= (6, 12) else 0)]


@pytest.mark.parametrize(
    ("asked", "answer"), [("sys", {"platform": "plan9"}), ("platform", {"machine": lambda: "vax"})]
)
def test_where_nothing_is_known_of_the_call_it_is_not_made(
    asked: str, answer: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"benchmarks.scheduling.{asked}", SimpleNamespace(**answer))
    monkeypatch.setattr("benchmarks.scheduling.ctypes", None)
    assert not run_at_once()


def test_a_load_and_a_hop_start_without_a_server_framework() -> None:
    """Each round's sides have a process or two of their own; what they import they all pay."""
    heavy = {"fastapi", "uvicorn", "ray", "aiortc", "matplotlib", "sqlalchemy"}
    ours = "benchmarks.load, benchmarks.floors.hop, benchmarks.floors.spread"
    asked = f"import {ours}, sys; print({heavy} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.name for scenario in SCENARIOS])
def test_every_scenario_has_a_short_run(scenario: Scenario) -> None:
    chosen = parser().parse_args([scenario.name, *scenario.short()])
    assert chosen.command == scenario.name


def test_without_a_name_it_says_what_can_be_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    usage, *listed = capsys.readouterr().out.splitlines()
    assert usage == "python -m benchmarks NAME [--json FILE] [--html FILE] [options]"
    for scenario in SCENARIOS:
        assert f"  {scenario.name:<12}{scenario.summary}" in listed
    assert any("compare A.json B.json" in line for line in listed)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.name for scenario in SCENARIOS])
def test_each_option_says_what_it_is_and_what_holds_without_it(
    scenario: Scenario, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        main([scenario.name, "--help"])
    shown = capsys.readouterr().out
    assert f"{scenario.name}: {scenario.summary}" in shown
    said = dict(re.findall(r"^  --([\w-]+)(?: \S+)?(?:  +(.*))?$", shown, re.MULTILINE))
    assert len(said) >= 3
    assert [option for option, text in said.items() if not text] == []
    unless = vars(parser().parse_args([scenario.name]))
    for option, text in said.items():
        default = unless[option.replace("-", "_")]
        has_one = default is not None and default is not False
        assert (f"(default: {default})" in text) is has_one, option


def test_a_repeated_round_can_be_declined_where_rounds_are_repeated() -> None:
    """The others name what disturbed them, and would ignore it."""
    took = {s.name for s in SCENARIOS if "once" in parser().parse_args([s.name])}
    assert took == {"signaling", "fanout", "lifecycle", "join", "media", "crowd"}


LISTS = {"sizes", "participants", "loaded", "loads"}
"""Options that take several numbers with commas between."""


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.name for scenario in SCENARIOS])
def test_a_number_that_nothing_can_be_measured_with_is_refused_before_anything_starts(
    scenario: Scenario, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = parser()
    taken = vars(whole.parse_args([scenario.name]))
    wrong = [
        (name, value)
        for name, default in taken.items()
        if name in LISTS or (type(default) in (int, float) and name != "seed")
        for value in (("4,0", "4,,8", "nan") if name in LISTS else ("-1", "nan", "many"))
    ]
    assert wrong
    for name, value in wrong:
        option = f"--{name.replace('_', '-')}"
        with pytest.raises(SystemExit) as refused:
            whole.parse_args([scenario.name, f"{option}={value}"])
        assert refused.value.code == 2
        said = capsys.readouterr().err
        assert f"argument {option}:" in said, value
        assert "invalid" not in said, "what a number is called in the code says nothing"


@pytest.mark.parametrize(
    "words",
    [
        *("signaling --rounds 0", "fanout --rate 0", "storm --seconds 0", "signaling --size 1"),
        *("capacity --video-share 1.1", "fanout --sizes=", "congestion --loss 2"),
    ],
)
def test_nothing_too_small_or_too_large_is_taken(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        main(words.split())
    assert refused.value.code == 2
    assert re.search("is not|is no|more than 1", capsys.readouterr().err)


@pytest.mark.parametrize(
    "words",
    [
        *("signaling --loads=", "media --loaded=", "memory --sizes=", "lifecycle --cold 0"),
        *("fanout --sessions 0", "signaling --media 0 --warm-up 0", "signaling --loads 0.5,800"),
    ],
)
def test_none_of_what_may_be_none_is_taken(words: str) -> None:
    assert parser().parse_args(words.split()).command == words.split()[0]
