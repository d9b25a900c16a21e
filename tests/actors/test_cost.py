"""What it costs to tell everybody something, in calls: times are no use on a shared machine.

A process that is woken ten times a second among a hundred finds nothing of its own in the caches:
there each call of Python takes several times what it takes in a loop.
"""

from __future__ import annotations

import pytest

from actors.session.person import Person
from broker.words import Capability
from tests.actors.stage import Stage, Trunk
from tests.profile import calls_of, named, ours

MOST_EACH = 11
"""Calls for each further person who is told."""


async def seated(stage: Stage, count: int) -> list[tuple[Person, Trunk]]:
    """A session in which so many people take part, each with one widget."""
    agent, consumer = await stage.talking()
    people = [(stage.agent, agent), (stage.consumer(), consumer)]
    return people + [await stage.guest(f"g{n}", admitted=True) for n in range(count - 2)]


async def toggled(stage: Stage, person: Person, trunk: Trunk) -> dict[str, int]:
    """Turn somebody's camera off, and count what follows of it."""
    await stage.settle()

    def step() -> None:
        data = b'{"type":"media.publish","microphone":true,"camera":%s,"screen":false}'
        on = not any(person.published.values())
        stage.requests.handle(person, trunk.connection, data % (b"true" if on else b"false"))
        stage.session.narrator.tell_roster()

    step()
    return dict(calls_of(step))


async def test_a_further_person_costs_a_few_calls_and_one_write(stage: Stage) -> None:
    few = await seated(stage, 4)
    before = await toggled(stage, *few[1])
    assert named(before, "FakeTransport.write") == 4
    more = Stage(stage.session.decided.policy)
    try:
        many = await seated(more, 8)
        after = await toggled(more, *many[1])
    finally:
        await more.close()
    assert named(after, "FakeTransport.write") == 8
    each = (ours(after) - ours(before)) / 4
    assert each <= MOST_EACH


@pytest.mark.parametrize(("who", "encodings"), [(0, 2), (1, 1), (2, 1)])
async def test_an_entry_is_encoded_once_for_all_who_see_the_same(
    stage: Stage, who: int, encodings: int
) -> None:
    """How a member of the staff is in the session only the staff is told."""
    people = await seated(stage, 4)
    calls = await toggled(stage, *people[who])
    assert named(calls, "BaseModel.model_dump_json") == encodings


async def test_words_are_encoded_without_a_call_of_python(stage: Stage) -> None:
    people = await seated(stage, 2)
    calls = await toggled(stage, *people[0])
    assert [name for name in calls if name.startswith("enum.py ")] == []
    assert Capability.INVITE.value == "invite"
