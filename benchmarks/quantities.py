"""What numbers the command line takes: one that nothing can be measured with is refused at once."""

from __future__ import annotations

import argparse
import math
from typing import TypeVar

Number = TypeVar("Number", int, float)


def count(text: str) -> int:
    """Take a whole number of at least one."""
    return _at_least(1, _whole(text))


def count_or_none(text: str) -> int:
    """Take a whole number; 0 is none."""
    return _at_least(0, _whole(text))


def amount(text: str) -> float:
    """Take a number above zero."""
    value = amount_or_none(text)
    if not value:
        raise argparse.ArgumentTypeError("0 is not above 0")
    return value


def amount_or_none(text: str) -> float:
    """Take a number that may be 0."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    return _at_least(0.0, value)


def share(text: str) -> float:
    """Take a share of a whole, from 0 to 1."""
    value = amount_or_none(text)
    if value > 1:
        raise argparse.ArgumentTypeError(f"{text} is more than 1")
    return value


def people(text: str) -> int:
    """Take a number of people, two at least."""
    return _at_least(2, _whole(text))


def sizes(text: str) -> str:
    """Take numbers of people with commas between, two at least each."""
    if not text:
        raise argparse.ArgumentTypeError("there is no size")
    return sizes_or_none(text)


def sizes_or_none(text: str) -> str:
    """Take the same, or nothing."""
    for one in text.split(",") if text else ():
        people(one)
    return text


def rates_or_none(text: str) -> str:
    """Take rates with commas between, or nothing."""
    for one in text.split(",") if text else ():
        amount(one)
    return text


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None


def _at_least(least: Number, value: Number) -> Number:
    # So that "not a number" is refused as well.
    if not least <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{value} is not at least {least}")
    return value
