"""Who waits and who wants to know: the pure part, then over links."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actors.ledger.policy import LedgerPolicy
from actors.ledger.presence import Presence
from broker.errors import SwitchboardError, TooFast
from broker.messages.cluster.presence import PresencePut, PresenceState, PresenceWatch
from broker.messages.cluster.trunk import Location
from broker.words import Reach, Surface
from tests.ledger.conftest import Town
from tests.ledger.fakes import ACCOUNT, FakeGateway, entry, waiting
from tests.patience import until

KEY = (ACCOUNT, "eng-1")


class Board:
    """A presence with one engagement that may be live, and everything it told."""

    def __init__(self, policy: LedgerPolicy | None = None) -> None:
        self.live: Location | None = None
        self.told: list[tuple[str, str, Reach]] = []
        self.presence: Presence[str] = Presence(
            policy or LedgerPolicy(),
            lambda key: self.live if key == KEY else None,
            lambda gateway, state: self.told.append((gateway, state.connection_id, state.reach)),
        )

    def watch(self, connection_id: str, gateway: str = "g") -> PresenceState:
        ask = PresenceWatch(connection_id=connection_id, account_id=ACCOUNT, key="eng-1")
        return self.presence.watch(gateway, ask)


def test_reach_goes_from_absent_to_hidden_to_reachable_and_back() -> None:
    board = Board()
    assert board.watch("agent").reach is Reach.ABSENT
    board.presence.put("g", waiting("c1", visible=False))
    board.presence.put("g", waiting("c2", visible=False, surface=Surface.WINDOW))
    board.presence.put("g", waiting("c1", visible=True))
    board.presence.put("g", waiting("c1", visible=True))
    board.presence.drop("c1")
    board.presence.drop("c2")
    board.presence.drop("c2")
    assert [reach for _, _, reach in board.told] == [
        Reach.HIDDEN,
        Reach.HIDDEN,  # another surface
        Reach.REACHABLE,
        Reach.HIDDEN,
        Reach.ABSENT,
    ]


def test_only_watchers_of_the_engagement_are_told_until_they_stop() -> None:
    board = Board()
    board.watch("agent")
    board.presence.put("g", waiting("c1", "eng-2"))
    board.presence.unwatch("agent")
    board.presence.put("g", waiting("c2"))
    assert board.told == []


def test_a_key_that_is_given_up_counts_no_more() -> None:
    board = Board()
    board.watch("agent")
    board.presence.put("g", waiting("c1"))
    board.presence.put("g", waiting("c1", "eng-2"))
    assert [reach for _, _, reach in board.told] == [Reach.REACHABLE, Reach.ABSENT]
    assert board.presence.waiting(KEY) == []


def test_a_gateway_takes_its_connections_with_it() -> None:
    board = Board()
    board.watch("agent", "g1")
    board.watch("lost", "g2")
    board.presence.put("g2", waiting("c1"))
    board.presence.put("g1", waiting("c2", visible=False))
    board.told.clear()
    board.presence.on_gateway_lost("g2")
    assert board.told == [("g1", "agent", Reach.HIDDEN)]
    assert len(board.presence) == 1
    board.presence.on_gateway_lost("g1")
    assert board.presence._by_gateway == {}
    assert board.presence._by_key == {}
    assert board.presence._by_account == {}


def test_a_connection_that_moved_is_not_lost_with_its_old_gateway() -> None:
    board = Board()
    board.presence.put("g1", waiting("c1"))
    board.presence.put("g2", waiting("c1"))
    board.presence.on_gateway_lost("g1")
    assert [one.gateway for one in board.presence.waiting(KEY)] == ["g2"]


def test_a_connection_that_is_of_another_account_leaves_nothing_at_the_former() -> None:
    board = Board()
    board.watch("agent")
    board.presence.put("g", waiting("c1", claim="mine"))
    board.presence.put("g", waiting("c1").model_copy(update={"account_id": "other"}))
    assert [reach for _, _, reach in board.told] == [Reach.REACHABLE, Reach.ABSENT]
    assert board.presence.claim(KEY) is None
    assert list(board.presence._by_key) == [("other", "eng-1")]


def test_the_first_claim_is_remembered_while_anybody_waits() -> None:
    board = Board()
    board.presence.put("g", waiting("c1", claim="mine"))
    board.presence.put("g", waiting("c2", claim="theirs"))
    board.presence.drop("c1")
    assert board.presence.claim(KEY) == "mine"
    board.presence.drop("c2")
    assert board.presence.claim(KEY) is None
    board.presence.put("g", waiting("c3", claim="theirs"))
    assert board.presence.claim(KEY) == "theirs"


def test_a_live_session_is_told_once() -> None:
    board = Board()
    board.watch("agent")
    board.live = Location(
        session_id="s", epoch=1, host="h", port=1, account_id=ACCOUNT, engagement_key="eng-1"
    )
    board.presence.on_live_changed(KEY)
    board.presence.on_live_changed(KEY)
    assert len(board.told) == 1
    assert board.presence.put("g", waiting("c1")).live == board.live
    assert board.presence.put("g", waiting("c2", "eng-2")).live is None


@pytest.mark.parametrize(
    ("bound", "puts"),
    [
        ({"waiting_limit": 2}, [waiting("c1", "a"), waiting("c2", "b"), waiting("c3", "c")]),
        ({"waiting_per_account": 2}, [waiting("c1", "a"), waiting("c2", "b"), waiting("c3", "c")]),
        ({"waiting_per_key": 2}, [waiting("c1", "a"), waiting("c2", "a"), waiting("c3", "a")]),
    ],
)
def test_waiting_is_bounded(bound: dict[str, int], puts: list[PresencePut]) -> None:
    board = Board(replace(LedgerPolicy(), **bound))  # type: ignore[arg-type]  # all are integers
    for put in puts[:2]:
        board.presence.put("g", put)
    with pytest.raises(TooFast):
        board.presence.put("g", puts[2])
    board.presence.put("g", puts[1])  # what is there may say something again
    board.presence.drop("c1")
    board.presence.put("g", puts[2])
    assert len(board.presence) == 2


def test_whoever_knows_the_ids_cannot_fill_the_places_of_who_was_there_first() -> None:
    board = Board(replace(LedgerPolicy(), waiting_per_key=2))
    board.presence.put("g", waiting("mine", claim="mine"))
    for number in range(2):
        board.presence.put("g", waiting(f"x{number}", claim=f"x{number}"))
    with pytest.raises(TooFast):
        board.presence.put("g", waiting("x2", claim="x2"))
    board.presence.put("g", waiting("mine again", claim="mine"))
    board.presence.drop("mine")
    board.presence.put("g", waiting("mine after a reload", claim="mine"))
    with pytest.raises(TooFast):
        board.presence.put("g", waiting("a third of mine", claim="mine"))


def test_watching_is_bounded() -> None:
    board = Board(replace(LedgerPolicy(), watching_per_key=1))
    board.watch("one")
    board.watch("one")
    with pytest.raises(TooFast):
        board.watch("two")


async def watch(gateway: FakeGateway, connection_id: str) -> PresenceState:
    return await gateway.link.call(
        PresenceWatch(connection_id=connection_id, account_id=ACCOUNT, key="eng-1"),
        PresenceState,
    )


async def test_an_agent_learns_across_gateways_what_the_consumer_does(town: Town) -> None:
    agent, consumer = await town.gateway(), await town.gateway()
    actor = await town.actor()
    assert (await watch(agent, "a1")).reach is Reach.ABSENT
    await consumer.put("c1", visible=False)
    await consumer.put("c1", visible=True)
    location = await agent.open()
    await actor.append(entry(2, "session.ended", reason="ended_by_agent"))
    await consumer.link.close()

    def told() -> list[tuple[Reach, bool]]:
        states = agent.told("presence.changed", PresenceState)
        return [(state.reach, state.live == location) for state in states]

    await until(lambda: len(told()) == 5, "five changes")
    assert told() == [
        (Reach.HIDDEN, False),
        (Reach.REACHABLE, False),
        (Reach.REACHABLE, True),
        (Reach.REACHABLE, False),
        (Reach.ABSENT, False),
    ]


async def test_two_thousand_waiting_connections_take_no_actor(town: Town) -> None:
    gateway, actor = await town.gateway(), await town.actor()
    for number in range(2_000):
        await gateway.put(f"c{number}", f"eng-{number}")
    assert actor.session_id is None
    assert town.ledger.level().standbys == 1
    assert (await gateway.open("eng-1999")).port == actor.port


async def test_only_gateways_may_speak_of_presence(town: Town) -> None:
    actor = await town.actor()
    with pytest.raises(SwitchboardError, match="may not"):
        await actor.link.call(waiting("c1"), PresenceState)


@pytest.mark.parametrize("bound", ["waiting_limit", "waiting_per_account", "waiting_per_key"])
def test_few_sources_keep_nobody_else_from_waiting(bound: str) -> None:
    """Of the source that has most the newest gives way, and its gateway is told."""
    gone: list[tuple[str, str]] = []
    policy = replace(LedgerPolicy(), **{bound: 6})  # type: ignore[arg-type]  # all are integers
    presence: Presence[str] = Presence(
        policy,
        lambda key: None,
        lambda gateway, state: None,
        lambda gateway, connection_id: gone.append((gateway, connection_id)),
    )

    def come(connection_id: str, origin: str) -> None:
        key = "eng-1" if bound == "waiting_per_key" else f"eng-{connection_id}"
        put = waiting(connection_id, key, claim=f"claim of {connection_id}")
        presence.put(f"g-{origin}", put.model_copy(update={"origin": origin}))

    if bound == "waiting_per_key":
        come("holds the first claim", "z")
    for number in range(4):
        come(f"a{number}", "a")
    come("b0", "b")
    come("b1", "b")
    come("c0", "c")
    assert gone == [("g-a", "a3")]
    with pytest.raises(TooFast):
        come("a4", "a")
    come("c1", "c")
    assert gone[1:] == [("g-a", "a2")]
    with pytest.raises(TooFast):
        come("d0", "a")
    come("b0", "b")  # what is there may say something again
    come("d1", "d")
    assert len(gone) == 3
    for origin in "abcdz":
        presence.on_gateway_lost(f"g-{origin}")
    assert len(presence) == 0
    come("a5", "a")
    assert len(gone) == 3, "nothing is counted of those who have gone"


def test_a_newcomer_takes_one_place_of_others_at_each_of_its_keys() -> None:
    gone: list[str] = []
    policy = LedgerPolicy(waiting_limit=6, waiting_per_account=6, waiting_per_key=2)
    presence: Presence[str] = Presence(
        policy,
        lambda key: None,
        lambda gateway, state: None,
        lambda gateway, connection_id: gone.append(connection_id),
    )

    def come(connection_id: str, *keys: str) -> None:
        """Its first letter says where it comes from."""
        put = waiting(connection_id).model_copy(update={"keys": keys, "origin": connection_id[0]})
        presence.put("g", put)

    for number in range(2):
        come(f"b{number}", "eng-1")
    for number in range(4):
        come(f"a{number}", f"eng-a{number}")
    # Full are the key, where b has most, the account and the ledger, where a has most.
    come("c0", "eng-1")
    assert gone == ["b1"]
    come("d0", "eng-d")
    assert gone[1:] == ["a3"]
    assert len(presence) == 6
