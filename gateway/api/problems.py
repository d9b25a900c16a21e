"""Every error of the HTTP surface as problem details (RFC 9457)."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
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
SCHEMAS = "#/components/schemas/"


class Problem(BaseModel):
    """Problem details (RFC 9457) with the stable code of the error."""

    type: str = Field(examples=["urn:switchboard:problem:unknown_session"])
    title: str
    status: int
    detail: str = Field(description="One sentence for people.")
    code: ErrorCode
    retryable: bool = Field(description="Whether the same request may succeed later.")


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "content": {MEDIA_TYPE: {"schema": {"$ref": f"{SCHEMAS}Problem"}}},
        "description": meaning,
    }
    for status, meaning in {
        400: "The request is not what the API says.",
        401: "No API key, or one that does not hold.",
        403: "Known, and not permitted.",
        404: "Nothing here by that id.",
        409: "The present state does not allow it.",
        410: "It has ended.",
        413: "The body is too large.",
        429: "Too fast; wait and try again.",
        503: "A part is away or full; try again.",
    }.items()
}
"""What every operation may answer, by name: of a model FastAPI would make a field for each answer
of each route, which was most of what making an app took."""


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
            case 413:
                too_large = Malformed(ErrorCode.MESSAGE_TOO_LARGE, "The body is too large.")
                return answer(too_large, status=413)
            case status:
                return answer(Malformed(ErrorCode.MALFORMED, str(error.detail)), status=status)

    async def on_mistake(request: Request, error: Exception) -> JSONResponse:
        logger.error("request failed", exc_info=error, extra={"path": request.url.path})
        return answer(Internal(ErrorCode.INTERNAL, "Something went wrong on our side."))

    app.add_exception_handler(SwitchboardError, on_refusal)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_mistake)

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(FastAPI.openapi(app))
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


def _complete(description: dict[str, Any]) -> None:
    """Add what a problem is to an OpenAPI description, and leave out what is answered as one.

    What does not fit its model is answered with 400, never with FastAPI's own 422.
    """
    schemas = description["components"]["schemas"]
    problem = Problem.model_json_schema(ref_template=f"{SCHEMAS}{{model}}")
    schemas |= {**problem.pop("$defs"), "Problem": problem}
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for path in description["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
