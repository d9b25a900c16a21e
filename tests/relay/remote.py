"""A relay in a process of its own, asked over a pipe: what a crafted client needs, and its cost."""

from __future__ import annotations

import asyncio
import multiprocessing
from multiprocessing.connection import Connection
from typing import cast

import psutil

from actors import memory
from actors.relay import MediaRights, OfferLayout, Relay, RelayConfig
from benchmarks.sampler import processor_seconds

from .recording import RecordingListener


async def _serve(pipe: Connection, config: RelayConfig) -> None:
    relay = Relay(config, RecordingListener())
    await relay.open()
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    async def fresh() -> None:
        nonlocal relay
        await relay.close()
        del relay
        # Whatever is left of it has a turn to go, as between two sessions of a process.
        await asyncio.sleep(0)
        memory.settle()
        relay = Relay(config, RecordingListener())
        await relay.open()
        pipe.send(relay.port)

    def asked() -> None:
        try:
            name, arguments = pipe.recv()
        except EOFError:
            ended.set()
            return
        match name:
            case "close":
                ended.set()
            case "port":
                pipe.send(relay.port)
            case "fresh":
                tasks.add(loop.create_task(fresh()))
            case "tasks":
                tasks.difference_update({task for task in tasks if task.done()})
                pipe.send(len(asyncio.all_tasks()))
            case _:
                pipe.send(getattr(relay, name)(*arguments))

    tasks: set[asyncio.Task[None]] = set()
    loop.add_reader(pipe.fileno(), asked)
    await ended.wait()
    loop.remove_reader(pipe.fileno())
    await relay.close()


def _relay_process(pipe: Connection, config: RelayConfig) -> None:
    asyncio.run(_serve(pipe, config))


class RemoteRelay:
    """A relay in another process."""

    def __init__(self, config: RelayConfig | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, there = context.Pipe()
        self._process = context.Process(
            target=_relay_process, args=(there, config or RelayConfig()), daemon=True
        )
        self._process.start()
        there.close()
        self.port = cast(int, self._ask("port"))

    def _ask(self, name: str, *arguments: object) -> object:
        self._pipe.send((name, arguments))
        if not self._pipe.poll(30):
            raise TimeoutError(name)
        return self._pipe.recv()

    def answer(
        self,
        participant_id: str,
        transport_id: str,
        sdp: str,
        layout: OfferLayout,
        rights: MediaRights,
    ) -> str:
        return cast(str, self._ask("answer", participant_id, transport_id, sdp, layout, rights))

    def start_afresh(self) -> None:
        """End this session and serve another one in the same process."""
        self.port = cast(int, self._ask("fresh"))

    def tasks(self) -> int:
        """How many tasks the relay's loop has."""
        return cast(int, self._ask("tasks"))

    def descriptors(self) -> int:
        return psutil.Process(self._process.pid).num_fds()

    def snapshot(self) -> dict[str, object]:
        return cast(dict[str, object], self._ask("snapshot"))

    def processor_seconds(self) -> float:
        """Processor time that the relay's process has used."""
        return processor_seconds(psutil.Process(self._process.pid))

    def unique_memory(self) -> int:
        """Bytes that only the relay's process holds."""
        return int(psutil.Process(self._process.pid).memory_full_info().uss)

    def close(self) -> None:
        self._pipe.send(("close", ()))
        self._process.join(10)
        self._pipe.close()
