"""Connections of one person: what each hears, what one missed, what a slow one costs."""

from __future__ import annotations

import pytest

from actors.session.connection import UNSENT_LIMIT_BYTES
from broker.words import Surface
from tests.actors.crafted import offer, offered
from tests.actors.stage import Stage, Trunk
from tests.actors.test_connecting_ahead import transports


async def test_every_surface_rings_and_the_first_answer_silences_the_others(stage: Stage) -> None:
    _, launcher = await stage.ringing()
    window = stage.connect(stage.consumer(), Surface.WINDOW)
    await stage.settle()
    assert "session.snapshot" in window.types()
    invitation = launcher.last("session.snapshot")["invitation"]["invitation_id"]
    stage.ask(stage.consumer(), window, "invitation.accept", invitation_id=invitation, mode="voice")
    await stage.settle()
    assert launcher.last("invitation.elsewhere")["invitation_id"] == invitation
    assert "invitation.elsewhere" not in window.types()


async def test_the_agent_sees_which_surface_rings_and_whether_it_is_visible(stage: Stage) -> None:
    agent, launcher = await stage.ringing()
    view = agent.last("invitation.changed")["invitation"]
    assert (view["state"], view["surfaces"], view["visible"]) == ("ringing", ["launcher"], True)
    stage.requests.handle(
        stage.consumer(), launcher.connection, b'{"type":"surface.update","visible":false}'
    )
    assert agent.last("invitation.changed")["invitation"]["visible"] is False
    stage.requests.handle(
        stage.consumer(),
        launcher.connection,
        b'{"type":"invitation.trouble","trouble":"camera_blocked"}',
    )
    assert agent.last("invitation.changed")["invitation"]["reason"] == "camera_blocked"


async def test_declining_sends_the_consumer_back_and_a_second_invitation_rings_again(
    stage: Stage,
) -> None:
    agent, consumer = await stage.ringing()
    invitation = consumer.last("session.snapshot")["invitation"]["invitation_id"]
    stage.ask(stage.consumer(), consumer, "invitation.decline", invitation_id=invitation)
    await stage.settle()
    assert consumer.types()[1:] == ["request.done", "invitation.changed", "session.left"]
    assert agent.last("invitation.changed")["invitation"]["state"] == "declined"
    stage.ask(stage.agent, agent, "invitation.send", mode="voice")
    await stage.settle()
    assert consumer.last("session.snapshot")["invitation"]["state"] == "ringing"


async def test_a_returning_connection_gets_what_it_missed_once_and_in_order(stage: Stage) -> None:
    agent, consumer = await stage.talking()
    seen = agent.heard[-1]["seq"]
    stage.disconnect(stage.agent, agent)
    stage.ask(stage.consumer(), consumer, "media.mode", mode="voice")
    await stage.settle()
    assert agent.heard[-1]["seq"] == seen
    back = stage.connect(stage.agent, Surface.AGENT_FRAME, last_seq=seen)
    await stage.settle()
    seqs = [message["seq"] for message in back.heard]
    assert seqs == sorted(set(seqs))
    assert seqs[0] == seen + 1
    assert "session.snapshot" not in back.types()


async def test_a_gap_too_old_to_fill_is_filled_by_a_snapshot(stage: Stage) -> None:
    agent, _ = await stage.talking()
    stage.disconnect(stage.agent, agent)
    await stage.settle()
    back = stage.connect(stage.agent, Surface.AGENT_FRAME, last_seq=10_000)
    await stage.settle()
    assert back.types()[0] == "session.snapshot"


async def test_a_message_sent_twice_takes_effect_once(stage: Stage) -> None:
    agent, _ = await stage.talking()
    stage.ask(stage.agent, agent, "guest.invite", id="once")
    await stage.settle()
    stage.ask(stage.agent, agent, "guest.invite", id="once")
    await stage.settle()
    replies = [m for m in agent.heard if m.get("reply_to") == "once"]
    assert len(replies) == 2
    assert replies[0]["url"] == replies[1]["url"]
    assert stage.ledger.types().count("guest.invited") == 1


async def test_a_slow_connection_gets_only_the_newest_roster(stage: Stage) -> None:
    agent, consumer = await stage.talking()
    agent.end.link.pause_writing()
    before = len(agent.heard)
    for camera in (True, False, True):
        stage.requests.handle(
            stage.consumer(),
            consumer.connection,
            b'{"type":"media.publish","microphone":true,"camera":%s,"screen":false}'
            % (b"true" if camera else b"false"),
        )
        await stage.settle()
    assert agent.heard[before:] == []
    agent.end.link.resume_writing()
    assert [m["type"] for m in agent.heard[before:]] == ["roster.changed"]
    assert agent.heard[-1]["roster"][1]["camera"] is True


async def test_a_roster_that_waited_overtakes_nothing(stage: Stage) -> None:
    agent, consumer = await stage.talking()
    agent.end.link.pause_writing()
    stage.ask(stage.consumer(), consumer, "media.mode", mode="voice")
    await stage.settle()
    stage.ask(stage.agent, agent, "guest.invite")
    await stage.settle()
    agent.end.link.resume_writing()
    seqs = [message["seq"] for message in agent.heard]
    assert seqs == sorted(seqs)
    assert agent.last("roster.changed")["roster"][1]["mode"] == "voice"


async def test_a_stuck_connection_is_closed_and_nobody_else_notices(stage: Stage) -> None:
    agent, consumer = await stage.talking()
    # As a transport does: it says that it is full long before it holds so much.
    agent.end.link.pause_writing()
    agent.transport.unsent = UNSENT_LIMIT_BYTES
    stage.ask(stage.consumer(), consumer, "text.send", text="One.")
    await stage.settle()
    assert agent.transport.closes == []
    agent.transport.unsent = UNSENT_LIMIT_BYTES + 1
    stage.ask(stage.consumer(), consumer, "text.send", text="Two.")
    await stage.settle()
    assert agent.transport.closes[0]["code"] == 4429
    assert consumer.transport.closes == []
    assert consumer.last("text.said")["text"] == "Two."


async def test_malformed_messages_are_answered_and_then_closed(stage: Stage) -> None:
    agent, consumer = await stage.talking()
    for _ in range(20):
        stage.requests.handle(stage.consumer(), consumer.connection, b"{")
    assert consumer.last("request.refused")["code"] == "malformed"
    assert consumer.transport.closes[0]["code"] == 4400
    assert agent.transport.closes == []


async def test_a_guest_who_reloads_in_the_lobby_keeps_the_place(stage: Stage) -> None:
    agent, _ = await stage.talking()
    guest, trunk = await stage.guest()
    stage.disconnect(guest, trunk)
    await stage.settle()
    assert "participant.left" not in stage.ledger.types()
    back = stage.connect(guest, Surface.GUEST_PAGE)
    await stage.settle()
    assert back.last("session.snapshot")["attendance"] == "lobby"
    stage.ask(stage.agent, agent, "participant.admit", participant_id=guest.participant_id)
    await stage.settle()
    assert back.last("session.snapshot")["attendance"] == "present"


async def test_a_connection_lost_while_the_end_is_saved_is_no_mistake(stage: Stage) -> None:
    agent, consumer = await stage.talking()
    stage.ledger.open.clear()
    stage.ask(stage.agent, agent, "session.end")
    stage.disconnect(stage.consumer(), consumer)
    stage.ledger.open.set()
    await stage.settle()
    assert agent.last("session.ended")["reason"] == "ended_by_agent"


async def test_a_widget_that_is_back_closes_its_older_connection_and_nothing_else_changes(
    stage: Stage,
) -> None:
    agent, consumer = await stage.talking()
    stage.ask(stage.agent, agent, "guest.invite", id="before")
    await stage.settle()
    seen, types = agent.heard[-1]["seq"], stage.ledger.types()
    rosters = consumer.types().count("roster.changed")
    stage.ask(stage.consumer(), consumer, "text.send", text="lost on the way")
    widget = agent.connection.widget_id
    back = stage.connect(stage.agent, Surface.AGENT_FRAME, last_seq=seen, widget_id=widget)
    await stage.settle()
    assert [(end["code"], end["to_waiting"]) for end in agent.transport.closes] == [(4409, False)]
    assert list(stage.agent.connections.values()) == [back.connection]
    # One person, who was never away: nothing in the journal, no roster, what was missed, in order.
    assert stage.ledger.types() == types
    assert consumer.types().count("roster.changed") == rosters
    assert back.types() == ["text.said"]
    # That the older trunk breaks now means nothing any more.
    stage.disconnect(stage.agent, agent)
    await stage.settle()
    assert stage.ledger.types() == types


async def test_a_connection_that_was_given_up_and_comes_late_displaces_no_newer_one(
    stage: Stage,
) -> None:
    """Its hello was held up on the way; the widget did not wait, and is back by another."""
    agent, consumer = await stage.talking()
    widget = agent.connection.widget_id
    back = stage.connect(stage.agent, Surface.AGENT_FRAME, last_seq=1, widget_id=widget, attempt=3)
    await stage.settle()
    types, rosters = stage.ledger.types(), consumer.types().count("roster.changed")
    late = stage.connect(stage.agent, Surface.AGENT_FRAME, last_seq=1, widget_id=widget, attempt=2)
    await stage.settle()
    assert [end["code"] for end in late.transport.closes] == [4409]
    assert late.heard == back.transport.closes == []
    assert list(stage.agent.connections.values()) == [back.connection]
    stage.disconnect(stage.agent, late)
    stage.ask(stage.consumer(), consumer, "text.send", text="still heard")
    await stage.settle()
    assert back.last("text.said")["text"] == "still heard"
    assert stage.ledger.types() == types
    assert consumer.types().count("roster.changed") == rosters


async def test_other_surfaces_of_a_person_stay_when_one_is_back(stage: Stage) -> None:
    agent, _ = await stage.talking()
    own = stage.connect(stage.agent, Surface.POP_OUT)
    await stage.settle()
    widget = agent.connection.widget_id
    back = stage.connect(stage.agent, Surface.AGENT_FRAME, last_seq=1, widget_id=widget)
    await stage.settle()
    assert own.transport.closes == back.transport.closes == []
    assert len(stage.agent.connections) == 2


async def test_the_media_of_a_widget_that_is_back_go_on(stage: Stage) -> None:
    _, consumer = await stage.talking()
    assert offer(stage, consumer)["type"] == "media.answer"
    standing = transports(stage)
    widget, seen = consumer.connection.widget_id, consumer.heard[-1]["seq"]
    back = stage.connect(stage.consumer(), Surface.LAUNCHER, last_seq=seen, widget_id=widget)
    await stage.settle()
    assert consumer.transport.closes[-1]["code"] == 4409
    assert transports(stage) == standing
    assert "media.transport" not in back.types()


async def test_why_somebody_declined_what_they_could_not_is_kept_nowhere(stage: Stage) -> None:
    agent, consumer = await stage.ringing()
    invitation = consumer.last("session.snapshot")["invitation"]["invitation_id"]
    answer = {"invitation_id": invitation, "reason": "not mine to say"}
    stage.ask(stage.agent, agent, "invitation.decline", **answer)
    assert agent.last("request.refused")["code"] == "no_invitation"
    stage.ask(stage.consumer(), consumer, "invitation.decline", **answer | {"invitation_id": "no"})
    stage.session.keep([stage.agent, stage.consumer()])
    await stage.settle()
    assert "not mine to say" not in str(stage.ledger.subjects)
    stage.ask(stage.consumer(), consumer, "invitation.decline", **answer)
    await stage.settle()
    [kept] = [each for each in stage.ledger.subjects.values() if "decline_reason" in each.body]
    assert kept.participant_id == stage.consumer().participant_id


async def test_a_page_beside_the_one_that_carries_the_media_waits_for_a_click(
    stage: Stage,
) -> None:
    """Another tab, or a frame that is loaded anew while the call is in a window of its own."""
    frame, _ = await stage.talking()
    first = offered(stage, stage.agent, frame)["transport_id"]

    async def attendance(surface: Surface, former: Trunk | None = None) -> tuple[str, Trunk]:
        former_id = None if former is None else former.connection.widget_id
        page = stage.connect(stage.agent, surface, former_widget_id=former_id)
        await stage.settle()
        return page.last("session.snapshot")["attendance"], page

    said, other = await attendance(Surface.POP_OUT)
    assert said == "elsewhere"
    stage.disconnect(stage.agent, other)
    said, other = await attendance(Surface.POP_OUT, former=other)
    assert said == "elsewhere"
    # What carried them comes back by itself, though its old connection may stand yet.
    said, _ = await attendance(Surface.AGENT_FRAME, former=frame)
    assert said == "present"
    # The click takes them away from the frame: now that one waits.
    offered(stage, stage.agent, other)
    stage.session.media.close_transport(stage.agent.participant_id, first)
    stage.disconnect(stage.agent, frame)
    said, _ = await attendance(Surface.AGENT_FRAME, former=frame)
    assert said == "elsewhere"
    # Where the window is closed nobody has to click.
    stage.disconnect(stage.agent, other)
    said, _ = await attendance(Surface.AGENT_FRAME)
    assert said == "present"


@pytest.mark.parametrize("offers", [False, True])
async def test_beside_the_page_that_began_the_session_another_waits_for_a_click(
    stage: Stage, offers: bool
) -> None:
    """Two widgets of one agent come in at once, in either order; nobody has offered media yet."""
    own = Trunk(Surface.POP_OUT)
    await stage.begin_unattended(opened_by=own.connection.connection_id)
    said = []
    for page in (Trunk(Surface.AGENT_FRAME), own, Trunk(Surface.AGENT_FRAME)):
        stage.session.comings.connect(stage.agent, page.connection, None)
        await stage.settle()
        said.append(page.last("session.snapshot")["attendance"])
    assert said == ["elsewhere", "present", "elsewhere"]
    # It is loaded anew before that, and remembers nothing; or what it offered is closed.
    if offers:
        carried = offered(stage, stage.agent, own)["transport_id"]
        stage.session.media.close_transport(stage.agent.participant_id, carried)
    else:
        stage.disconnect(stage.agent, own)
    page = stage.connect(stage.agent, Surface.POP_OUT)
    await stage.settle()
    assert page.last("session.snapshot")["attendance"] == "present"


async def test_of_whom_only_the_line_to_the_broker_is_lost_what_comes_is_shown(
    stage: Stage,
) -> None:
    """Sound and pictures go by another way, and the widgets see when they stop."""
    agent, consumer = await stage.talking()
    person = stage.consumer()
    sends = {"microphone": True, "camera": True, "screen": False}
    stage.ask(person, consumer, "media.publish", **sends)
    stage.disconnect(person, consumer)
    await stage.settle()
    roster = agent.last("roster.changed")["roster"]
    [entry] = [each for each in roster if each["participant_id"] == person.participant_id]
    assert {name: entry[name] for name in ("attendance", *sends)} == {
        "attendance": "reconnecting",
        **sends,
    }
