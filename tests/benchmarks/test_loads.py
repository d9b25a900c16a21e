"""What a load reads of a message is what stands in it, and what it counts is of its own round."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import httpx
import pytest

from benchmarks.histogram import Histogram
from benchmarks.load import round_of
from benchmarks.loads import storm
from benchmarks.loads.everyone import Everyone, camera_of
from benchmarks.loads.request import Request
from benchmarks.participant import Call, Edge, Participant, Refused
from tests.patience import until

VECTORS = Path(__file__).parents[1] / "contract" / "vectors" / "broker-valid.json"


def test_a_camera_is_read_from_a_roster_without_parsing_it() -> None:
    rows = json.loads(VECTORS.read_text(encoding="utf-8"))
    roster = next(r["message"] for r in rows if r["message"]["type"] == "roster.changed")
    for on in (True, False):
        for entry in roster["roster"]:
            entry["camera"] = on
            text = json.dumps(roster, separators=(",", ":")).encode()
            assert camera_of(text, entry["participant_id"]) is on
    assert camera_of(b'{"type":"roster.changed"}', "nobody") is None


class Numbers:
    """A load that answers at once and notes what it was given to send."""

    def __init__(self) -> None:
        self.sent: list[int] = []

    async def open(self) -> None:
        raise AssertionError("a round opens nothing")

    def begin(self, measured_from: float) -> None:
        self.sent.append(-1)

    def send(self, number: int, intended: float) -> None:
        self.sent.append(number)

    def missing(self) -> int:
        return 0

    def histograms(self) -> dict[str, Histogram]:
        return {}

    async def close(self) -> None:
        raise AssertionError("a round ends nothing")


async def test_no_number_comes_twice_so_that_a_late_answer_is_never_anothers() -> None:
    load, plan = Numbers(), {"warm_up": 0.0, "seconds": 0.03, "rate": 100.0, "seed": 1, "even": 1.0}
    following, first = await round_of(load, plan, 0)
    assert following == first["sent"] == 3
    assert (await round_of(load, plan, following))[0] == 6
    assert load.sent == [-1, 0, 1, 2, -1, 3, 4, 5]


class Asked:
    """A participant who says nothing: the test answers."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, message: bytes) -> None:
        self.sent.append(message)


class Told(Asked):
    """One who hears what the test says."""

    def __init__(self, participant_id: str) -> None:
        super().__init__()
        self.participant_id = participant_id
        self.on_raw: Callable[[bytes, float], bool] = lambda text, now: False


def roster(**cameras: bool) -> bytes:
    """A roster in which these people have their cameras on or off."""
    entries = [{"participant_id": who, "camera": on} for who, on in cameras.items()]
    told = {"type": "roster.changed", "roster": entries}
    return json.dumps(told, separators=(",", ":")).encode()


def test_a_later_roster_tells_of_the_events_before_it_and_twice_is_once() -> None:
    load = Everyone("http://127.0.0.1:1", 1, 2)
    people = [Told("a"), Told("b")]
    load._calls, load._toggles = [cast(Call, SimpleNamespace(people=people))], [[]]
    load._cameras = {"a": True, "b": True}
    for receiver, person in enumerate(people):
        load._listen(0, receiver, cast(Participant, person))
    load.begin(1.5)
    for number in range(2):
        load.send(number, 1.0 + number)
    assert [b'"camera":false' in each for person in people for each in person.sent] == [True, True]
    assert not people[0].on_raw(b'{"type":"request.done"}', 2.0)
    first, both = roster(a=False, b=True), roster(a=False, b=False)
    for receiver, text, now, missing in (
        (0, first, 2.001, 2),
        (0, first, 2.002, 2),
        # Who gets only the second has learnt of the first by it.
        (1, both, 2.003, 1),
        (1, both, 2.004, 1),
        (0, both, 2.005, 0),
    ):
        assert people[receiver].on_raw(text, now)
        assert load.missing() == missing, now
    found = load.histograms()
    assert {name: each.count for name, each in found.items()} == {"each": 2, "last": 1}, (
        "the first was due before what is measured"
    )
    assert found["last"].percentile(100.0) == pytest.approx(5.0, rel=0.01)
    load.send(2, 3.0)
    load.begin(3.5)
    assert people[0].on_raw(roster(a=True, b=False), 3.6)
    assert load.missing() == load.histograms()["each"].count == 0, "that was the round before"


def test_a_refusal_is_counted_is_no_latency_and_ends_with_its_round() -> None:
    load = Request("http://127.0.0.1:1", 1, 1)
    load._people = [cast(Participant, Asked())]

    def answered(number: int, kind: str, now: float) -> None:
        text = b'{"type":"request.%b","reply_to":"s%d"}' % (kind.encode(), number)
        assert load._on_raw(text, now)

    load.begin(0.0)
    for number in range(3):
        load.send(number, 1.0)
    answered(0, "done", 1.004)
    answered(1, "refused", 1.001)
    assert load.missing() == 1
    assert load.counts() == {"refused": 1}
    assert load.histograms()["reply"].summary()["count"] == 1
    assert load.histograms()["reply"].percentile(0.0) == pytest.approx(4.0, rel=0.01)
    load.begin(2.0)
    load.send(3, 2.0)
    answered(2, "refused", 2.5)
    assert load.missing() == 1, "of this round's"
    assert load.counts() == {}
    answered(3, "done", 2.001)
    assert load.histograms()["reply"].percentile(100.0) == pytest.approx(1.0, rel=0.01)


async def test_a_rush_says_why_somebody_did_not_come_to_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outcomes: list[Exception] = [Refused("", code="1013"), Refused(""), TimeoutError(), OSError()]

    async def arrives(edge: Edge, engagement: str) -> Participant:
        raise outcomes.pop()

    monkeypatch.setattr(storm, "consumer", arrives)
    load = storm.Storm("http://nobody")
    load.begin(0.0)
    for number in range(4):
        load.send(number, 0.0)
    assert load.missing() == 4
    await until(lambda: not outcomes and load.missing() == 2)
    assert load.counts() == {"refused, 1013": 1, "refused, without a code": 1}
    load.begin(0.0)
    assert (load.missing(), load.counts()) == (0, {})
    await load.close()


async def test_a_token_is_asked_for_again_where_a_kept_connection_was_closed() -> None:
    answers: list[Exception | httpx.Response] = [
        *(httpx.ReadError(""), httpx.ReadError("")),
        *(httpx.Response(200, json={"token": "it"}), httpx.RemoteProtocolError("")),
    ]

    def answer(request: httpx.Request) -> httpx.Response:
        found = answers.pop()
        if isinstance(found, Exception):
            raise found
        return found

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        edge = Edge("http://nobody", http)
        assert await edge.token("/v1/waiting", {}) == "it"
        with pytest.raises(httpx.ReadError):
            await edge.token("/v1/waiting", {})
