"""Which trunks of a session are told what gateways have to keep."""

from __future__ import annotations

from actors.link import ListenedEnd
from actors.session.trunks import Trunks
from broker.messages.cluster.base import read
from broker.messages.cluster.tenure import JournalEntry, SessionUnsaved
from broker.words import Surface
from tests.actors.stage import Trunk

SAID = SessionUnsaved(
    session_id="s-1",
    epoch=1,
    entries=[JournalEntry(seq=9, at_ms=1, type="session.ended", version=1, body={})],
)


class Ear:
    """A trunk that notes what it is told to keep."""

    def __init__(self) -> None:
        self.end: ListenedEnd = Trunk(Surface.WINDOW).end
        self.end.notify = self._notify  # type: ignore[method-assign]
        self.heard: list[int] = []

    def _notify(self, method: str, payload: bytes) -> bool:
        assert method == SessionUnsaved.method
        self.heard.append(len(read(SessionUnsaved, payload).entries))
        return True


def come(trunks: Trunks, gateway_id: str, *, keeps: bool = True) -> Ear:
    ear = Ear()
    trunks.add(ear.end, gateway_id, keeps_unsaved=keeps)
    trunks.accepted(ear.end)
    return ear


def test_each_gateway_is_told_once_and_by_the_next_trunk_when_that_one_goes() -> None:
    trunks = Trunks(10)
    first, second, other = come(trunks, "g1"), come(trunks, "g1"), come(trunks, "g2")
    older = come(trunks, "g3", keeps=False)
    trunks.tell_unsaved(SAID)
    assert [ear.heard for ear in (first, second, other, older)] == [[1], [], [1], []]
    trunks.discard(other.end)
    trunks.discard(first.end)
    assert second.heard == [1], "the first may have gone with the word"
    later, anew = come(trunks, "g1"), come(trunks, "g2")
    assert (later.heard, anew.heard) == ([], [1])
    trunks.discard(later.end)
    assert second.heard == [1]
    trunks.tell_unsaved(SAID.model_copy(update={"entries": []}))
    assert (second.heard, anew.heard) == ([1, 0], [1, 0])
    trunks.discard(second.end)
    assert come(trunks, "g1").heard == [], "all is saved"
