"""A TCP proxy to loopback that can hold what passes, in both directions, cut it, or keep it."""

from __future__ import annotations

import asyncio

from tests.servers import stop_accepting

_IPV4 = 1
"""Of an address in SOCKS; the other kind that a browser sends, 3, is a name."""
_HERE = b"localhost", b"127.0.0.1", bytes((127, 0, 0, 1))


class FaultProxy:
    """Passes bytes on to a port. Closed by who started it; `close` cuts what passes.

    One that `keeps` has in `seen` what came by, in both directions.
    """

    def __init__(self, target: int = 0, *, keeps: bool = False, at: str = "127.0.0.1") -> None:
        self.target = target
        self._at = at
        self.seen = bytearray()
        self._keeps = keeps
        self._passing = asyncio.Event()
        self._passing.set()
        self._links: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> FaultProxy:
        self._server = await asyncio.start_server(self._serve, self._at, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def hold(self) -> None:
        """Let nothing through: as a network that swallows everything. Links stay up."""
        self._passing.clear()

    def release(self) -> None:
        """Let everything through, also what was held."""
        self._passing.set()

    def cut(self) -> None:
        """Reset what passes, and go on listening."""
        for link in self._links:
            link.cancel()

    async def close(self) -> None:
        """Cut everything and listen no more; harmless when closed."""
        server, self._server = self._server, None
        if server is None:
            return
        await stop_accepting(server)
        self.cut()
        await asyncio.gather(*self._links, return_exceptions=True)
        await server.wait_closed()

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.get_running_loop().create_task(self._link(reader, writer))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        out: asyncio.StreamWriter | None = None
        try:
            back, out = await self._onward(reader, writer)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, out))
                both.create_task(self._pump(back, writer))
        except* (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            for each in (writer, out):
                if each is not None:
                    each.close()

    async def _onward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to where it goes."""
        await self._passing.wait()
        return await asyncio.open_connection("127.0.0.1", self.target)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if self._keeps:
                self.seen += data
            await self._passing.wait()
            writer.write(data)
            await writer.drain()
        await self._passing.wait()
        # Half of it is over: so is the other half.
        raise ConnectionResetError


class SocksProxy(FaultProxy):
    """A proxy that a whole browser context may be told of (RFC 1928, no authentication).

    Where a connection is to go its client says.
    """

    async def _onward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        await self._passing.wait()
        writer.write(b"\x05\x00")
        *_, kind = await reader.readexactly(4)
        size = 4 if kind == _IPV4 else (await reader.readexactly(1))[0]
        host = await reader.readexactly(size)
        port = int.from_bytes(await reader.readexactly(2))
        await self._passing.wait()
        if host not in _HERE:
            # A browser asks its maker for this and that.
            raise ConnectionRefusedError
        onward = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        return onward
