"""One trunk hop and nothing behind it: a TCP server that sends every frame back."""

from __future__ import annotations

import asyncio

from benchmarks.serving import listening_socket, run, say_ready, until_told
from broker.trunk import Frame, FrameLink


def echo(link: FrameLink, kind: Frame, body: bytes) -> None:
    link.send(kind, body)


async def main() -> None:
    sock = listening_socket()
    loop = asyncio.get_running_loop()

    def end() -> asyncio.BaseProtocol:
        # A FrameLink has the methods of a protocol without being one: broker imports no asyncio.
        return FrameLink(echo, lambda link: None)  # type: ignore[return-value]

    server = await loop.create_server(end, sock=sock)
    say_ready(port=sock.getsockname()[1])
    await until_told()
    server.close()


if __name__ == "__main__":
    run(main)
