"""The OpenAPI description, without a running gateway."""

from __future__ import annotations

from typing import Any

from broker.errors import ErrorCode, Unavailable
from broker.keys import MIN_SECRET_BYTES
from broker.messages.cluster.members import LinkHello
from gateway.app import create_app
from gateway.links.ledger_client import LedgerClient
from gateway.settings import Settings
from gateway.site.assets import Assets


def describe() -> dict[str, Any]:
    """Describe the REST API as every gateway serves it."""

    async def nowhere() -> tuple[str, int]:
        raise Unavailable(ErrorCode.LEDGER_AWAY, "There is no ledger here.")

    hello = LinkHello(kind="gateway", member_id="openapi", node="openapi")
    directory = LedgerClient(nowhere, b"", hello)
    settings = Settings(origin="https://switchboard.example", secret=bytes(MIN_SECRET_BYTES))
    return create_app(settings, directory, assets=Assets({})).openapi()
