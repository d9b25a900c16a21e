"""The peer of fan-out: a room in the memory of one process, as the tutorial of FastAPI builds it.

A message `{"id": k, "size": n}` makes the room send n bytes to every member, so that rooms and
sessions can be compared at the same size. Encoded once, sent one member after another.
"""

from __future__ import annotations

import json
from contextlib import suppress

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from benchmarks.serving import run
from benchmarks.web import serve

app = FastAPI()
rooms: dict[str, set[WebSocket]] = {}


@app.websocket("/room/{name}")
async def join(socket: WebSocket, name: str) -> None:
    await socket.accept()
    members = rooms.setdefault(name, set())
    members.add(socket)
    try:
        with suppress(WebSocketDisconnect):
            while True:
                asked = json.loads(await socket.receive_text())
                text = json.dumps({"id": asked["id"], "pad": "x" * asked["size"]})
                for member in tuple(members):
                    await member.send_text(text)
    finally:
        members.discard(socket)
        if not members:
            rooms.pop(name, None)


if __name__ == "__main__":
    run(lambda: serve(app))
