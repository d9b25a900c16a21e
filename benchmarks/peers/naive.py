"""The naive design: every message is a Ray call into an async actor, and its reply the result.

In the Ray that Switchboard would start, whose workers wait behind nobody.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from benchmarks.serving import run
from benchmarks.web import serve
from gateway.commands.ray_environment import private_folder


class Session:
    """An actor that answers; what it would do costs nothing here."""

    async def handle(self, text: str) -> str:
        return text


def application(actor: Any) -> FastAPI:
    # Ray makes its actor classes at run time; no type checker can follow it there.
    app = FastAPI()

    @app.websocket("/v1/connect")
    async def connect(socket: WebSocket) -> None:
        await socket.accept()
        with suppress(WebSocketDisconnect):
            while True:
                text = await socket.receive_text()
                await socket.send_text(await actor.handle.remote(text))

    return app


async def main() -> None:
    # Ray reads its environment when it is imported.
    with private_folder() as folder:
        import ray

        from gateway.compose import entry as compose

        compose.private_ray(folder, 1)
        try:
            await serve(application(ray.remote(num_cpus=0)(Session).remote()))
        finally:
            compose.stop_ray()


if __name__ == "__main__":
    run(main)
