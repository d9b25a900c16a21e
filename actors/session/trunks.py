"""The trunks of one session actor, and whether the gateways behind them are alive."""

from __future__ import annotations

import asyncio

from actors.link import ListenedEnd
from broker.messages.cluster.tenure import SessionUnsaved

ANSWER_STEP_S = 0.02


class Trunks:
    """The accepted trunks by gateway.

    A gateway that says nothing else pings one trunk for all that it has here, so it is heard when
    any of them is. Counted in beats, not in seconds: an actor that was itself held up must first
    read what has come meanwhile. A gateway that left `silent_beats` in a row without a sign has its
    trunks cut: its node may be gone without a last packet, and nobody else would ever say so.
    """

    def __init__(self, silent_beats: int) -> None:
        self._silent_beats = silent_beats
        self._gateways: dict[str, dict[ListenedEnd, None]] = {}
        self._heard: dict[str, tuple[int, int]] = {}
        self._of: dict[ListenedEnd, str] = {}
        self._keeping: dict[str, dict[ListenedEnd, None]] = {}
        """Trunks of gateways that keep what is not saved; the first of each is told."""
        self._unsaved: SessionUnsaved | None = None
        """What they were told last, where it is not saved yet."""
        self._gone = asyncio.Event()
        self._gone.set()

    def __len__(self) -> int:
        return len(self._of)

    def add(self, trunk: ListenedEnd, gateway_id: str, *, keeps_unsaved: bool = False) -> None:
        """Begin to listen to a trunk."""
        self._of[trunk] = gateway_id
        self._gateways.setdefault(gateway_id, {})[trunk] = None
        self._gone.clear()
        if keeps_unsaved:
            self._keeping.setdefault(gateway_id, {})[trunk] = None

    def accepted(self, trunk: ListenedEnd) -> None:
        """A trunk may be spoken on: by the first of its gateway that one hears what to keep."""
        keeping = self._keeping.get(self._of[trunk], {})
        if self._unsaved is not None and next(iter(keeping), None) is trunk:
            self._tell(trunk, self._unsaved)

    def discard(self, trunk: ListenedEnd) -> None:
        """Forget a trunk that is lost; harmless when unknown."""
        gateway_id = self._of.pop(trunk, None)
        if gateway_id is None:
            return
        of_gateway = self._gateways[gateway_id]
        del of_gateway[trunk]
        if not of_gateway:
            del self._gateways[gateway_id]
            self._heard.pop(gateway_id, None)
        self._keep_no_more(gateway_id, trunk)
        if not self._of:
            self._gone.set()

    def tell_unsaved(self, unsaved: SessionUnsaved) -> None:
        """Tell every gateway what to keep: by one of its trunks, and by the next when that goes,
        as it may have gone with the word."""
        self._unsaved = unsaved if unsaved.entries else None
        for keeping in self._keeping.values():
            self._tell(next(iter(keeping)), unsaved)

    def _keep_no_more(self, gateway_id: str, trunk: ListenedEnd) -> None:
        keeping = self._keeping.get(gateway_id, {})
        if trunk not in keeping:
            return
        was_told = next(iter(keeping)) is trunk
        del keeping[trunk]
        if not keeping:
            del self._keeping[gateway_id]
        elif was_told and self._unsaved is not None:
            self._tell(next(iter(keeping)), self._unsaved)

    def _tell(self, trunk: ListenedEnd, unsaved: SessionUnsaved) -> None:
        trunk.notify(unsaved.method, unsaved.to_bytes())

    def beat(self) -> bool:
        """Look once at every gateway, and cut the trunks of those that are silent; say whether any
        was heard since the beat before."""
        any_heard = False
        for gateway_id, trunks in list(self._gateways.items()):
            heard = sum(trunk.heard for trunk in trunks)
            before, silent = self._heard.get(gateway_id, (-1, 0))
            silent = silent + 1 if heard == before else 0
            self._heard[gateway_id] = (heard, silent)
            any_heard |= not silent
            if silent >= self._silent_beats:
                for trunk in list(trunks):
                    trunk.link.abort()
        return any_heard

    async def answer(self, timeout_s: float) -> bool:
        """Ask one trunk of every gateway for a sign of life; say whether one came in time.

        What was under way before does not count.
        """
        asked = [next(iter(trunks)) for trunks in self._gateways.values()]
        for trunk in asked:
            trunk.ping()
        due = [(trunk, trunk.pings) for trunk in asked]
        try:
            async with asyncio.timeout(timeout_s):
                while not any(  # noqa: ASYNC110 - as in `actors.ledger.probe`
                    trunk in self._of and trunk.pongs >= pings for trunk, pings in due
                ):
                    await asyncio.sleep(ANSWER_STEP_S)
        except TimeoutError:
            return False
        return True

    async def gone(self) -> None:
        """Wait until no trunk is left."""
        await self._gone.wait()
