"""Janus as a peer of fan-out: what of its messages tells of an event, and to whom it goes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.command import FAILED, main, parser
from benchmarks.histogram import Histogram
from benchmarks.loads.videoroom import Member, Videoroom, event_in
from benchmarks.process import Child

TOLD = b"""{
   "janus": "event",
   "session_id": 4217,
   "sender": 8,
   "plugindata": {
      "plugin": "janus.plugin.videoroom",
      "data": {"videoroom": "event", "id": 5, "display": "e12"}
   }
}"""
CONFIGURED = b"""{
   "janus": "event",
   "session_id": 4217,
   "transaction": "e12",
   "sender": 8,
   "plugindata": {
      "plugin": "janus.plugin.videoroom",
      "data": {"videoroom": "event", "room": 3, "configured": "ok"}
   }
}"""
ACKNOWLEDGED = b'{"janus": "ack", "session_id": 4217, "transaction": "e12"}'
OTHER = b'{"janus": "ack", "session_id": 4217, "transaction": "6e12"}'
NAMED_OTHERWISE = b'{"janus": "event", "plugindata": {"data": {"id": 5, "display": "nobody"}}}'


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (TOLD, 12),
        (CONFIGURED, 12),
        (ACKNOWLEDGED, None),
        (OTHER, None),
        (NAMED_OTHERWISE, None),
        (TOLD.replace(b"\n", b"").replace(b" ", b""), 12),
    ],
    ids=["told", "asked", "acknowledged", "other", "named otherwise", "compact"],
)
def test_an_event_is_known_by_its_number(text: bytes, number: int | None) -> None:
    assert event_in(text) == number


class Recording:
    """Stands for a session: notes what is sent, and lets messages arrive."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.on_raw: Callable[[bytes, float], bool] = lambda text, now: False

    def send(self, message: dict[str, object], name: str) -> None:
        self.sent.append(name)


def test_the_last_of_all_counts_once_and_old_news_not_at_all() -> None:
    load = Videoroom("", 1, 2)
    ends = [Recording(), Recording()]
    load._rooms = [[Member(end, 1) for end in ends]]  # type: ignore[arg-type]
    for receiver, end in enumerate(ends):
        load._listen(end, receiver)  # type: ignore[arg-type]
    load.begin(0.0)
    load.send(0, 1.0)
    ends[0].on_raw(CONFIGURED.replace(b"e12", b"e0"), 1.001)
    assert load.missing() == 1
    ends[0].on_raw(CONFIGURED.replace(b"e12", b"e0"), 1.002)
    ends[1].on_raw(TOLD.replace(b"e12", b"e0"), 1.003)
    assert load.missing() == 0
    assert load.histograms()["last"].summary()["count"] == 1
    assert load.histograms()["last"].percentile(100.0) == pytest.approx(3.0, rel=0.01)
    load.begin(0.0)
    load.send(1, 2.0)
    ends[0].on_raw(TOLD.replace(b"e12", b"e0"), 2.001)
    assert load.missing() == 1, "it waits for news of its own"
    assert (ends[0].sent, ends[1].sent) == (["e0"], ["e1"])


async def test_janus_tells_everybody_in_the_room() -> None:
    janus = await Child.module("janus", "benchmarks.peers.janus")
    try:
        load = await Child.module(
            "load",
            "benchmarks.load",
            "videoroom",
            str(janus.ready["address"]),
            '{"sessions": 2, "size": 3}',
        )
        try:
            plan = {"rate": 100, "seconds": 0.3, "warm_up": 0.0, "seed": 1, "even": True}
            answer = await load.ask(plan, 30)
        finally:
            await load.close()
    finally:
        await janus.close()
    assert answer["missing"] == 0
    histograms = answer["histograms"]
    assert isinstance(histograms, dict)
    counts = {name: Histogram.from_json(each).count for name, each in histograms.items()}
    assert counts == {"each": 90, "last": 30}


@pytest.mark.parametrize("scenario", ["media", "fanout"])
def test_janus_is_the_peer_where_it_is_installed(
    scenario: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert parser().parse_args([scenario]).peer == "janus"
    assert parser().parse_args([scenario, "--peer", "none"]).peer == "none"
    monkeypatch.setenv("PATH", "/nowhere")
    assert parser().parse_args([scenario]).peer == "none"


def test_without_janus_the_scenario_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["fanout", "--peer", "janus"]) == FAILED
    assert "Janus is not installed" in " ".join(capsys.readouterr().out.split())
