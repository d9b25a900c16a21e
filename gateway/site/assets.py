"""The widgets' files, read once and served under an address that names their content.

Nothing is built; of scripts and styles only what a browser has no use for is left out (`compact`).
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response

from broker.errors import ErrorCode, NotFound
from gateway.site.compact import compact_script, compact_style

MEDIA_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".wav": "audio/wav",
    ".wasm": "application/wasm",
    ".html": "text/html; charset=utf-8",
}
"""What is served, and as what; files of other kinds are not."""
_COMPACT: dict[str, Callable[[bytes], bytes]] = {
    ".js": compact_script,
    ".mjs": compact_script,
    ".css": compact_style,
}
_NOT_SERVED = frozenset({"node_modules", "simulator", "tests", "__pycache__"})
_REVISION_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Asset:
    """One file in memory."""

    body: bytes
    media_type: str
    packed: bytes | None = field(init=False, repr=False)
    """The same by gzip, compressed once; `None` where that does not make it smaller."""

    def __post_init__(self) -> None:
        packed = gzip.compress(self.body, mtime=0)
        smaller = len(packed) < len(self.body)
        object.__setattr__(self, "packed", packed if smaller else None)

    def respond(self, request: Request, headers: dict[str, str]) -> Response:
        """Answer with the file, compressed for who can unpack it."""
        headers = {**headers, "Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff"}
        body = self.body
        if self.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            body = self.packed
            headers["Content-Encoding"] = "gzip"
        return Response(body, media_type=self.media_type, headers=headers)


class Assets:
    """A folder's files by path, and the revision that names them all.

    Reading everything at start means that no path of a request ever reaches the file system.
    """

    def __init__(self, files: dict[str, Asset]) -> None:
        self._files = files
        digest = hashlib.sha256()
        for path in sorted(files):
            body = files[path].body
            digest.update(f"{path}\0{len(body)}\0".encode())
            digest.update(body)
        self.revision = digest.hexdigest()[:_REVISION_DIGITS]

    @classmethod
    def read(cls, folder: Path, *, skip: frozenset[str] = _NOT_SERVED) -> Assets:
        """Read a folder; one that is missing is empty."""
        files: dict[str, Asset] = {}
        for file in sorted(folder.rglob("*")):
            path = file.relative_to(folder)
            hidden = any(part.startswith(".") or part in skip for part in path.parts)
            media_type = MEDIA_TYPES.get(file.suffix)
            if media_type is not None and not hidden and file.is_file():
                body = file.read_bytes()
                compact = _COMPACT.get(file.suffix)
                files[path.as_posix()] = Asset(compact(body) if compact else body, media_type)
        return cls(files)

    @property
    def prefix(self) -> str:
        """Where the files of this revision are served."""
        return f"/assets/{self.revision}"

    def names(self, folder: str, *, exactly: int) -> frozenset[str]:
        """Return the stems in a folder that have this many characters."""
        inside = (path.removeprefix(folder) for path in self._files if path.startswith(folder))
        stems = (path.partition(".")[0] for path in inside)
        return frozenset(stem for stem in stems if len(stem) == exactly)

    def get(self, path: str) -> Asset:
        """Return one file.

        Raises:
            NotFound: no such file is served.
        """
        asset = self._files.get(path)
        if asset is None:
            raise NotFound(ErrorCode.MALFORMED, "There is nothing at this address.")
        return asset


def assets_router(assets: Assets) -> APIRouter:
    """Serve the files of the present revision, to be kept for ever."""
    router = APIRouter(include_in_schema=False)

    @router.get("/assets/{revision}/{path:path}")
    async def asset(request: Request, revision: str, path: str) -> Response:
        if revision != assets.revision:
            # An older page asks another gateway of a rolling upgrade, or reloads.
            raise NotFound(ErrorCode.MALFORMED, "This revision is not served here.")
        return assets.get(path).respond(
            request,
            {
                "Cache-Control": "public, max-age=31536000, immutable",
                "Cross-Origin-Resource-Policy": "cross-origin",
                # Fonts and modules may be asked for by a frame without an origin (sandboxed).
                "Access-Control-Allow-Origin": "*",
            },
        )

    return router
