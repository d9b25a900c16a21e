"""A server that answers a command as a gateway does, or does not."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import MappingProxyType

NO_HEADS: Mapping[str, str] = MappingProxyType({})


class Answering(BaseHTTPRequestHandler):
    """Answers with bytes or with JSON, and keeps no log."""

    def read(self) -> bytes:
        """The body of the request."""
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, body: object, status: int = 200, heads: Mapping[str, str] = NO_HEADS) -> None:
        self.send_response(status)
        for name, value in heads.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(path: str, body: object, status: int = 200) -> Iterator[str]:
    """A gateway that knows one answer."""

    class Handler(Answering):
        def do_GET(self) -> None:
            self.read()
            self.answer(body, status if self.path.startswith(path) else 404)

        do_POST = do_GET

    with listening(Handler) as gateway:
        yield gateway


@contextmanager
def listening(
    handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None
) -> Iterator[str]:
    """A server on a free port, with TLS if it is given a context."""
    server = HTTPServer(("127.0.0.1", 0), handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"{'http' if context is None else 'https'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
