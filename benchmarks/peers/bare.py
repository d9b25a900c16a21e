"""The floor of memory: N Ray actors of an empty class, in the Ray that Switchboard would start."""

from __future__ import annotations

import os
import sys
from typing import Any

from benchmarks.serving import run, say_ready, until_told
from gateway.commands.ray_environment import private_folder


class Bare:
    """Nothing but the process that Ray makes for it."""

    async def pid(self) -> int:
        return os.getpid()


async def main() -> None:
    # Ray reads its environment when it is imported.
    with private_folder() as folder:
        import ray

        from gateway.compose import entry as compose

        compose.private_ray(folder, 1)
        try:
            made: Any = ray.remote(num_cpus=0.01)(Bare)
            actors = [made.remote() for _ in range(int(sys.argv[1]))]
            pids = [await actor.pid.remote() for actor in actors]
            say_ready(pids=pids)
            await until_told()
        finally:
            compose.stop_ray()


if __name__ == "__main__":
    run(main)
