"""Every error of the HTTP surface as problem details (RFC 9457)."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from broker.errors import (
    ErrorCode,
    Forbidden,
    Internal,
    Malformed,
    NotFound,
    SwitchboardError,
    TooFast,
    Unauthenticated,
)
from gateway.metrics import Metrics
from gateway.refusals import problem, status_of

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


def answer(error: SwitchboardError, *, status: int | None = None) -> JSONResponse:
    """Answer a request with an error."""
    body = problem(error)
    if status is not None:
        body["status"] = status
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, TooFast):
        headers["Retry-After"] = "5"
    return JSONResponse(
        body, status_code=status or int(status_of(error)), media_type=MEDIA_TYPE, headers=headers
    )


def install(app: FastAPI, metrics: Metrics) -> None:
    """Make every error of an app a problem."""

    async def on_refusal(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, SwitchboardError)
        metrics.refusals.labels(code=str(error.code)).inc()
        return answer(error)

    async def on_invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        malformed = Malformed(ErrorCode.MALFORMED, f"{place}: {first['msg']}")
        metrics.refusals.labels(code=str(malformed.code)).inc()
        return answer(malformed)

    async def on_http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        match error.status_code:
            case 404:
                return answer(NotFound(ErrorCode.MALFORMED, "There is nothing at this address."))
            case 401:
                return answer(Unauthenticated(ErrorCode.TOKEN_MISSING, "No API key was given."))
            case 403:
                return answer(Forbidden(ErrorCode.NOT_PERMITTED, str(error.detail)))
            case status:
                return answer(Malformed(ErrorCode.MALFORMED, str(error.detail)), status=status)

    async def on_mistake(request: Request, error: Exception) -> JSONResponse:
        logger.error("request failed", exc_info=error, extra={"path": request.url.path})
        return answer(Internal(ErrorCode.INTERNAL, "Something went wrong on our side."))

    app.add_exception_handler(SwitchboardError, on_refusal)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_mistake)
