"""What a gateway knows of one greeted widget, and what that makes it say to the cluster."""

from __future__ import annotations

from collections.abc import Sequence

from broker.errors import Conflict, ErrorCode, Forbidden
from broker.ids import normal_agent_id, normal_id, same_agent
from broker.messages.client import ConnectionHello
from broker.messages.cluster.presence import PresencePut, PresenceWatch
from broker.messages.cluster.sessions import SessionOpen, SessionWithdraw
from broker.messages.cluster.trunk import Location, Principal, TrunkHello, TrunkReady
from broker.messages.parts import EngagementIds
from broker.words import Mode, Role, Way
from gateway.connections.greeting import Greeting, agent_key, waiting_keys, within
from gateway.proofs.tokens import ResumePass


class Standing:
    """Who is connected, on which surface, at which engagement. Changes as the widget tells more.

    `origin` stands for the address it came from (`gateway.origins.veiled`).
    """

    def __init__(self, connection_id: str, greeting: Greeting, origin: str) -> None:
        self.connection_id = connection_id
        self._origin = origin
        self.greeting = greeting
        self.widget_id = _widget_of(greeting) or connection_id
        self._former_widget_id = None if greeting.resume is None else greeting.resume.widget_id
        self.principal: Principal = greeting.principal.model_copy(update={"participant_id": None})
        self.hello: ConnectionHello = greeting.hello
        self.ids: EngagementIds | None = greeting.hello.engagement
        self.visible = greeting.hello.visible
        self._asked = frozenset(greeting.asked_keys)
        """The keys that its token was given for; going elsewhere costs what a token costs."""
        self._stands_at: frozenset[str] = frozenset()
        self._known_in: tuple[str, str] | None = None
        """The session in which they are somebody already, and who: for whoever came back to it, and
        for guests. The next one knows nothing of that id."""
        resume, participant_id = greeting.resume, greeting.principal.participant_id
        if resume is not None and participant_id is not None:
            self._known_in = resume.session_id, participant_id

    @property
    def is_rung(self) -> bool:
        """Whether this is somebody who waits, rather than an agent who starts."""
        return self.principal.role in (Role.CONSUMER, Role.GUEST)

    def is_ours(self, ids: EngagementIds) -> bool:
        """Whether the widget's token lets it stand at this engagement."""
        bound = self.greeting.bound_keys
        return normal_id(ids.account_id) == self.principal.account_id and (
            not bound or within(ids, bound)
        )

    def new_keys(self, keys: Sequence[str]) -> list[str]:
        """Return those of these keys that this widget has neither a token for nor stands at.

        None for whoever proved who they are: their token names the only ones they may stand at.
        """
        if self.principal.verified:
            return []
        return [key for key in keys if key not in self._asked | self._stands_at]

    def stands_at(self, keys: Sequence[str]) -> None:
        """Note by which keys it may be rung now."""
        self._stands_at = frozenset(keys)

    def presence(self, *, listed: bool = False) -> PresencePut | PresenceWatch | None:
        """Build what the ledger is to know: who may be rung, or what an agent wants to watch.

        `listed` says whether colleagues see that an agent is there.
        """
        if self.ids is None:
            return None
        match self.principal.role:
            case Role.CONSUMER:
                keys = waiting_keys(self.ids)
                if not keys:
                    return None
                return PresencePut(
                    connection_id=self.connection_id,
                    account_id=self.principal.account_id,
                    keys=list(keys),
                    surface=self.hello.surface,
                    visible=self.visible,
                    claim_hash=self.principal.claim_hash,
                    origin=self._origin,
                )
            case Role.AGENT | Role.SUPERVISOR:
                key = agent_key(self.ids)
                if key is None:
                    return None
                return PresenceWatch(
                    connection_id=self.connection_id,
                    account_id=self.principal.account_id,
                    key=key,
                    agent_id=self.listed_id if listed else None,
                    name=self.principal.name,
                    starter_id=self.listed_id,
                )
            case Role.GUEST:
                return None

    @property
    def listed_id(self) -> str | None:
        """By which id the cluster knows this agent; `None` for whoever is none."""
        principal = self.principal
        return normal_agent_id(principal.agent_id) if principal.role is Role.AGENT else None

    def ways(self, *, monitoring: bool) -> list[Way]:
        """Name the ways into a live session of this engagement, the likeliest first.

        An offer only: the session decides when one is taken.
        """
        match self.principal.role:
            case Role.AGENT:
                ids = self.ids
                theirs = (
                    ids is not None
                    and not ids.spectating
                    and same_agent(ids.chatting_agent_id, self.principal.agent_id)
                )
                return [Way.TAKE_OVER, Way.CONSULT] if theirs else [Way.CONSULT]
            case Role.SUPERVISOR:
                return [Way.JOIN, Way.MONITOR, Way.WHISPER] if monitoring else [Way.JOIN]
            case _:
                return []

    def opening(self, mode: Mode, *, policy: dict[str, object], label: str = "") -> SessionOpen:
        """Build the call that gives this agent's engagement a session.

        Raises:
            Forbidden: somebody who only watches the conversation, or a supervisor.
            Conflict: the widget does not know its engagement.
        """
        if self.principal.role is not Role.AGENT or (self.ids is not None and self.ids.spectating):
            raise Forbidden(
                ErrorCode.NOT_PERMITTED, "Only the agent of a conversation starts a session on it."
            )
        key = agent_key(self.ids)
        if key is None or self.ids is None:
            raise Conflict(ErrorCode.NOT_IN_SESSION, "The widget knows no engagement to start on.")
        return SessionOpen(
            account_id=self.principal.account_id,
            engagement_key=key,
            ids=self.ids,
            mode=mode,
            owner=self.principal,
            policy=policy,
            label=label,
            connection_id=self.connection_id,
        )

    def withdrawal(self) -> SessionWithdraw | None:
        """Build the call that takes back what an agent's connection starts where it stands."""
        key = agent_key(self.ids)
        if key is None:
            return None
        return SessionWithdraw(
            account_id=self.principal.account_id,
            engagement_key=key,
            connection_id=self.connection_id,
        )

    def trunk_hello(
        self,
        gateway_id: str,
        location: Location,
        last_seq: int | None,
        way: Way | None = None,
    ) -> TrunkHello:
        """Build the first words of this connection's trunk."""
        return TrunkHello(
            session_id=location.session_id,
            epoch=location.epoch,
            connection_id=self.connection_id,
            gateway_id=gateway_id,
            principal=self._principal_in(location.session_id),
            surface=self.hello.surface,
            visible=self.visible,
            last_seq=last_seq,
            engagement=self.ids,
            way=way,
            widget_id=self.widget_id,
            former_widget_id=self._former_widget_id,
            attempt=self.hello.attempt,
            keeps_unsaved=True,
            token_id=self.greeting.token_id,
        )

    def came_into(self, session_id: str, ready: TrunkReady) -> None:
        """Note who this is in a session. A guest is known by nothing else: their link is used up,
        and after a takeover they must not come as somebody new."""
        if self.principal.role is Role.GUEST:
            self._known_in = session_id, ready.participant_id

    def _principal_in(self, session_id: str) -> Principal:
        if self._known_in is None or self._known_in[0] != session_id:
            return self.principal
        return self.principal.model_copy(update={"participant_id": self._known_in[1]})

    def resume_pass(self, location: Location, ready: TrunkReady) -> ResumePass:
        """Build what the widget may come back with."""
        principal = self.principal.model_copy(update={"participant_id": ready.participant_id})
        return ResumePass(
            session_id=location.session_id,
            epoch=ready.epoch,
            host=location.host,
            port=location.port,
            engagement_key=location.engagement_key,
            principal=principal,
            token_id=self.greeting.token_id,
            proved_at=self.greeting.proved_at,
            proof_id=self.greeting.proof_id,
            bound_keys=self.greeting.bound_keys,
            widget_id=self.widget_id,
        )


def _widget_of(greeting: Greeting) -> str | None:
    """Which widget comes back; `None` for a page that is new, though it brings a resume token.

    A page that was reloaded, or that the browser has copied, has seen nothing of the session: it is
    a widget of its own, and the other one, if it still stands, stays connected.
    """
    if greeting.resume is None or not greeting.hello.last_seq:
        return None
    return greeting.resume.widget_id


def resumed_location(resume: ResumePass) -> Location:
    """Say where the session of a resume token was."""
    return Location(
        session_id=resume.session_id,
        epoch=resume.epoch,
        host=resume.host,
        port=resume.port,
        account_id=resume.principal.account_id,
        engagement_key=resume.engagement_key,
    )
