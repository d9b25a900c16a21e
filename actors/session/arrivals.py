"""How trunks come into a session: each hello becomes somebody's connection, or is refused."""

from __future__ import annotations

import logging

from pydantic import ValidationError

from actors.link import ListenedEnd
from actors.session.admission import admit, require_session
from actors.session.backend import BackendCalls
from actors.session.connection import Connection
from actors.session.live import LiveSession
from actors.session.person import Person
from actors.session.requests import Requests
from actors.session.trunks import Trunks
from broker.errors import ErrorCode, Internal, Malformed, SwitchboardError, Unavailable
from broker.messages.cluster.base import read
from broker.messages.cluster.trunk import TrunkHello, TrunkReady
from broker.rights import BACKEND
from broker.tracing import Span, Traces
from broker.trunk import Frame

_LOG = logging.getLogger(__name__)
EARLY_LIMIT = 256


class Arrivals:
    """Greets the trunks of one session actor, and passes on what they bring.

    Hellos that come between `expect` and `begin` wait: a gateway may be quicker than the ledger's
    word that the assignment is durable.
    """

    def __init__(self, trunks: Trunks, traces: Traces | None) -> None:
        self._trunks = trunks
        self._traces = traces
        self._session: LiveSession | None = None
        self._requests: Requests | None = None
        self._begun = False
        self._early: list[tuple[ListenedEnd, TrunkHello]] = []

    def expect(self, session: LiveSession) -> None:
        """This is the session, once the ledger says so."""
        self._session = session
        self._requests = Requests(session)

    def begin(self) -> None:
        """The session lives: greet whoever waits, and from now on at once."""
        self._begun = True
        early, self._early = self._early, []
        for trunk, hello in early:
            self._greet(trunk, hello)

    def on_hello(self, trunk: ListenedEnd, data: bytes) -> None:
        """Take a trunk whose key holds."""
        try:
            hello = read(TrunkHello, data)
        except ValidationError:
            trunk.refuse(Malformed(ErrorCode.MALFORMED, "The trunk's hello cannot be read."))
            return
        if self._session is not None and not self._begun and len(self._early) < EARLY_LIMIT:
            self._early.append((trunk, hello))
            return
        self._greet(trunk, hello)

    def _greet(self, trunk: ListenedEnd, hello: TrunkHello) -> None:
        span = None
        if hello.trace is not None and self._traces is not None:
            span = self._traces.begin("session.attach", "server", hello.trace)
        try:
            self._attach(trunk, hello, span)
            return
        except SwitchboardError as error:
            refusal = error
        except Exception:
            _LOG.exception("attach failed", extra={"connection_id": hello.connection_id})
            refusal = Internal(ErrorCode.INTERNAL, "The connection could not be attached.")
        trunk.refuse(refusal)
        if span is not None:
            span.end(str(refusal.code))

    def _attach(self, trunk: ListenedEnd, hello: TrunkHello, span: Span | None) -> None:
        session = require_session(self._session, hello)
        if hello.backend:
            self._attach_backend(session, trunk, hello.gateway_id)
            return
        connection = Connection(
            hello.connection_id,
            trunk,
            hello.surface,
            hello.visible,
            hello.widget_id,
            hello.attempt,
            hello.former_widget_id,
        )

        def ready(person: Person) -> None:
            if session.frozen:
                trunk.refuse(Unavailable(ErrorCode.SESSION_AWAY, "The session is moving."))
                return
            if trunk.link.closed:
                # They came in and are gone; what is journalled of it is that they went.
                session.comings.without_connection(person.participant_id)
                return
            trunk.on_frame = lambda end, kind, data: self._on_frame(person, connection, kind, data)
            trunk.on_lost = lambda end: self._on_lost(session, trunk, person, connection)
            self._trunks.add(trunk, hello.gateway_id, keeps_unsaved=hello.keeps_unsaved)
            traces = self._traces is not None
            if traces:
                trunk.on_notice = lambda end, method, payload: connection.note(method, payload)
            trunk.accept(
                TrunkReady(
                    participant_id=person.participant_id, epoch=session.epoch, traces=traces
                ).to_bytes()
            )
            self._trunks.accepted(trunk)
            if span is not None:
                span.end()
            session.comings.connect(person, connection, hello.last_seq)

        with session.within(span):
            admit(session, hello, ready)

    def _attach_backend(self, session: LiveSession, trunk: ListenedEnd, gateway_id: str) -> None:
        """Take the backend's calls; nobody joins, and the roster does not show it."""
        trunk.on_call = BackendCalls(session).on_call
        trunk.on_lost = lambda end: self._trunks.discard(trunk)
        self._trunks.add(trunk, gateway_id)
        trunk.accept(TrunkReady(participant_id=BACKEND, epoch=session.epoch).to_bytes())

    def _on_frame(self, person: Person, connection: Connection, kind: Frame, data: bytes) -> None:
        if kind is Frame.MESSAGE and self._requests is not None:
            trace, connection.trace = connection.trace, None
            self._requests.handle(person, connection, data, trace)

    def _on_lost(
        self, session: LiveSession, trunk: ListenedEnd, person: Person, connection: Connection
    ) -> None:
        self._trunks.discard(trunk)
        session.comings.disconnect(person, connection)
