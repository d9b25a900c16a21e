"""Any other server can be a peer by one file, whatever protocol it speaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.adapter import address_of, name_of
from benchmarks.command import parser
from benchmarks.load import load_of
from benchmarks.loads.everyone import Room
from benchmarks.rounds import Bench, Plan

PLAN = Plan(rounds=1, seconds=0.3, warm_up=0.1, rate=100.0, once=True)
SERVER = """
import asyncio, json, os, sys, time
from benchmarks.histogram import Histogram

async def main():
    async def talk(reader, writer):
        while line := await reader.readline():
            writer.write(b"told " + line)
        writer.close()
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({"ready": True, "address": f"lines://{port}"}), flush=True)
    await asyncio.to_thread(sys.stdin.read)

if __name__ == "__main__":
    asyncio.run(main())
"""
LOAD = """
class Lines:
    def __init__(self, address, connections):
        self.port, self.connections = int(address.removeprefix("lines://")), connections
    async def open(self):
        self.ends = [
            await asyncio.open_connection("127.0.0.1", self.port) for _ in range(self.connections)
        ]
        self.reading = [asyncio.create_task(self.read(reader)) for reader, _ in self.ends]
    def begin(self, measured_from):
        self.measured_from, self.pending, self.latency = measured_from, {}, Histogram()
    def send(self, number, intended):
        self.pending[number] = intended
        self.ends[number % len(self.ends)][1].write(b"%d\\n" % number)
    def missing(self):
        return len(self.pending)
    def histograms(self):
        return {"reply": self.latency}
    async def read(self, reader):
        while line := await reader.readline():
            intended = self.pending.pop(int(line.split()[1]))
            if intended >= self.measured_from:
                self.latency.record(time.monotonic() - intended)
    async def close(self):
        for task in self.reading:
            task.cancel()
        for _, writer in self.ends:
            writer.close()

def load(address, connections):
    return Lines(address, connections)
"""


async def test_a_file_brings_a_server_and_what_speaks_its_protocol(tmp_path: Path) -> None:
    file = tmp_path / "lines.py"
    file.write_text(SERVER + LOAD, encoding="utf-8")
    async with Bench.open() as bench:
        peer = await bench.adapted(str(file))
        side = await bench.side(
            name_of(str(file)),
            "echo",
            address_of(peer),
            [peer],
            adapter=str(file),
            connections=2,
        )
        (measured,) = await bench.run(PLAN, lambda: None)
        family = [*peer.family(), *side.load.family()]
    assert measured.side == "lines"
    assert measured.missing == 0
    assert 0 < measured.histograms["reply"].count < measured.sent, "the warm-up does not count"
    assert [used.name.split()[-1] for used in measured.usage] == ["lines.py"]
    assert not any(process.is_running() for process in family)


def test_one_without_a_load_is_asked_as_the_scenario_asks() -> None:
    file = Path(__file__).parents[2] / "benchmarks" / "peers" / "room.py"
    asked = {"sessions": 1, "size": 2, "payload": 100}
    assert isinstance(load_of("room", "http://127.0.0.1:1", asked, str(file)), Room)


@pytest.mark.parametrize("scenario", ["signaling", "fanout"])
def test_an_adapter_is_named_on_the_command_line(
    scenario: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "other.py"
    file.touch()
    assert parser().parse_args([scenario, "--peer", str(file)]).peer == str(file)
    with pytest.raises(SystemExit):
        parser().parse_args([scenario, "--peer", str(tmp_path / "missing.py")])
    assert "missing.py" in capsys.readouterr().err
