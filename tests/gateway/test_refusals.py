"""The two tables: what a refusal looks like from outside, and the steps of a connection."""

from __future__ import annotations

import itertools

import pytest

from broker.errors import ErrorCode, SwitchboardError
from gateway.generate import CLOSE_CODES
from gateway.refusals import REFUSALS, RETRYABLE_CLOSES, CloseCode, close_code_of, problem
from gateway.stages import STEPS, Stage


def test_every_class_of_error_has_one_row() -> None:
    assert set(REFUSALS) == set(SwitchboardError.__subclasses__())
    for cls in REFUSALS:
        error = cls(ErrorCode.INTERNAL, "A sentence.")
        assert problem(error)["status"] == int(REFUSALS[cls][0])
        if 4400 <= close_code_of(error) < 4500:
            assert close_code_of(error) in {4000 + int(REFUSALS[cls][0]), CloseCode.REPLACED}
        if error.retryable:
            assert close_code_of(error) in RETRYABLE_CLOSES


def test_the_close_codes_are_those_of_the_protocol_document() -> None:
    documented = {code: retryable for code, _, _, retryable in CLOSE_CODES}
    assert {int(code) for code in CloseCode} <= set(documented)
    assert {code for code, retryable in documented.items() if retryable} == RETRYABLE_CLOSES


@pytest.mark.parametrize(("one", "other"), list(itertools.product(Stage, Stage)))
def test_nothing_comes_back_from_closed_and_everything_may_close(one: Stage, other: Stage) -> None:
    if one is Stage.CLOSED:
        assert other not in STEPS[one]
    elif other is Stage.CLOSED:
        assert other in STEPS[one]
    assert Stage.GREETING not in STEPS[one]
