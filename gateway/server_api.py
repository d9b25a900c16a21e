"""The REST API for a brand's backend and for operators: `/v1`, with API keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from broker.errors import ErrorCode, Unauthenticated
from broker.messages.cluster import RecordGet, RecordPage, RecordQuery, SessionRecord
from broker.words import SessionPhase
from gateway.accounts import Account, key_id_of
from gateway.settings import Settings
from gateway.switchroom import Switchroom

_BEARER = HTTPBearer(auto_error=False, description="An account's API key: swk_<key id>_<secret>.")


class ApiKeys:
    """Finds the account of an API key."""

    def __init__(self, settings: Settings) -> None:
        self._accounts: dict[str, list[Account]] = {}
        for account in settings.accounts.values():
            for key in account.api_keys:
                self._accounts.setdefault(key.key_id, []).append(account)

    def account_of(self, presented: str) -> Account:
        """Return the account of a key.

        Raises:
            Unauthenticated: none of ours; the answer does not tell whether the key id exists.
        """
        key_id = key_id_of(presented)
        if key_id is not None:
            for account in self._accounts.get(key_id, ()):
                if account.find_key(presented) is not None:
                    return account
        raise Unauthenticated(ErrorCode.TOKEN_INVALID, "The API key does not hold.")


async def calling_account(
    request: Request,
    given: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
) -> Account:
    """Find who calls, by the API key of the request."""
    if given is None:
        raise Unauthenticated(ErrorCode.TOKEN_MISSING, "No API key was given.")
    keys: ApiKeys = request.app.state.api_keys
    return keys.account_of(given.credentials)


Caller = Annotated[Account, Depends(calling_account)]


def server_router(room: Switchroom) -> APIRouter:
    """Serve the session records of the caller's account."""
    router = APIRouter(prefix="/v1", tags=["sessions"])
    directory = room.directory

    @router.get("/sessions", operation_id="listSessions")
    async def list_sessions(
        account: Caller,
        phase: SessionPhase | None = None,
        engagement_key: Annotated[str | None, Query(max_length=128)] = None,
        cursor: Annotated[str | None, Query(max_length=256)] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> RecordPage:
        """List sessions of the account, newest first, without their events."""
        return await directory.list_records(
            RecordQuery(
                account_id=account.account_id,
                phase=phase,
                engagement_key=engagement_key,
                cursor=cursor,
                limit=limit,
            )
        )

    @router.get("/sessions/{session_id}", operation_id="getSession")
    async def get_session(session_id: str, account: Caller) -> SessionRecord:
        """Get one session: its ids, its people, every event with its time, how it ended."""
        return await directory.get_record(
            RecordGet(session_id=session_id, account_id=account.account_id)
        )

    return router
