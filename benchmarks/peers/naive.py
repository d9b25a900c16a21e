"""The naive design: every message is a Ray call into an async actor, and its reply the result."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from typing import Any

import ray
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from benchmarks.serving import run
from benchmarks.web import serve


class Session:
    """An actor that answers; what it would do costs nothing here."""

    async def handle(self, text: str) -> str:
        return text


async def main() -> None:
    folder = tempfile.mkdtemp(prefix="sb-naive-")
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        _temp_dir=folder,
    )
    app = FastAPI()
    # Ray makes its actor classes at run time; no type checker can follow it there.
    actor: Any = ray.remote(num_cpus=0)(Session).remote()

    @app.websocket("/v1/connect")
    async def connect(socket: WebSocket) -> None:
        await socket.accept()
        with suppress(WebSocketDisconnect):
            while True:
                text = await socket.receive_text()
                await socket.send_text(await actor.handle.remote(text))

    try:
        await serve(app)
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    run(main)
