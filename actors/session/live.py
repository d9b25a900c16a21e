"""One live session: commands in, events journalled, consequences out.

Two states are held: `decided`, with every event that was accepted, and `durable`, with those the
ledger has. New commands are decided on the first; everything anybody is told is drawn from the
second, so that nothing an event caused leaves before the event is safe.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from actors.relay import MediaRights
from actors.session import views
from actors.session.checkpoints import Checkpoints
from actors.session.colleagues import Asking, LedgerCall
from actors.session.comings import Comings
from actors.session.config import SessionConfig
from actors.session.conflicts import Conflicts
from actors.session.connection import Connection
from actors.session.durable import Durable
from actors.session.journal import Journal, JournalStore, to_entry
from actors.session.media import SessionMedia, rights_of
from actors.session.narrator import Narrator
from actors.session.people import People
from actors.session.person import Person, encode_body
from actors.session.publishing import Publishing
from actors.session.rebuilding import rebuilt
from actors.session.release import Release
from actors.session.repeats import Repeats
from actors.session.tenure import Heard, TenureCheck, nobody_hears
from actors.session.unsaved import UnsavedRecall
from broker.commands import Command, Detach, Start, Tick
from broker.deadlines import next_deadline
from broker.decide import Decision, decide
from broker.errors import ErrorCode, SwitchboardError, Unavailable
from broker.events import AnyEvent
from broker.evolve import replay
from broker.messages.cluster.tenure import (
    JournalEntry,
    Journalled,
    SessionAssign,
    SessionContinue,
    SessionUnsaved,
    Subject,
)
from broker.messages.parts import EngagementIds, Part
from broker.past import read_event, retrace
from broker.policy import Policy
from broker.state import SessionState
from broker.tracing import Span
from broker.words import Attendance, SessionPhase

_LOG = logging.getLogger(__name__)


def _nobody_answers(
    request: object, reply: object, then: object, refused: Callable[[SwitchboardError], None]
) -> None:
    refused(Unavailable(ErrorCode.LEDGER_AWAY, "The ledger is away."))


class LiveSession:
    """A session as one actor holds it for one tenure.

    Owned by the session actor, which closes it; it closes its people's connections, its journal
    and its media. `on_over` is called once, when the session has ended or another tenure took it.
    """

    def __init__(
        self,
        session_id: str,
        epoch: int,
        account_id: str,
        engagement_key: str,
        ids: EngagementIds,
        policy: Policy,
        *,
        config: SessionConfig,
        store: JournalStore,
        now_ms: Callable[[], int],
        on_over: Callable[[LiveSession], None],
        ring_waiting: Callable[[str], None] = lambda claim_hash: None,
        tell_unsaved: Callable[[SessionUnsaved], None] = lambda unsaved: None,
        ask_ledger: LedgerCall = _nobody_answers,
        heard: Heard = nobody_hears,
    ) -> None:
        self.session_id = session_id
        self.epoch = epoch
        self.account_id = account_id
        self.engagement_key = engagement_key
        self.ids = ids
        self.config = config
        self.now_ms = now_ms
        self.decided = SessionState(policy=policy)
        self.people = People()
        self._tenure = TenureCheck(self, store, heard)
        self.media = SessionMedia(
            config.relay,
            epoch,
            self.tell,
            now_ms,
            stall_s=config.stall_s,
            on_stall=self._tenure.begin,
        )
        self.narrator = Narrator(self)
        self._durable = Durable(self.decided, self.narrator.tell, self._contained)
        self.publishing = Publishing(self.media, self.narrator.roster_changed, now_ms)
        self.conflicts = Conflicts(self)
        self.comings = Comings(self)
        self.asking = Asking(self, ask_ledger)
        self.ring_waiting = ring_waiting
        """Has whoever waits with this claim come once more."""
        self.unsaved = UnsavedRecall(self, tell_unsaved)
        self.checkpoints = Checkpoints(self)
        self.repeats = Repeats()
        self._store = store
        self._on_over = on_over
        self._journal: Journal | None = None
        self._release: Release | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._over = False
        self.frozen = False
        """Another actor is about to continue the session."""
        self._trace: str | None = None
        """What is being decided belongs to this trace."""
        self.moves_by_ms: int | None = None
        """Until when the session is to be moved, where that is so."""
        self.saved = True
        """False from when something has waited for long to be saved until all is."""

    @property
    def durable(self) -> SessionState:
        """The state as the ledger has it."""
        return self._durable.state

    @property
    def over(self) -> bool:
        """Whether the session has ended, or another tenure holds it."""
        return self._over

    # Beginning of a tenure.

    def begin(self, assign: SessionAssign) -> Journalled:
        """Become a new session; the ledger commits what this returns, then `commit` follows."""
        owner = Person(
            participant_id=new_id(),
            principal=assign.owner,
            engagement=assign.ids,
            opener=assign.opened_by,
        )
        self.people[owner.participant_id] = owner
        decision = decide(
            self.decided,
            Start(
                session_id=self.session_id,
                account_id=self.account_id,
                engagement_key=self.engagement_key,
                mode=assign.mode,
                owner_id=owner.participant_id,
                invitation_id=new_id(),
                verified=assign.owner.verified,
            ),
            self.now_ms(),
        )
        return self._first(decision.events, [owner.subject()])

    def resume(self, given: SessionContinue) -> Journalled:
        """Become a session that another actor held: replay, then everybody is expected back."""
        past = [read_event(e.type, e.version, e.at_ms, e.body) for e in given.entries]
        self.decided = retrace(self.decided, past)
        self._durable.state = self.decided
        for person in rebuilt(past, self.decided, given.subjects, self.account_id):
            self.people[person.participant_id] = person
            if person.measured is not None:
                self.media.quality.go_on(person.participant_id, person.measured, past)
        now_ms = self.now_ms()
        events: list[AnyEvent] = []
        state = self.decided
        for participant in tuple(state.participants.values()):
            if participant.attendance is Attendance.PRESENT:
                more = decide(state, Detach(participant.participant_id), now_ms).events
                state = replay(state, more)
                events += more
        return self._first(events, [])

    async def commit(self) -> None:
        """The ledger has the first events: start the journal, the relay and the clock."""
        self._journal = Journal(
            self.session_id,
            self.epoch,
            self.decided.event_count + 1,
            self._store,
            self,
            traces=self.config.traces,
        )
        self._release = Release(self._journal)
        self._durable.state = self.decided
        await self.media.open()
        self.checkpoints.begin()
        self.comings.begin()
        self._schedule()

    def _first(self, events: Sequence[AnyEvent], subjects: list[Subject]) -> Journalled:
        count = self.decided.event_count
        self.decided = replay(self.decided, events)
        return Journalled(
            entries=[to_entry(count + 1 + index, event) for index, event in enumerate(events)],
            subjects=subjects,
        )

    # Commands.

    def do(
        self,
        command: Command,
        *,
        widens: bool = True,
        subjects: Sequence[Subject] = (),
        reply: Callable[[], None] | None = None,
        then: Callable[[], None] | None = None,
        mark: str | None = None,
    ) -> Decision:
        """Decide a command. When its events are durable `reply` runs, they are told, `then` runs.

        `widens` says whether the command exposes somebody more than before: such a command is
        refused while the ledger is away, the others act at once and are journalled later. By its
        `mark` this actor and the next know that it was done (`did`).

        Raises:
            SwitchboardError: the refusal; nothing has changed.
        """
        journal = self._require_journal()
        if widens and not journal.available:
            raise Unavailable(
                ErrorCode.LEDGER_AWAY, "That cannot be saved just now. Try again in a moment."
            )
        decision = decide(self.decided, command, self.now_ms())
        events = decision.events
        if mark is not None and events:
            events = (replace(events[0], mark=mark), *events[1:])
        events = self.media.quality.woven(self.decided, events)
        if reply is not None:
            woven = len(events) - len(decision.events)
            first = self.decided.event_count + woven + bool(decision.events)
            self._durable.reply(first, reply)
        seq = self._journalled(journal, events, subjects)
        if then is not None:
            self._durable.after(seq, then)
        for signal in decision.signals:
            self.narrator.signal(signal)
        self._apply_to_media()
        if self._release is not None:
            self._release.decided(widened=widens and bool(events))
        self._durable.run_due()
        self._schedule()
        return decision

    def did(self, mark: str) -> bool:
        """Whether the command of this mark led to events, be it in an earlier tenure."""
        return mark in self.decided.done

    def _journalled(
        self, journal: Journal, events: Sequence[AnyEvent], subjects: Sequence[Subject] = ()
    ) -> int:
        """Take events in; returns the number of the last."""
        self.decided = replay(self.decided, events)
        self._durable.expect(events)
        return journal.add(events, subjects, self._trace)

    @contextmanager
    def within(self, span: Span | None) -> Iterator[None]:
        """Let what is decided meanwhile belong to the trace of a span."""
        self._trace = None if span is None else span.context
        try:
            yield
        finally:
            self._trace = None

    def after_durable(self, callback: Callable[[], None]) -> None:
        """Run something once everything decided so far is durable: at once, when it is."""
        self._durable.after(self.decided.event_count, callback)
        self._durable.run_due()

    def on_durable(self, seq: int) -> None:
        """Tell what became durable, in order, each event with the state it made."""
        self._durable.reach(seq)
        self._apply_to_media()
        self._durable.run_due()
        self._contained(self.narrator.tell_roster)
        if self.durable.phase is SessionPhase.ENDED:
            self._finish()

    def on_unsaved(self, entries: Sequence[JournalEntry]) -> None:
        """Have the gateways keep what the ledger does not have."""
        self._contained(partial(self.unsaved.changed, entries))

    def on_saving(self, saved: bool) -> None:
        """Tell the staff that something waits to be saved, or that all is."""
        self.saved = saved
        self._contained(self.narrator.saving)

    def on_fenced(self) -> None:
        """Another tenure holds the session: say nothing more, to anybody."""
        self._finish()

    def visibility_changed(self) -> None:
        """Tell the staff how the invitation is shown now."""
        self.narrator.invitation_changed(to_consumer=False)

    @property
    def saves(self) -> bool:
        """Whether what is known of people can be kept just now."""
        journal = self._journal
        return journal is not None and journal.available and not self.frozen and not self._over

    @property
    def stored(self) -> bool:
        """Whether the ledger has all that anybody was told."""
        return self._journal is None or self._journal.stored

    def keep(self, people: Sequence[Person]) -> None:
        """Have the ledger keep beside the journal what is known of these."""
        self._require_journal().add((), [person.subject() for person in people])
        for person in people:
            person.unkept = False

    # People.

    def show_snapshot(self, person: Person, *, only: Connection | None = None) -> None:
        """Send the whole session as this person may see it."""
        self.narrator.snapshot(person, only)

    def tell(
        self,
        participant_id: str | None,
        message: Part,
        *,
        about: str | None = None,
        widget_id: str | None = None,
    ) -> None:
        """Send a message to one participant or widget, or to everybody who takes part.

        `about` names the participant it speaks of: of who is hidden only the staff is told.
        """
        body = encode_body(message)
        if participant_id is not None:
            person = self.people.get(participant_id)
            if person is not None and widget_id is not None:
                person.tell_widget(body, widget_id)
            elif person is not None:
                person.tell(body)
            return
        for participant in self.durable.inside():
            if views.may_hear(self.durable, participant, about):
                self.people[participant.participant_id].tell(body)

    def rights(self, participant_id: str) -> MediaRights | None:
        """The media rights somebody has now; `None` outside the session."""
        return rights_of(participant_id, self.decided, self.durable)

    # End of a tenure, or a pause in it.

    def fall_silent(self) -> None:
        """Decide and forward nothing more: another tenure holds the session."""
        self._over = True
        self.media.fall_silent()

    async def close(self) -> None:
        """End the tenure: timers, journal, media; harmless when closed."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._release is not None:
            self._release.close()
        self.comings.close()
        self.publishing.close()
        self.checkpoints.close()
        await self._tenure.close()
        if self._journal is not None:
            await self._journal.close()
        await self.media.close()

    def announce_move(self, within_ms: int | None) -> None:
        """Tell everybody that another actor will continue the session; `None`: that none will."""
        self.moves_by_ms = None if within_ms is None else self.now_ms() + within_ms
        self.narrator.moving()

    async def freeze(self, timeout_s: float) -> bool:
        """Decide nothing more, and make durable what was decided; media go on.

        The session is about to be continued elsewhere; `thaw` takes it back.
        """
        if self._journal is not None and not self.frozen:
            # Whoever continues the session counts anew.
            inside = (each.participant_id for each in self.decided.inside())
            self._journalled(self._journal, self.media.quality.measured(inside))
        self.frozen = True
        self._schedule()
        return await self.flush(timeout_s)

    def thaw(self) -> None:
        """Go on deciding: nobody took the session. Harmless when not frozen."""
        if not self.frozen or self._over:
            return
        self.frozen = False
        self._schedule()
        self.comings.go_on()

    async def flush(self, timeout_s: float) -> bool:
        """Wait until every event is durable; False when it is not in time."""
        return self._journal is None or await self._journal.flush(timeout_s)

    # Inside.

    def _apply_to_media(self) -> None:
        self._contained(partial(self.media.apply, self.decided, self.durable))

    def _contained(self, step: Callable[[], None]) -> None:
        """Run one consequence; a mistake of ours in it must not cost the session the others."""
        try:
            step()
        except Exception:
            _LOG.exception("consequence failed", extra={"session_id": self.session_id})

    def _require_journal(self) -> Journal:
        if self._journal is None or self._over:
            raise Unavailable(ErrorCode.SESSION_AWAY, "The session is not here (yet).")
        if self.frozen:
            raise Unavailable(ErrorCode.SESSION_AWAY, "The session is moving.")
        return self._journal

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline_ms = next_deadline(self.decided)
        if deadline_ms is not None and not self._over and not self.frozen:
            delay_s = max(0.0, (deadline_ms - self.now_ms()) / 1000)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_deadline)

    def _on_deadline(self) -> None:
        self._timer = None
        if not self._over:
            self.do(Tick(), widens=False)

    def _finish(self) -> None:
        if not self._over:
            self._over = True
            if self._release is not None:
                self._release.close()
            self._on_over(self)


def new_id() -> str:
    """A random opaque id: 96 bits, URL-safe."""
    return secrets.token_urlsafe(12)
