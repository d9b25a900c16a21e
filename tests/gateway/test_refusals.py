"""The two tables: what a refusal looks like from outside, and the steps of a connection."""

from __future__ import annotations

import itertools

import pytest

from broker.close_codes import RETRYABLE_CLOSES, CloseCode
from broker.errors import (
    Conflict,
    ErrorCode,
    Forbidden,
    Gone,
    Internal,
    Malformed,
    NotFound,
    SwitchboardError,
    TooFast,
    Unauthenticated,
    Unavailable,
)
from gateway.commands.generate import CLOSE_MEANINGS
from gateway.connections.stages import STEPS, Stage
from gateway.refusals import REFUSALS, close_code_of, problem

CLOSES: dict[int, list[SwitchboardError]] = {
    1011: [Internal(ErrorCode.INTERNAL, "A sentence.")],
    4400: [
        Malformed(ErrorCode.MALFORMED, "A sentence."),
        Malformed(ErrorCode.BINARY_FRAME, "A sentence."),
    ],
    4401: [Unauthenticated(ErrorCode.TOKEN_INVALID, "A sentence.")],
    4403: [
        Forbidden(ErrorCode.NOT_PERMITTED, "A sentence."),
        Conflict(ErrorCode.ALREADY_LIVE, "A sentence."),
        Conflict(ErrorCode.NOT_IN_SESSION, "A sentence."),
        Conflict(ErrorCode.INVITATION_CLOSED, "A sentence."),
    ],
    4404: [NotFound(ErrorCode.UNKNOWN_SESSION, "A sentence.")],
    4409: [Conflict(ErrorCode.REPLACED, "A sentence.")],
    4410: [Gone(ErrorCode.SESSION_ENDED, "A sentence.")],
    4429: [TooFast(ErrorCode.RATE_LIMITED, "A sentence.")],
    4503: [
        Unavailable(ErrorCode.SESSION_AWAY, "A sentence."),
        Conflict(ErrorCode.STALE_EPOCH, "A sentence."),
    ],
}
"""The codes by which a refusal ends a connection, and refusals that do."""


def test_every_class_of_error_has_one_row() -> None:
    assert set(REFUSALS) == set(SwitchboardError.__subclasses__())
    for cls in REFUSALS:
        error = cls(ErrorCode.INTERNAL, "A sentence.")
        assert problem(error)["status"] == int(REFUSALS[cls][0])
        if cls is not Conflict and 4400 <= close_code_of(error) < 4500:
            assert close_code_of(error) == 4000 + int(REFUSALS[cls][0])
        if error.retryable:
            assert close_code_of(error) in RETRYABLE_CLOSES


@pytest.mark.parametrize("code", CloseCode)
def test_a_refusal_ends_a_connection_as_the_protocol_document_says(code: int) -> None:
    if code in (1000, 1001, 1006, 1012):
        # No refusal: the connection is over, or its process is.
        assert code not in CLOSES
        return
    assert {close_code_of(error) for error in CLOSES[code]} == {code}
    assert all(problem(error)["code"] == error.code for error in CLOSES[code])


@pytest.mark.parametrize("code", ErrorCode)
def test_only_who_was_replaced_is_told_so(code: ErrorCode) -> None:
    told = close_code_of(Conflict(code, "A sentence.")) == CloseCode.REPLACED
    assert told == (code is ErrorCode.REPLACED)


def test_the_close_codes_are_those_of_the_protocol_document() -> None:
    assert set(CLOSE_MEANINGS) == set(CloseCode)


@pytest.mark.parametrize(("one", "other"), list(itertools.product(Stage, Stage)))
def test_nothing_comes_back_from_closed_and_everything_may_close(one: Stage, other: Stage) -> None:
    if one is Stage.CLOSED:
        assert other not in STEPS[one]
    elif other is Stage.CLOSED:
        assert other in STEPS[one]
    assert Stage.GREETING not in STEPS[one]
