"""Switchboard as `switchboard demo` composes it, with room for a load from one address.

`python -m benchmarks.switchboard STANDBYS PEOPLE REUSE NODES`: a private Ray, ledger, pool and one
gateway. Only limits differ from the demo: those per network address, since all the load of a
benchmark has one, how many PEOPLE may be in a session, and how many more sessions an actor has
(REUSE); and Ray may have several NODES, all on this machine. It is ready when the gateway answers;
the pool may still fill.

Each line it reads then is a question. `{"do": "level"}`: how many sessions and standbys are there,
which actors are in processes that have held a session before, and how many openings found no
standby so far, as the ledger counts them? `{"do": "watch"}`: look at the pool twenty times a second
from now on, and `{"do": "watched"}`: what changed, and when on the machine's clock?
`{"do": "counted"}`: what have all session actors counted, and how do they stand, by their last
reports?
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from benchmarks.process import Child
from benchmarks.serving import listening_socket, say_ready
from gateway.commands.ray_environment import private_folder
from gateway.compose.options import MEDIA_SLOT

if TYPE_CHECKING:
    from broker.messages.cluster.exporting import MeasureList
    from broker.messages.cluster.nodes import PoolLevel

PER_ADDRESS = 1e6
MEDIA_SLOTS = 512
"""Session actors that there may be, as for `switchboard up`; a slot costs nothing."""
LOOK_SECONDS = 0.05
NODE_STARTED = "Ray runtime started."
"""What `ray start` says of a node that has."""


async def up(
    ray_folder: Path, data: Path, standbys: int, people: int, reuse: int, nodes: int
) -> None:
    """Start Ray with so many nodes, serve on it, and end it with the nodes it was given."""
    # Ray reads its environment when it is imported.
    import ray

    from gateway.compose import entry as compose

    await asyncio.to_thread(compose.private_ray, ray_folder, MEDIA_SLOTS)
    async with AsyncExitStack() as further:
        for number in range(1, nodes):
            command = node_command(ray.get_runtime_context().gcs_address)
            node = await Child.start(f"further Ray node {number}", command, sign=NODE_STARTED)
            further.push_async_callback(node.close)
        await serve(data, standbys, people, reuse)


async def serve(data: Path, standbys: int, people: int, reuse: int) -> None:
    """Start everything on our Ray, say so, and stop in order when told."""
    # Ray reads its environment when it is imported, and these import it.
    from broker.keys import KeyPurpose
    from broker.messages.cluster.exporting import MeasureList, MeasureQuery
    from broker.messages.cluster.members import LinkHello
    from gateway.app import create_app
    from gateway.commands.demo import demo_accounts, prepare_data
    from gateway.compose import entry as compose
    from gateway.links.ledger_client import LedgerClient
    from gateway.secret_file import read_secret
    from gateway.serve import gateway_server
    from gateway.settings import DemoHost, DemoSettings, Limits, Settings
    from gateway.tasks import cancel

    prepare_data(data)
    sock = listening_socket()
    origin = f"http://127.0.0.1:{sock.getsockname()[1]}"
    settings = Settings(
        origin=origin,
        secret=read_secret(data / "secret"),
        accounts=demo_accounts(data, "http://127.0.0.1:1", DemoSettings()),
        gateway_id=secrets.token_urlsafe(9),
        demo=DemoHost(origin=origin),
        limits=Limits(
            requests_per_minute=PER_ADDRESS,
            request_burst=round(PER_ADDRESS),
            guest_tries_per_minute=PER_ADDRESS,
            guest_try_burst=round(PER_ADDRESS),
            engagement_tries_per_minute=PER_ADDRESS,
            engagement_try_burst=round(PER_ADDRESS),
            account_requests_per_minute=PER_ADDRESS,
            account_request_burst=round(PER_ADDRESS),
        ),
    )
    cluster = compose.ClusterSettings(
        secret_file=str(data / "secret"),
        database_url=f"sqlite:///{data / 'ledger.sqlite3'}",
        public_url=origin,
        standbys=standbys,
        reuse=reuse,
        policy=(("participant_limit", people),),
    )
    running = await compose.start_cluster(cluster)
    directory = LedgerClient(
        running.resolvers[0],
        cluster.key(KeyPurpose.TRUNK),
        LinkHello(kind="gateway", member_id=settings.gateway_id, node="local"),
    )
    app = create_app(settings, directory)
    directory.listen(app.state.switchroom)
    gateway = gateway_server(settings, app, [sock])
    tasks = [asyncio.create_task(directory.run()), asyncio.create_task(gateway.run())]
    try:
        await gateway.started.wait()
        say_ready(origin=origin, api_key_file=str(data / "api-key"))
        await answer(running.level, lambda: directory.ask(MeasureQuery(), MeasureList))
    finally:
        await gateway.stop()
        for task in tasks:
            await cancel(task)
        await compose.stop_cluster()


def node_command(gcs_address: str) -> list[str]:
    """Say how a further node of our Ray is started; it ends with its command."""
    return [
        *(str(Path(sys.executable).with_name("ray")), "start", "--block"),
        f"--address={gcs_address}",
        *("--node-ip-address=127.0.0.1", "--num-cpus=2", "--object-store-memory=80000000"),
        f'--resources={{"{MEDIA_SLOT}": {MEDIA_SLOTS}}}',
    ]


class Answers:
    """What the harness is told of the pool. Closed by who asks."""

    def __init__(
        self,
        ask_level: Callable[[], Awaitable[PoolLevel | None]],
        ask_counts: Callable[[], Awaitable[MeasureList]],
    ) -> None:
        self._ask_level = ask_level
        self._ask_counts = ask_counts
        self._looks: list[tuple[float, int, int]] = []
        self._watching: asyncio.Task[None] | None = None

    async def to(self, question: str) -> dict[str, object]:
        """Answer one question; `error` says why there is no answer."""
        match question:
            case "level":
                level = await self._ask_level()
                if level is None:
                    return {"error": "The ledger is away."}
                return {
                    "waited": level.waited,
                    "live": level.live,
                    "standbys": level.standbys,
                    "reused": level.reused,
                }
            case "counted":
                told = [each for each in (await self._ask_counts()).measured if each.node]
                counts = sum((Counter(each.counts) for each in told), Counter())
                standing = sum((Counter(each.standing) for each in told), Counter())
                return {"counts": dict(counts), "standing": dict(standing)}
            case "watch":
                await self.close()
                self._looks = []
                self._watching = asyncio.create_task(self._watch())
                return {}
            case "watched" if self._watching is not None:
                failed = await self.close()
                return {"looks": self._looks} if failed is None else {"error": failed}
            case _:
                return {"error": f"There is no answer to {question}."}

    async def close(self) -> str | None:
        """Look no more; returns why it had ended by itself, if it had. Idempotent."""
        watching, self._watching = self._watching, None
        if watching is None:
            return None
        watching.cancel()
        (ended,) = await asyncio.gather(watching, return_exceptions=True)
        return None if isinstance(ended, asyncio.CancelledError) else f"It looks no more: {ended!r}"

    async def _watch(self) -> None:
        """Note standbys and session actors whenever they are others than at the look before."""
        while True:
            level = await self._ask_level()
            if level is not None:
                seen = (level.standbys, len(level.members))
                if not self._looks or self._looks[-1][1:] != seen:
                    self._looks.append((time.monotonic(), *seen))
            await asyncio.sleep(LOOK_SECONDS)


async def answer(
    ask_level: Callable[[], Awaitable[PoolLevel | None]],
    ask_counts: Callable[[], Awaitable[MeasureList]],
) -> None:
    """Answer until the harness closes standard input."""
    answers = Answers(ask_level, ask_counts)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        while line := await reader.readline():
            print(json.dumps(await answers.to(json.loads(line)["do"])), flush=True)
    finally:
        await answers.close()


def main(standbys: int, people: int, reuse: int, nodes: int) -> None:
    # What it keeps lies in Ray's folder: the next one sweeps both away where this one is killed.
    with private_folder() as folder:
        if nodes > 1:
            # Ray allows a single node only, unless told that this machine takes part in a cluster.
            os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "1"
        try:
            uvloop.run(up(folder, folder / "data", standbys, people, reuse, nodes))
        except KeyboardInterrupt:
            pass
        finally:
            from gateway.compose import entry as compose

            compose.stop_ray()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
