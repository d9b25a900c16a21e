"""Agents' pictures, served from the gateway's own address.

A brand names a picture by its https address when it mints a token. A widget that fetched it there
would tell that host who is about to talk, so no widget may: the token carries a signed path of
this gateway, which fetches the picture and keeps it for a while. It fetches only what it signed,
only from the hosts in the account's `picture_hosts`, and never follows a redirect.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
from fastapi import APIRouter
from fastapi.responses import Response

from broker.errors import ErrorCode, Malformed, NotFound, Unavailable
from broker.keys import KeyPurpose, derive_key
from gateway.accounts import Account
from gateway.proofs.outside import outside_client
from gateway.tasks import cancel

logger = logging.getLogger(__name__)
KINDS = frozenset({"image/avif", "image/gif", "image/jpeg", "image/png", "image/webp"})
"""Nothing that could hold a script: no SVG."""
MAX_BYTES = 256 * 1024
FETCH_S = 5.0
"""From asking to the last byte."""
MAX_FETCHES = 8
"""At once; whoever asks for a further one may try again."""
KEPT_S = 600.0
FAILURE_KEPT_S = 30.0
MAX_KEPT = 64
PREFIX = "/v1/pictures/"


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as its host sent it."""

    kind: str
    body: bytes


class Pictures:
    """Signs paths of pictures and fetches what is behind them. `close()` ends its fetches."""

    def __init__(
        self,
        secret: bytes,
        accounts: Mapping[str, Account],
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._key = derive_key(secret, KeyPurpose.PICTURE)
        self._accounts = accounts
        self._client = outside_client(FETCH_S, transport=transport)
        self._kept: OrderedDict[str, tuple[float, Picture | None]] = OrderedDict()
        """By address, with the loop's time until which it holds; the oldest goes first."""
        self._coming: dict[str, asyncio.Task[Picture | None]] = {}

    async def close(self) -> None:
        """Cancel what is being fetched and end the kept connections; harmless when closed."""
        for task in tuple(self._coming.values()):
            await cancel(task)
        await self._client.aclose()

    def path_of(self, account: Account, url: str) -> str:
        """Sign the path under which this gateway serves a picture.

        Raises:
            Malformed: its host is not among the account's `picture_hosts`.
        """
        if not _is_allowed(account, url):
            raise Malformed(
                ErrorCode.MALFORMED, "picture: its host is not in the account's picture_hosts."
            )
        name = urlsafe_b64encode(url.encode()).decode().rstrip("=")
        return f"{PREFIX}{account.account_id}/{name}.{self._signature(account.account_id, url)}"

    async def fetch(self, account_id: str, name: str) -> Picture:
        """Return the picture behind a signed path.

        Raises:
            NotFound: nobody signed it, its host is no longer allowed, or no picture came.
            Unavailable: too many are being fetched.
        """
        url = self._address_in(account_id, name)
        now = asyncio.get_running_loop().time()
        until, picture = self._kept.get(url, (now, None))
        if until <= now:
            picture = await asyncio.shield(self._coming.get(url) or self._begin(url))
        if picture is None:
            raise _unknown()
        return picture

    def _address_in(self, account_id: str, name: str) -> str:
        encoded, _, signature = name.rpartition(".")
        try:
            url = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
        except ValueError:
            raise _unknown() from None
        signed = self._signature(account_id, url)
        account = self._accounts.get(account_id)
        if not hmac.compare_digest(signature.encode(), signed.encode()):
            raise _unknown()
        if account is None or not _is_allowed(account, url):
            raise _unknown()
        return url

    def _signature(self, account_id: str, url: str) -> str:
        mac = hmac.digest(self._key, f"{account_id}\n{url}".encode(), hashlib.sha256)
        return urlsafe_b64encode(mac[:18]).decode()

    def _begin(self, url: str) -> asyncio.Task[Picture | None]:
        if len(self._coming) >= MAX_FETCHES:
            raise Unavailable(ErrorCode.NO_CAPACITY, "Too many pictures are being fetched.")
        task = asyncio.create_task(self._bring(url))
        self._coming[url] = task
        task.add_done_callback(lambda _: self._coming.pop(url, None))
        return task

    async def _bring(self, url: str) -> Picture | None:
        picture = None
        try:
            async with asyncio.timeout(FETCH_S):
                picture = await self._download(url)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            logger.info("picture not fetched", extra={"why": type(error).__name__})
        life_s = FAILURE_KEPT_S if picture is None else KEPT_S
        self._kept[url] = (asyncio.get_running_loop().time() + life_s, picture)
        self._kept.move_to_end(url)
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return picture

    async def _download(self, url: str) -> Picture | None:
        wish = {"Accept": ", ".join(sorted(KINDS)), "Accept-Encoding": "identity"}
        async with self._client.stream("GET", url, headers=wish) as answer:
            kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
            if answer.status_code != 200 or kind not in KINDS:
                return None
            body = bytearray()
            # Raw: what was packed all the same is no picture, and unpacks to nobody's memory.
            async for piece in answer.aiter_raw():
                body += piece
                if len(body) > MAX_BYTES:
                    return None
        return Picture(kind, bytes(body))


def pictures_router(pictures: Pictures) -> APIRouter:
    """Serve `/v1/pictures/ACCOUNT/NAME`, which only widgets ask for."""
    router = APIRouter(include_in_schema=False)

    @router.get(PREFIX + "{account_id}/{name}")
    async def picture(account_id: str, name: str) -> Response:
        found = await pictures.fetch(account_id, name)
        headers = {
            "Cache-Control": f"private, max-age={KEPT_S:.0f}",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(found.body, media_type=found.kind, headers=headers)

    return router


def _is_allowed(account: Account, url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    # Whatever stands before an @ is no host, whatever it looks like.
    return parts.scheme == "https" and parts.netloc.lower() in account.picture_hosts


def _unknown() -> NotFound:
    return NotFound(ErrorCode.UNKNOWN_ENTRY, "There is no such picture.")
