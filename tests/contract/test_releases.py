"""This release reads what those before it wrote into journals and sent on trunks, and the next."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from pydantic import BaseModel, ValidationError

from broker.events import EVENTS, AnyEvent, LaterEvent, event_body
from broker.messages.cluster.base import read
from broker.messages.parts import EngagementIds
from broker.messages.tolerance import beyond, read_ids
from broker.past import LEAST, read_event
from broker.policy import Policy
from tests.contract.record_release import RELEASES, messages

ROOT = Path(__file__).parents[2]
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
        assert not isinstance(read, LaterEvent)
        assert contained(each["body"], event_body(read)), each["type"]


def test_every_message_between_our_processes_is_recorded() -> None:
    """Also of a family that came since: the next release is held to it."""
    made = {
        name
        for part in ("broker", "actors", "gateway")
        for path in (ROOT / part).rglob("*.py")
        for name in re.findall(r"^class (\w+)\(ClusterMessage\)", path.read_text(), re.MULTILINE)
    }
    assert len(made) > 100
    assert made - set(messages()) == set()


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_every_recorded_message_is_read_as_it_was(path: Path) -> None:
    now = messages()
    for name, body in recorded(path)["trunk"].items():
        assert name in now, f"{name} is gone; the release before this one still sends it"
        found = read(now[name], json.dumps(body).encode())
        assert contained(body, json.loads(found.to_bytes())), name


MORE = {"something_new": {"of": "a later release"}}


def grown(model: type[BaseModel], body: dict[str, Any]) -> dict[str, Any]:
    """Add an unknown field to a message and to every message within it."""
    more: dict[str, Any] = {**body, **MORE}
    for name in body:  # what came since is not in a record
        hint = model.model_fields[name].annotation
        inner = next((one for one in within(hint) if matches(one, body[name])), None)
        if inner is not None and isinstance(body[name], list):
            more[name] = [grown(inner, each) for each in body[name]]
        elif inner is not None and isinstance(body[name], dict):
            more[name] = grown(inner, body[name])
    return more


def within(hint: Any) -> list[type[BaseModel]]:
    """The models that a declared type may hold."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return [hint]
    return [found for part in get_args(hint) for found in within(part)]


def matches(model: type[BaseModel], value: Any) -> bool:
    """Whether a recorded value, or each of a list, is of this model."""
    values = value if isinstance(value, list) else [value]
    return all(isinstance(each, dict) and set(each) <= set(model.model_fields) for each in values)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_field_of_the_next_release_is_left_out_of_a_message(path: Path) -> None:
    now, deep = messages(), 0
    for name, body in recorded(path)["trunk"].items():
        later = grown(now[name], body)
        deep += json.dumps(later).count("something_new") > 1
        found = read(now[name], json.dumps(later).encode())
        assert found == read(now[name], json.dumps(body).encode()), name
    assert deep > 10, "messages within messages were tried, too"


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_field_and_a_version_of_the_next_release_leave_an_event_as_it_was(path: Path) -> None:
    for each in recorded(path)["journal"]:
        read = read_event(each["type"], each["version"], each["at_ms"], each["body"])
        later = read_event(
            each["type"], each["version"] + 1, each["at_ms"], {**each["body"], **MORE}
        )
        assert later == read


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_word_of_the_next_release_is_read_as_one_that_exposes_less(path: Path) -> None:
    def read(each: dict[str, Any], **changed: Any) -> dict[str, Any]:
        event = read_event(each["type"], 1, 1, {**each["body"], **changed})
        assert not isinstance(event, LaterEvent)
        return event_body(event)

    worded = set()
    for each in recorded(path)["journal"]:
        for name, hint in get_type_hints(EVENTS[each["type"]]).items():
            if isinstance(hint, type) and issubclass(hint, StrEnum):
                worded.add(hint)
                found = read(each, **{name: "a_later_word"})
                assert found[name] == LEAST[hint]
                assert name != "way" or found["capabilities"] == []
        if "capabilities" in each["body"]:
            found = read(each, capabilities=["send_audio", "send_scent"])
            assert found["capabilities"] == ["send_audio"]
    assert worded == set(LEAST)


def test_an_event_of_the_next_release_is_passed_over_and_a_broken_one_of_this_is_not() -> None:
    assert read_event("participant.blessed", 1, 7, MORE) == LaterEvent(
        type="participant.blessed", at_ms=7
    )
    assert read_event("participant.left", 2, 7, {}) == LaterEvent(type="participant.left", at_ms=7)
    with pytest.raises(ValueError, match="does not fit"):
        read_event("participant.left", 1, 7, {})


def test_ids_of_the_next_release_are_read_as_far_as_they_are_known() -> None:
    told = {"account_id": "acc", "rt_session_id": "eng", "channel": "carrier pigeon", **MORE}
    ids = read_ids(told)
    assert ids == EngagementIds(account_id="acc", rt_session_id="eng")
    assert beyond(told, ids) == {"channel": "carrier pigeon", **MORE}
    with pytest.raises(ValidationError):
        read_ids({"rt_session_id": "eng"})
    with pytest.raises(ValidationError):
        EngagementIds.model_validate(told)  # a widget is read strictly, as ever


def test_a_policy_of_the_next_release_is_taken_as_far_as_it_is_known() -> None:
    told = {"participant_limit": 5, "screen_limit": "many", "longest_ms": 0, "nonsense": 1}
    assert Policy(longest_ms=9).with_known(told) == Policy(participant_limit=5, longest_ms=9)
    assert Policy().with_known(Policy(guest_lobby=False).to_mapping()) == Policy(guest_lobby=False)
