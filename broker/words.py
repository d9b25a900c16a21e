"""The closed sets of words that state, events and wire share."""

from __future__ import annotations

from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING


class Word(StrEnum):
    """One of a closed set."""

    if not TYPE_CHECKING:
        # `enum`'s own is two calls of Python for each word that pydantic encodes: 42 of a roster.
        value = property(attrgetter("_value_"))


class Role(Word):
    """What a participant is in a session."""

    AGENT = "agent"
    CONSUMER = "consumer"
    GUEST = "guest"
    SUPERVISOR = "supervisor"


class Mode(Word):
    """What an invitation proposes and a participant takes part with."""

    VIDEO = "video"
    VOICE = "voice"


class Way(Word):
    """How a participant is in a session; for a further member of the staff also the way in."""

    JOIN = "join"
    """Seen and heard by everybody."""
    CONSULT = "consult"
    """An agent who helps the one in charge; waits until somebody lets them in."""
    TAKE_OVER = "take_over"
    """The agent to whom the conversation was transferred: becomes the owner at once."""
    WHISPER = "whisper"
    """A supervisor whom the staff hears; nobody else knows."""
    MONITOR = "monitor"
    """A supervisor who only listens; the staff knows."""


class Surface(Word):
    """One widget of a person."""

    AGENT_FRAME = "agent_frame"
    POP_OUT = "pop_out"
    LAUNCHER = "launcher"
    WINDOW = "window"
    GUEST_PAGE = "guest_page"


class Capability(Word):
    """One thing a participant may do; enforced in the core and in the relay."""

    SEND_AUDIO = "send_audio"
    SEND_VIDEO = "send_video"
    SEND_SCREEN = "send_screen"
    INVITE = "invite"
    ADMIT = "admit"
    MODERATE = "moderate"
    END_FOR_ALL = "end_for_all"


class Attendance(Word):
    """Where a participant stands with respect to the session."""

    LOBBY = "lobby"
    PRESENT = "present"
    RECONNECTING = "reconnecting"
    LEFT = "left"


class InvitationState(Word):
    """The life of the invitation from agent to consumer."""

    SENT = "sent"
    RINGING = "ringing"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"


class SessionPhase(Word):
    """The life of a session."""

    NEW = "new"
    OPEN = "open"
    ENDED = "ended"


class EndReason(Word):
    """Why a session ended."""

    ENDED_BY_AGENT = "ended_by_agent"
    ENDED_BY_CONSUMER = "ended_by_consumer"
    ENDED_BY_SUPERVISOR = "ended_by_supervisor"
    ENDED_BY_GUEST = "ended_by_guest"
    ENDED_BY_BACKEND = "ended_by_backend"
    NOBODY_LEFT = "nobody_left"
    AGENT_ABSENT = "agent_absent"
    AGENT_AND_CONSUMER_ABSENT = "agent_and_consumer_absent"
    INVITATION_LAPSED = "invitation_lapsed"
    TOO_LONG = "too_long"
    TAKEOVER_EXHAUSTED = "takeover_exhausted"
    LOST = "lost"


class LeaveReason(Word):
    """Why a participant left."""

    LEFT = "left"
    REMOVED = "removed"
    GRACE_OVER = "grace_over"
    NOT_ADMITTED = "not_admitted"
    SESSION_ENDED = "session_ended"
    TRANSFERRED = "transferred"


class PublishSource(Word):
    """What a participant can publish."""

    MICROPHONE = "microphone"
    CAMERA = "camera"
    SCREEN = "screen"


class Reach(Word):
    """What an agent can know of a consumer before any session: is anybody there to be rung?"""

    ABSENT = "absent"
    HIDDEN = "hidden"
    REACHABLE = "reachable"


class Asked(Word):
    """Whether a colleague was asked to help in a session."""

    FREE = "free"
    ASKED = "asked"
    """Their widgets show it, and nobody has answered."""
    DECLINED = "declined"
