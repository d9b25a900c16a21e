"""The widget pages and the launcher script, with the headers that fence them in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import Response

from broker.ids import normal_id
from gateway.accounts import Account, AgentLogin
from gateway.settings import Settings
from gateway.site.assets import Assets

PERMISSIONS = (
    "camera=(self), microphone=(self), display-capture=(self), autoplay=(self), "
    "fullscreen=(self), picture-in-picture=(self), speaker-selection=(self), "
    "geolocation=(), payment=(), usb=()"
)


def frame_ancestors(settings: Settings, account_id: str | None) -> tuple[str, ...]:
    """Return who may frame a page of this account; empty when it is not known yet.

    A page that does not say its account may be framed by the hosts of any.
    """
    accounts: Iterable[Account]
    if account_id is not None and account_id in settings.accounts:
        accounts = (settings.accounts[account_id],)
    else:
        accounts = settings.accounts.values()
    known: dict[str, None] = {}
    for account in accounts:
        if not account.frame_ancestors:
            return ()
        known.update(dict.fromkeys(account.frame_ancestors))
    return tuple(known)


def token_origins(settings: Settings, account_id: str | None) -> tuple[str, ...]:
    """Return where the agents of an account, or of any, get their tokens from their brand."""
    one = settings.accounts.get(account_id or "")
    accounts: Iterable[Account] = settings.accounts.values() if one is None else (one,)
    found = (each.token_url for each in accounts if each.agent_login is AgentLogin.TOKEN_URL)
    return tuple(dict.fromkeys(_origin_of(url) for url in found if url))


def content_security_policy(
    settings: Settings,
    ancestors: Iterable[str] | None,
    *,
    sdk: str | None,
    connect: Iterable[str] = (),
) -> str:
    """Build the policy of a page; `ancestors` of `None` leaves framing out of it."""
    script = "script-src 'self'" if sdk is None else f"script-src 'self' {_origin_of(sdk)}"
    rules = [
        "default-src 'none'",
        script,
        "style-src 'self'",
        " ".join(("connect-src 'self'", settings.own_websocket, *connect)),
        "img-src 'self' data:",
        "media-src 'self' blob: mediastream:",
        "font-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
    ]
    if ancestors is not None:
        rules.append("frame-ancestors " + (" ".join(ancestors) or "'none'"))
    return "; ".join(rules)


def pages_router(settings: Settings, assets: Assets) -> APIRouter:
    """Serve `/agent`, `/window`, `/engagement`, `/join`, `/console` and `/launcher.js`."""
    router = APIRouter(include_in_schema=False)
    languages = assets.names("catalogues/", exactly=2)

    def page(
        request: Request, name: str, sdk: str | None, *, framed: bool, agents: bool = False
    ) -> Response:
        text = assets.get(f"pages/{name}.html").body.decode()
        for place, value in (
            ("{{assets}}", assets.prefix),
            ("{{sdk_script}}", sdk or ""),
            ("{{language}}", language_of(request, languages)),
        ):
            text = text.replace(place, value)
        headers = {
            "Cache-Control": "no-store",
            "Vary": "Accept-Language",
            "Referrer-Policy": "no-referrer",
            "Permissions-Policy": PERMISSIONS,
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
        account_id = account_of(request)
        ancestors = frame_ancestors(settings, account_id) if framed else ("'none'",)
        connect = token_origins(settings, account_id) if agents else ()
        if ancestors:
            headers["Content-Security-Policy"] = content_security_policy(
                settings, ancestors, sdk=sdk, connect=connect
            )
        else:
            headers["Content-Security-Policy"] = content_security_policy(
                settings, None, sdk=sdk, connect=connect
            )
            headers["Content-Security-Policy-Report-Only"] = "frame-ancestors 'self'"
        return Response(text, media_type="text/html; charset=utf-8", headers=headers)

    @router.get("/agent")
    async def agent(request: Request) -> Response:
        # Who says the conversation in the address has no workspace around: nobody is asked for its
        # script, which would do nothing there (`widgets/hosts/agent-host.js`).
        sdk = None if request.query_params.get("rtSessionId") else settings.agent_sdk
        return page(request, "agent", sdk, framed=True, agents=True)

    @router.get("/window")
    async def window(request: Request) -> Response:
        return page(request, "window", settings.window_sdk, framed=True)

    @router.get("/engagement")
    async def engagement(request: Request) -> Response:
        return page(request, "engagement", None, framed=True)

    @router.get("/join")
    async def join(request: Request) -> Response:
        return page(request, "join", None, framed=False)

    @router.get("/login")
    async def login(request: Request) -> Response:
        return page(request, "login", None, framed=False)

    @router.get("/console")
    async def console(request: Request) -> Response:
        return page(request, "console", None, framed=False)

    @router.get("/launcher.js")
    async def launcher(request: Request) -> Response:
        script = assets.get("launcher/launcher.js")
        tag = f'"{hashlib.sha256(script.body).hexdigest()[:16]}"'
        headers = {
            "Cache-Control": "public, max-age=60",
            "ETag": tag,
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return script.respond(request, headers)

    return router


def account_of(request: Request) -> str | None:
    """Return the account that a page says, as its widget reads it: the first one, trimmed."""
    said = request.query_params.getlist("accountId")
    return normal_id(said[0]) if said else None


def language_of(request: Request, languages: frozenset[str]) -> str:
    """Return the language a page will speak, so that its catalogue comes along with its modules.

    The widget decides by itself and alike; a wrong guess here costs one request.
    """
    wished = [request.query_params.get("lang") or ""]
    if not wished[0]:
        ranges = request.headers.get("accept-language", "").split(",")
        wished = [each.partition(";")[0] for each in ranges[:8]]
    primary = (each.strip().lower().partition("-")[0] for each in wished)
    old = {"iw": "he"}
    return next((tag for each in primary if (tag := old.get(each, each)) in languages), "en")


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
