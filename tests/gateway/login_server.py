"""LivePerson's login as documented, with nobody real behind it."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

import jwt
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from gateway.serve import EdgeServer, bind
from tests.gateway.listening import running

CLIENT, CLIENT_SECRET = "app-1", "the application's secret"


class LoginServer:
    """Logs everybody in as `claims` say; `status` and `token` break the exchange."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {"sub": "4711", "name": "Alex Agent"}
        self.status = 200
        self.token: str | None = None
        self.exchanged: list[dict[str, str]] = []
        self.origin = ""
        self._codes: dict[str, str] = {}

    def id_token(self, **changes: Any) -> str:
        now = int(time.time())
        claims = {"iss": "sentinel", "aud": CLIENT, "iat": now, "exp": now + 300} | self.claims
        claims |= changes
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, "LivePerson's own key, never published", "HS256")

    def app(self) -> FastAPI:
        app = FastAPI()
        base = "/sentinel/api/account/{account_id}"

        @app.get(base + "/authorize")
        async def authorize(request: Request) -> Response:
            asked = request.query_params
            assert (asked["v"], asked["response_type"]) == ("1.0", "code")
            assert asked["client_id"] == CLIENT
            code = secrets.token_urlsafe(8)
            self._codes[code] = asked["redirect_uri"]
            return RedirectResponse(
                f"{asked['redirect_uri']}?code={code}&state={asked['state']}", 302
            )

        @app.post(base + "/token")
        async def exchange(account_id: str, request: Request) -> Response:
            form = dict(parse_qsl((await request.body()).decode()))
            self.exchanged.append({"account_id": account_id, **form})
            if self.status != 200:
                return JSONResponse({}, self.status)
            good = (form["grant_type"], form["client_id"], form["client_secret"])
            if good != ("authorization_code", CLIENT, CLIENT_SECRET):
                return JSONResponse({"error": "invalid_client"}, 400)
            if self._codes.pop(form["code"], None) != form["redirect_uri"]:
                return JSONResponse({"error": "invalid_grant"}, 400)
            return JSONResponse(
                {
                    "access_token": "unused",
                    "token_type": "Bearer",
                    "refresh_token": "unused",
                    "id_token": self.token or self.id_token(),
                }
            )

        return app


@asynccontextmanager
async def login_server() -> AsyncIterator[LoginServer]:
    """Run one on a free port."""
    made = LoginServer()
    listening = bind("127.0.0.1", 0)
    made.origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = EdgeServer(made.app(), [listening])
    async with running(server.run()):
        await server.started.wait()
        yield made
