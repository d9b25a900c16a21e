"""Sending one session's events to one endpoint, in order, and deciding when to try again."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

import httpx

from actors.keeper.signature import HEADER, sign
from actors.keeper.target import Resolver, SystemResolver, TargetRefused, resolve
from actors.ledger.keeping import Parcel
from broker.events import KEPT_BACK
from broker.messages.cluster.tenure import JournalEntry

_log = logging.getLogger(__name__)
REFUSALS = frozenset({400, 413, 415, 422})
"""Statuses that speak of the event, and not of the receiver or of who sends (RFC 9110, 15.5)."""
MOST_CONNECTIONS = 100
"""Of one endpoint."""
KEPT_CONNECTIONS = 4
"""Of one endpoint, for its next events: as many as sessions are delivered at once."""
KEPT_S = 4.0
"""How long: less than the five seconds after which many servers close theirs, so that no event
meets a connection that is just being closed."""
REST_BYTES = 64 * 1024
REST_S = 1.0
"""What is read behind a status at most, and for how long."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an account wants its events, and the secret that signs them."""

    endpoint_id: str
    """Stable: positions are kept by it. At most 128 characters."""
    account_id: str
    url: str
    secret: bytes

    def __post_init__(self) -> None:
        if len(self.secret) < 32:
            raise ValueError("A webhook's secret must have at least 32 bytes.")


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """When a delivery has failed, is tried again, is given up."""

    attempt_s: float = 10.0
    backoff_first_s: float = 1.0
    backoff_last_s: float = 3600.0
    give_up_ms: int = 24 * 3_600_000
    """What has failed for so long becomes a dead letter."""
    refused_ms: int = 3_600_000
    """What the receiver itself finds wrong at every try, for so long: it has an hour to be
    mended."""
    least_tries: int = 8
    """Tries of each event at least, a minute or two: behind a dead letter the time is up already,
    and the receiver may be there again."""
    loopback_allowed: bool = False
    """Demo mode: receivers on this machine, also without TLS."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far a parcel came."""

    delivered_seq: int
    why: str | None = None
    """Why the next event failed; `None` when all were taken."""
    refused: bool = False
    """Whether it is this event that the receiver refuses, and not all of them."""


class Deliverer:
    """Sends parcels. A 2xx takes an event; everything else, also a redirect, is a failure.

    Each endpoint has a client of its own: those that hang would hold what connections one client
    has, and everybody else's events would wait for them. `close()` closes the clients.
    """

    def __init__(
        self,
        policy: DeliveryPolicy,
        now_ms: Callable[[], int],
        *,
        resolver: Resolver | None = None,
        jitter: Callable[[], float] = random.random,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        """`resolver` and `verify` say where names lead and which certificates are trusted.

        `None`: as this machine does.
        """
        self._policy = policy
        self._now_ms = now_ms
        self._own = SystemResolver()
        self._resolver = resolver or self._own
        self._jitter = jitter
        self._verify = verify or httpx.create_ssl_context(trust_env=False)
        self._clients: dict[str, httpx.AsyncClient] = {}
        """By endpoint, as many as the accounts name."""

    async def close(self) -> None:
        """Close them; harmless when closed."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()
        self._own.close()

    async def deliver(self, endpoint: Endpoint, parcel: Parcel) -> Outcome:
        """Send events in order up to the first that fails; a mistake of ours is a failure, too."""
        delivered = 0
        for entry in parcel.entries:
            try:
                why, refused = await self._send(endpoint, parcel, entry)
            except Exception as error:
                _log.exception("A delivery broke.", extra={"endpoint_id": endpoint.endpoint_id})
                why, refused = type(error).__name__, False
            if why is not None:
                _log.info(
                    "A webhook failed.",
                    extra={
                        "endpoint_id": endpoint.endpoint_id,
                        "session_id": parcel.session_id,
                        "entry": entry.seq,
                        "why": why,
                    },
                )
                return Outcome(delivered, why, refused)
            delivered = entry.seq
        return Outcome(delivered)

    def retry_in_ms(self, attempts: int) -> int:
        """Say how long to wait after that many failures: doubling, less up to half by chance."""
        policy = self._policy
        wait_s = min(policy.backoff_first_s * 2 ** min(attempts, 30), policy.backoff_last_s)
        return int(wait_s * 1000 * (1 - self._jitter() / 2))

    def is_over(self, parcel: Parcel, outcome: Outcome) -> bool:
        """Whether the first event of a parcel, which has just failed once more, is given up."""
        policy = self._policy
        refused_for_ms = parcel.refused_for_ms if outcome.refused else 0
        is_late = refused_for_ms >= policy.refused_ms or parcel.failing_for_ms >= policy.give_up_ms
        return is_late and parcel.attempts + 1 >= policy.least_tries

    async def _send(
        self, endpoint: Endpoint, parcel: Parcel, entry: JournalEntry
    ) -> tuple[str | None, bool]:
        """Send one event; say why it failed, and whether the receiver refuses this event."""
        body = event_json(endpoint, parcel, entry)
        try:
            async with asyncio.timeout(self._policy.attempt_s):
                target = await resolve(
                    endpoint.url,
                    resolver=self._resolver,
                    loopback_allowed=self._policy.loopback_allowed,
                )
                client = self._client_of(endpoint)
                request = client.build_request(
                    "POST",
                    target.url,
                    content=body,
                    headers={
                        "Host": target.host,
                        "Content-Type": "application/json",
                        "User-Agent": "Switchboard-Webhook/1",
                        HEADER: sign(endpoint.secret, self._now_ms() // 1000, body),
                    },
                    extensions={"sni_hostname": target.server_name},
                )
                response = await client.send(request, stream=True)
        except TargetRefused as error:
            return str(error), False
        except ValueError:
            return "The URL cannot be used.", False
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:  # TimeoutError is an OSError
            return type(error).__name__, False
        await _finish(response)
        if response.is_success:
            return None, False
        return f"status {response.status_code}", response.status_code in REFUSALS

    def _client_of(self, endpoint: Endpoint) -> httpx.AsyncClient:
        client = self._clients.get(endpoint.endpoint_id)
        if client is None:
            # Neither proxies nor credentials of our own environment belong in a brand's webhook.
            client = self._clients[endpoint.endpoint_id] = httpx.AsyncClient(
                timeout=self._policy.attempt_s,
                follow_redirects=False,
                trust_env=False,
                verify=self._verify,
                limits=httpx.Limits(
                    max_connections=MOST_CONNECTIONS,
                    max_keepalive_connections=KEPT_CONNECTIONS,
                    keepalive_expiry=KEPT_S,
                ),
            )
        return client


async def _finish(response: httpx.Response) -> None:
    """Read what stands behind a status, so that the connection can be used again.

    It may be endless or never come: then the connection is closed, and the status holds.
    """
    rest = cast("AsyncGenerator[bytes]", response.aiter_raw())
    size = 0
    try:
        async with asyncio.timeout(REST_S), aclosing(rest) as parts:
            async for part in parts:
                size += len(part)
                if size > REST_BYTES:
                    break
    except (httpx.HTTPError, OSError):
        pass
    finally:
        await response.aclose()


def event_json(endpoint: Endpoint, parcel: Parcel, entry: JournalEntry) -> bytes:
    """Write one event as its receiver gets it, without the hashes of secrets.

    `id` is the same each time it is sent.
    """
    return json.dumps(
        {
            "id": f"{parcel.session_id}:{entry.seq}",
            "type": entry.type,
            "version": entry.version,
            "at_ms": entry.at_ms,
            "account_id": endpoint.account_id,
            "session_id": parcel.session_id,
            "engagement_key": parcel.engagement_key,
            "seq": entry.seq,
            "body": {name: value for name, value in entry.body.items() if name not in KEPT_BACK},
        },
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()
