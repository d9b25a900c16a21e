"""Who may do what, and the refusals that say so."""

from __future__ import annotations

from broker.errors import Conflict, ErrorCode, Forbidden, Gone, NotFound
from broker.policy import Policy
from broker.state import Participant, SessionState
from broker.words import Attendance, Capability, Role, SessionPhase, Way

BACKEND = "backend"
"""The id by which the brand's backend acts: nobody in the session, with every capability."""

_SEND = frozenset({Capability.SEND_AUDIO, Capability.SEND_VIDEO, Capability.SEND_SCREEN})


def initial_capabilities(role: Role, policy: Policy, way: Way = Way.JOIN) -> frozenset[Capability]:
    """Return what a role may do on coming in this way."""
    if way is Way.MONITOR:
        return frozenset()
    if way is Way.WHISPER:
        return frozenset({Capability.SEND_AUDIO})
    match role:
        case Role.AGENT:
            return frozenset(Capability)
        case Role.CONSUMER:
            invite = {Capability.INVITE} if policy.consumer_may_invite else set()
            return _SEND | {Capability.END_FOR_ALL} | invite
        case Role.GUEST:
            return _SEND
        case Role.SUPERVISOR:
            return _SEND | {Capability.MODERATE, Capability.END_FOR_ALL}


def require_open(state: SessionState) -> None:
    """Refuse unless the session is open: an ended session accepts nothing."""
    if state.phase is SessionPhase.ENDED:
        raise Gone(ErrorCode.SESSION_ENDED, "This session has ended.")
    if state.phase is SessionPhase.NEW:
        raise NotFound(ErrorCode.UNKNOWN_SESSION, "There is no session here.")


def require_inside(state: SessionState, participant_id: str) -> Participant:
    """Return a participant who takes part, or refuse."""
    person = state.participants.get(participant_id)
    if person is None or not person.inside:
        raise Conflict(ErrorCode.NOT_IN_SESSION, "You are not in this session.")
    return person


def require_capability(
    state: SessionState, actor_id: str, capability: Capability
) -> frozenset[Capability]:
    """Return everything that the backend, or a participant, may do; refuse who may not do this."""
    if actor_id == BACKEND:
        return frozenset(Capability)
    capabilities = require_inside(state, actor_id).capabilities
    if capability not in capabilities:
        raise Forbidden(ErrorCode.NOT_PERMITTED, f"You may not {_DEEDS[capability]}.")
    return capabilities


def require_inviter(state: SessionState, actor_id: str) -> None:
    """Refuse who may not ring the consumer: agents who take part may, and the backend."""
    if actor_id != BACKEND:
        require_agent(state, actor_id)


def require_agent(state: SessionState, participant_id: str) -> Participant:
    """Return an agent who takes part, or refuse."""
    person = require_inside(state, participant_id)
    if person.role is not Role.AGENT:
        raise Forbidden(ErrorCode.NOT_PERMITTED, "Only an agent may do that.")
    return person


def require_other(state: SessionState, participant_id: str) -> Participant:
    """Return the participant that a request is about, who has not left."""
    person = state.participants.get(participant_id)
    if person is None or person.attendance is Attendance.LEFT:
        raise NotFound(ErrorCode.UNKNOWN_PARTICIPANT, "There is nobody here by that id.")
    return person


_DEEDS = {
    Capability.SEND_AUDIO: "send sound",
    Capability.SEND_VIDEO: "send video",
    Capability.SEND_SCREEN: "share your screen",
    Capability.INVITE: "add people",
    Capability.ADMIT: "let people in",
    Capability.MODERATE: "moderate others",
    Capability.END_FOR_ALL: "end the session for everybody",
}
