"""Between a session and its relay: rights in, seats and states out."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from actors.relay import (
    Grade,
    MediaRights,
    OfferLayout,
    Relay,
    RelayConfig,
    SeatUpdate,
    TransportState,
)
from actors.session.carried import Carried, CarriedMedia
from actors.session.config import SessionConfig
from actors.session.quality import QualityLog
from broker.measures import Count, Standing
from broker.messages.client import MediaOffer, MediaReport, MediaView
from broker.messages.facts import (
    MediaLayers,
    MediaQuality,
    MediaSeats,
    MediaSpeaker,
    MediaTransport,
)
from broker.messages.parts import IceServer, MediaLimits, Part, SeatAssignment
from broker.policy import LONGEST_MS
from broker.state import STAFF, SessionState
from broker.words import Capability, Mode, PublishSource, Way

CREDENTIAL_LIFE_S = LONGEST_MS // 1_000 + 600
"""Of TURN, from the join: the longest session and a little more."""
MOST_SEATS = 24
"""Of one widget: with what it sends and the screens its offer stays below the relay's 64 sections.
In a larger session the seats go to those who speak."""
QUALITY_WORDS = {
    "loss_down": "loss",
    "loss_up": "loss",
    "delay": "delay",
    "bandwidth": "bandwidth",
    "silent": "silence",
}
"""The relay's reasons in the words that widgets have sentences for."""


def limits(config: SessionConfig, state: SessionState, now_ms: int) -> MediaLimits:
    """What a widget needs for its first offer, TURN credentials included."""
    servers = []
    if config.ice_servers:
        username = credential = None
        if config.turn_secret is not None:
            username, credential = turn_credentials(config.turn_secret, now_ms)
        servers.append(
            IceServer(urls=list(config.ice_servers), username=username, credential=credential)
        )
    return MediaLimits(
        seats=min(state.policy.participant_limit - 1, MOST_SEATS),
        screens=state.policy.screen_limit,
        ice_servers=servers,
        relay_only=config.relay_only,
    )


def turn_credentials(secret: bytes, now_ms: int) -> tuple[str, str]:
    """Ephemeral TURN credentials: the expiry and a name, and the HMAC-SHA1 of both.

    Every widget has a name of its own, because coturn's quotas count by it.
    Source: draft-uberti-behave-turn-rest; coturn's `use-auth-secret`.
    """
    username = f"{now_ms // 1000 + CREDENTIAL_LIFE_S}:{secrets.token_hex(6)}"
    digest = hmac.digest(secret, username.encode(), hashlib.sha1)
    return username, base64.b64encode(digest).decode()


def rights_of(participant_id: str, now: SessionState, safe: SessionState) -> MediaRights | None:
    """What a participant may send and receive now; `None`: nothing at all.

    What widens exposure holds once it is durable, what reduces it at once: hence the weaker of
    the decided state (`now`) and the durable one (`safe`).
    """
    decided = now.participants.get(participant_id)
    durable = safe.participants.get(participant_id)
    if decided is None or durable is None or not (decided.inside and durable.inside):
        return None
    may = decided.capabilities & durable.capabilities
    video = decided.mode is Mode.VIDEO and durable.mode is Mode.VIDEO
    return MediaRights(
        send_audio=Capability.SEND_AUDIO in may,
        send_video=Capability.SEND_VIDEO in may and video,
        send_screen=Capability.SEND_SCREEN in may and video,
        receive_video=video,
        audience=_audience({decided.way, durable.way}, safe),
    )


def _audience(ways: set[Way], state: SessionState) -> frozenset[str] | None:
    """Who may hear somebody who is in the session in these ways; `None`: everybody."""
    if Way.MONITOR in ways:
        return frozenset()
    if Way.WHISPER in ways:
        return frozenset(p.participant_id for p in state.inside() if p.role in STAFF)
    return None


NO_RIGHTS = MediaRights(
    send_audio=False, send_video=False, send_screen=False, receive_video=False, takes_part=False
)


class Tell(Protocol):
    """Sends a message to all, to one participant, or to one widget of theirs."""

    def __call__(
        self,
        participant_id: str | None,
        message: Part,
        *,
        about: str | None = None,
        widget_id: str | None = None,
    ) -> None: ...


class SessionMedia:
    """The relay of one session, and what it tells widgets. Closed by the session."""

    def __init__(
        self,
        config: RelayConfig,
        epoch: int,
        tell: Tell,
        now_ms: Callable[[], int],
        *,
        stall_s: float,
        on_stall: Callable[[float], None],
    ) -> None:
        """`on_stall` is told when the process stood still for `stall_s` or longer: nothing is
        forwarded then until `go_on`."""
        self._epoch = epoch
        self._tell = tell
        self._carried = CarriedMedia()
        self._speaker: MediaSpeaker | None = None
        self._grades: dict[str, MediaQuality] = {}
        """What was told of each participant last."""
        self._known: dict[str, MediaRights] = {}
        self._relay = Relay(config, self, stall_seconds=stall_s)
        self._on_stall = on_stall
        self.reports: dict[str, MediaReport] = {}
        """What each participant's widget measured last."""
        self.quality = QualityLog(now_ms)

    async def open(self) -> None:
        """Bind the session's port."""
        await self._relay.open()

    @property
    def port(self) -> int:
        """The UDP port of its relay, 0 before `open`."""
        return self._relay.port if self._relay.sockets else 0

    def go_on(self) -> None:
        """Forward again: the session is this actor's."""
        self._relay.go_on()

    def fall_silent(self) -> None:
        """Forward nothing more: the session is another's."""
        self._relay.fall_silent()

    async def close(self) -> None:
        """Close every transport and the port; harmless when closed."""
        await self._relay.close()

    def answer(
        self,
        participant_id: str,
        widget_id: str,
        offer: MediaOffer,
        rights: MediaRights | None,
        published: Mapping[PublishSource, bool],
    ) -> str:
        """Answer a widget's offer. Raises Malformed (offer_*), Conflict (no_common_codec).

        `published` is what the person has said that they send, before there was anything to say it
        of: nothing else is passed on, whatever comes, so that the others are told of all of it.
        """
        layout = OfferLayout(
            publish={track.mid: track.source for track in offer.publish},
            seats=tuple((seat.audio_mid, seat.video_mid) for seat in offer.seats),
            screens=tuple(offer.screens),
        )
        effective = rights or NO_RIGHTS
        sdp = self._relay.answer(participant_id, offer.transport_id, offer.sdp, layout, effective)
        self._relay.set_published(participant_id, published)
        self._known[participant_id] = effective
        taken_up = self._carried.offered(participant_id, widget_id, offer.transport_id)
        if taken_up is not None:
            self._tell_carried(taken_up)
        return sdp

    def answering(
        self, participant_id: str, widget_id: str, send: Callable[[], None]
    ) -> Callable[[], None]:
        """Return how an answer leaves (`send`) that turns layers off and on by what is needed now.

        What is told of them before, while it waits for what is not durable yet, comes again.
        """
        before = self._carried.layers_of(participant_id, widget_id)

        def leave() -> None:
            send()
            for message in self._carried.layers_of(participant_id, widget_id):
                if message not in before:
                    self._tell(participant_id, message, widget_id=widget_id)

        return leave

    def apply(self, decided: SessionState, durable: SessionState) -> None:
        """Bring the relay to what the state allows. Cheap when nothing changed.

        Raises:
            ExceptionGroup: it failed for some; they are tried again at the next change.
        """
        failures = []
        for participant_id, known in list(self._known.items()):
            rights = rights_of(participant_id, decided, durable)
            person = decided.participants.get(participant_id)
            inside = person is not None and person.inside
            try:
                if rights is None and not inside and not decided.may_answer(participant_id):
                    self._relay.remove(participant_id)
                    del self._known[participant_id]
                    self._grades.pop(participant_id, None)
                    self.reports.pop(participant_id, None)
                elif (rights or NO_RIGHTS) != known:
                    self._relay.set_rights(participant_id, rights or NO_RIGHTS)
                    self._known[participant_id] = rights or NO_RIGHTS
            except Exception as error:
                # What was taken from another must not go on being sent for it.
                failures.append(error)
        if failures:
            raise ExceptionGroup("The relay did not take everybody's rights.", failures)

    def publish(self, participant_id: str, sources: dict[PublishSource, bool]) -> None:
        """Start or stop the forwarding of what somebody sends."""
        self._relay.set_published(participant_id, sources)

    def settle(self, participant_id: str) -> None:
        """Note that a widget of theirs has said what it sends, be it what it was."""
        self._relay.settle(participant_id)

    def view(self, participant_id: str, widget_id: str, view: MediaView) -> None:
        """Note how large a widget displays the slots of its transport; zero is hidden."""
        carried = self._carried.by_widget(participant_id, widget_id)
        if carried is None:
            return

        def sizes(kind: str) -> dict[int, tuple[int, int] | None]:
            return {
                slot.index: (slot.width, slot.height) if slot.width and slot.height else None
                for slot in view.slots
                if slot.kind == kind
            }

        self._relay.set_view(carried.transport_id, sizes("seat"), sizes("screen"))

    def report(self, participant_id: str, report: MediaReport) -> None:
        """Note what a widget measured; the last of each participant who has media is kept."""
        if participant_id in self._known:
            self.reports[participant_id] = report

    def close_others(self, participant_id: str, transport_id: str) -> None:
        """Close every transport of somebody but this one."""
        for transport in list(self._relay.transports.values()):
            if transport.participant_id == participant_id:
                if transport.transport_id != transport_id:
                    self._relay.close_transport(transport.transport_id)

    def close_transport(self, participant_id: str, transport_id: str) -> None:
        """Close one transport of somebody; another's is left alone."""
        transport = self._relay.transports.get(transport_id)
        if transport is not None and transport.participant_id == participant_id:
            self._relay.close_transport(transport_id)

    def widgets_of(self, participant_id: str) -> set[str]:
        """The widgets that carry somebody's media: two while one takes over from the other."""
        return self._carried.widgets_of(participant_id)

    def seats_of(self, participant_id: str, widget_id: str) -> list[SeatAssignment]:
        """Who sits where in the transport that this widget carries, for a snapshot."""
        return self._carried.seats_of(participant_id, widget_id)

    def signals_for(
        self, participant_id: str, widget_id: str | None
    ) -> list[tuple[str | None, Part]]:
        """What holds now beside a snapshot, each with whom it speaks of.

        It was told when it changed, which whoever gets a snapshot may have missed. `widget_id`:
        for this widget; `None`: for all of the participant's.
        """
        signals: list[tuple[str | None, Part]] = list(self._grades.items())
        if self._speaker is not None:
            signals.append((None, self._speaker))
        if widget_id is not None:
            signals += ((None, each) for each in self._carried.layers_of(participant_id, widget_id))
        return signals

    def snapshot(self) -> dict[str, object]:
        """The relay's own picture with what the widgets measured, for support."""
        snapshot: dict[str, object] = dict(self._relay.snapshot())
        snapshot["reports"] = {
            participant_id: [slot.model_dump() for slot in report.slots]
            for participant_id, report in self.reports.items()
        }
        return snapshot

    def counts(self) -> Counter[Count]:
        """What the relay has done so far; also once it has closed."""
        return self._relay.counts()

    def standing(self) -> Counter[Standing]:
        """How many transports and people the relay has, and how they are."""
        return self._relay.standing()

    def transport_changed(
        self, participant_id: str, transport_id: str, state: TransportState
    ) -> None:
        self.quality.transport_changed(participant_id, transport_id, state)
        if state is TransportState.CLOSED:
            self._carried.closed(transport_id)
        self._tell(
            participant_id,
            MediaTransport(seq=0, epoch=self._epoch, transport_id=transport_id, state=str(state)),
        )

    def seats_changed(
        self, participant_id: str, transport_id: str, seats: Sequence[SeatUpdate]
    ) -> None:
        carried = self._carried.by_transport(transport_id)
        if carried is None:
            return
        assignments = [
            SeatAssignment(
                kind=str(update.kind),
                index=update.index,
                participant_id=update.participant_id,
                audio_timestamp=update.audio_timestamp,
                video_timestamp=update.video_timestamp,
                turn=update.turn,
            )
            for update in seats
        ]
        carried.seated(assignments)
        if not carried.given_up:
            self._tell_seats(carried, assignments)

    def _tell_seats(self, carried: Carried, seats: list[SeatAssignment]) -> None:
        self._tell(
            carried.participant_id,
            MediaSeats(seq=0, epoch=self._epoch, seats=seats),
            widget_id=carried.widget_id,
        )

    def _tell_carried(self, carried: Carried) -> None:
        """Say what has become of a transport that its widget had given up."""
        if carried.seats:
            self._tell_seats(carried, list(carried.seats.values()))
        for message in carried.layers.values():
            self._tell(carried.participant_id, message, widget_id=carried.widget_id)

    def speaker_changed(self, participant_id: str | None) -> None:
        self._speaker = MediaSpeaker(seq=0, participant_id=participant_id)
        self._tell(None, self._speaker)

    def layers_wanted(
        self,
        participant_id: str,
        transport_id: str,
        source: PublishSource,
        rids: tuple[str, ...],
    ) -> None:
        carried = self._carried.by_transport(transport_id)
        if carried is None:
            return
        carried.layers[source] = message = MediaLayers(seq=0, source=source, rids=list(rids))
        if not carried.given_up:
            self._tell(participant_id, message, widget_id=carried.widget_id)

    def quality_changed(self, participant_id: str, grade: Grade, reason: str) -> None:
        self.quality.graded(participant_id, grade, reason)
        self._grades[participant_id] = message = MediaQuality(
            seq=0,
            participant_id=participant_id,
            grade=str(grade),
            reason=QUALITY_WORDS.get(reason),
        )
        self._tell(None, message, about=participant_id)

    def stood_still(self, seconds: float) -> None:
        self._on_stall(seconds)
