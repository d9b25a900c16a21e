"""This release reads what the releases before it wrote into journals and sent on trunks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from broker.events import AnyEvent, event_body, read_event
from broker.messages import cluster
from tests.contract.record_release import RELEASES, messages

RECORDED = sorted(RELEASES.glob("*.json"))


def recorded(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def contained(old: Any, new: Any) -> bool:
    """Whether everything that was said then is still there; now there may be more."""
    if isinstance(old, dict):
        return isinstance(new, dict) and all(
            name in new and contained(value, new[name]) for name, value in old.items()
        )
    if isinstance(old, list):
        return isinstance(new, list) and len(old) == len(new) and all(map(contained, old, new))
    return bool(old == new)


def test_there_is_a_record_of_a_release() -> None:
    assert RECORDED


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_every_recorded_event_is_read_as_it_was(path: Path) -> None:
    journal = recorded(path)["journal"]
    assert {each["type"] for each in journal} <= {kind.type for kind in get_args(AnyEvent)}
    for each in journal:
        read = read_event(each["type"], each["version"], each["at_ms"], each["body"])
        assert contained(each["body"], event_body(read)), each["type"]


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_every_recorded_message_is_read_as_it_was(path: Path) -> None:
    now = messages()
    for name, body in recorded(path)["trunk"].items():
        assert name in now, f"{name} is gone; the release before this one still sends it"
        read = cluster.read(now[name], json.dumps(body).encode())
        assert contained(body, json.loads(read.to_bytes())), name


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_what_a_later_release_adds_is_ignored(path: Path) -> None:
    now = messages()
    for name, body in recorded(path)["trunk"].items():
        later = json.dumps({**body, "something_new": {"of": "a later release"}}).encode()
        assert cluster.read(now[name], later) == cluster.read(now[name], json.dumps(body).encode())
