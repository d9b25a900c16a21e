"""The floor of joining: two browsers that talk to each other, signalled through a gateway.

The gateway is the same kind of process as ours, FastAPI on uvicorn and uvloop, and does the least
it can: it serves the page and passes every message of one on to the other.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse

from benchmarks.serving import run
from benchmarks.web import serve

PAGES = Path(__file__).resolve().parent.parent / "pages"
app = FastAPI()
rooms: dict[str, set[WebSocket]] = {}


@app.get("/direct")
async def page() -> FileResponse:
    return FileResponse(PAGES / "direct.html")


@app.get("/direct.js")
async def script() -> FileResponse:
    return FileResponse(PAGES / "direct.js", media_type="text/javascript")


@app.websocket("/signal/{room}")
async def signal(socket: WebSocket, room: str) -> None:
    await socket.accept()
    members = rooms.setdefault(room, set())
    members.add(socket)
    try:
        with suppress(WebSocketDisconnect):
            while True:
                text = await socket.receive_text()
                for member in tuple(members):
                    if member is not socket:
                        await member.send_text(text)
    finally:
        members.discard(socket)
        if not members:
            rooms.pop(room, None)


if __name__ == "__main__":
    run(lambda: serve(app))
