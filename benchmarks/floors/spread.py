"""The floor of fan-out: a gateway and a process for each session that do next to nothing.

`python -m benchmarks.floors.spread SESSIONS`. It speaks as the peer in one process does
(`benchmarks.peers.room`), and means as little: a message `{"id": k, "size": n}` goes over its
trunk to the process of its room, which sends n bytes over the trunks of all its members. What this
costs beside the peer is what a process for each session costs, whatever it is written in Python to
do.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import traceback

import uvloop

from benchmarks.serving import listening_socket
from broker.trunk import Frame, FrameLink


class Told:
    """One room: everybody gets what anybody says. It ends with its process."""

    def __init__(self) -> None:
        self._links: list[FrameLink] = []

    async def serve(self, sock: socket.socket, parent: int) -> None:
        """Serve until the other end of the pipe `parent` is closed."""
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        loop.add_reader(parent, gone.set)
        await loop.create_server(self._link, sock=sock)
        await gone.wait()

    def _link(self) -> asyncio.BaseProtocol:
        return FrameLink(  # type: ignore[return-value]
            self._on_frame, self._links.remove, on_made=self._links.append
        )

    def _on_frame(self, link: FrameLink, kind: Frame, body: bytes) -> None:
        asked = json.loads(body)
        text = json.dumps({"id": asked["id"], "pad": "x" * asked["size"]}).encode()
        for each in self._links:
            each.send(Frame.MESSAGE, text)


def start(room: socket.socket, pipe: tuple[int, int]) -> None:
    """Start a room's process, which ends with this one."""
    if os.fork():
        room.close()
        return
    os.close(pipe[1])
    status = 0
    try:
        uvloop.run(Told().serve(room, pipe[0]))
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        os._exit(status)


def main(sessions: int) -> None:
    rooms = [listening_socket() for _ in range(sessions)]
    ports = [room.getsockname()[1] for room in rooms]
    pipe = os.pipe()
    for room in rooms:
        start(room, pipe)
    # After the rooms have their processes: they need no server's framework.
    from benchmarks.floors.echo import application
    from benchmarks.serving import run
    from benchmarks.web import serve

    app = application("/room/{name}", lambda member: ports[int(member.path_params["name"])])
    run(lambda: serve(app))


if __name__ == "__main__":
    main(int(sys.argv[1]))
