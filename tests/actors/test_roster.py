"""A roster put together from remembered parts is the roster, whatever happens to people."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.session import views
from actors.session.person import Person, encode_body
from actors.session.roster import RosterWriter
from broker.messages.cluster.trunk import Principal
from broker.messages.facts import RosterChanged
from broker.messages.parts import EngagementIds
from broker.state import Participant, SessionState
from broker.words import Attendance, Capability, Mode, PublishSource, Role

NAMES = ("agent", "consumer", "guest")
ROLES = dict(zip(NAMES, (Role.AGENT, Role.CONSUMER, Role.GUEST), strict=True))
changes = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(min_value=0, max_value=5)), max_size=12
)


def someone(name: str, **changed: object) -> Participant:
    values: dict[str, object] = {
        "participant_id": name,
        "role": ROLES[name],
        "mode": Mode.VIDEO,
        "capabilities": frozenset(Capability),
        "attendance": Attendance.PRESENT,
        "since_ms": 0,
        "joined_ms": 0,
        "mode_ms": 0,
        "verified": True,
    }
    return Participant(**(values | changed))  # type: ignore[arg-type]


@given(changes)
def test_remembered_entries_never_go_stale(steps: list[tuple[str, int]]) -> None:
    participants = {name: someone(name) for name in NAMES}
    people = {
        name: Person(name, Principal(role=ROLES[name], account_id="a", name=name.title()))
        for name in NAMES
    }
    owner = "agent"
    writer = RosterWriter()
    for name, kind in [("agent", 5), *steps]:
        person = people[name]
        match kind:
            case 0:
                participants[name] = someone(name, attendance=Attendance.RECONNECTING)
            case 1:
                participants[name] = someone(name, capabilities=frozenset())
            case 2:
                on = not person.published[PublishSource.CAMERA]
                person.published = dict.fromkeys(PublishSource, on)
            case 3:
                person.principal = person.principal.model_copy(update={"name": 'Renée "R"'})
            case 4:
                owner = name
            case _:
                person.engagement = EngagementIds(
                    account_id="a", channel="chat", visitor_id=f"v-{name}"
                )
        state = SessionState(participants=dict(participants), owner_id=owner)
        for staff, body in zip((True, False), writer.bodies(state, people), strict=True):
            whole = RosterChanged(seq=0, roster=views.roster(state, people, staff=staff))
            assert body == encode_body(whole)
