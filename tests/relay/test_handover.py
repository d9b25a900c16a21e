"""Two transports of one person: the newer takes over at its key frame (pop-out, reload)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from actors.relay import PublishSource, TransportState
from broker.errors import Conflict
from tests.patience import until

from .client import CraftedClient
from .conftest import Call, call_in_virtual_time


async def test_the_newer_takes_over_at_its_first_key_frame(call: Call) -> None:
    old = await call.join("ada", "ada-old")
    ben = await call.join("ben")
    audio, video = ben.seat(0)
    old.send_frame(key=True, parts=(b"old",))
    old.send_audio(b"old")
    await until(lambda: ben.heard_on(video) and ben.heard_on(audio))
    new = await call.join("ada", "ada-new")
    # Until its key frame nothing of the newer is heard, so there is no echo.
    new.send_audio(b"early")
    new.send_frame(parts=(b"delta",))
    old.send_frame(parts=(b"old",))
    old.send_audio(b"old")
    await until(lambda: len(ben.heard_on(video)) == 2 and len(ben.heard_on(audio)) == 2)
    new.send_frame(key=True, parts=(b"new",))
    new.send_audio(b"new")
    await until(lambda: len(ben.heard_on(video)) == 3 and len(ben.heard_on(audio)) == 3)
    assert [h.content for h in ben.heard_on(video)] == [b"old", b"old", b"new"]
    assert [h.content for h in ben.heard_on(audio)] == [b"old", b"old", b"new"]
    numbers = [h.packet.sequence_number for h in ben.heard_on(video)]
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    assert call.listener.state_of("ada-old") is TransportState.CLOSED
    assert call.listener.state_of("ada-new") is TransportState.CONNECTED
    # Ben saw one Ada all along.
    told = [s.participant_id for p, s in call.listener.seats if p == "ben"]
    assert [who for who in told if who is not None] == ["ada"]


async def test_the_newer_is_seated_with_the_others_before_it_takes_over(call: Call) -> None:
    await call.join("ada", "ada-old")
    ben = await call.join("ben")
    new = await call.join("ada", "ada-new")
    assert list(call.listener.occupants_of("ada-new").values()) == ["ben"]
    audio, _ = new.seat(0)
    ben.send_audio()
    await until(lambda: new.heard_on(audio))


async def everybody_speaks(call: Call) -> None:
    """Ada by two transports at once, as one microphone in two pages, and Ben all the while."""
    old, ben = await call.join("ada", "ada-old"), await call.join("ben")
    clients = [old, ben]
    for number in range(150):
        if number == 50:
            clients.append(await call.join("ada", "ada-new"))
        for client in clients:
            said = f"{client.participant_id} {number}".encode()
            client.send_audio(said)
            # One camera for both pages: it is the newer's later than the voice is.
            if number % 2 and client in (ben, clients[0] if number < 91 else clients[-1]):
                client.send_frame(key=number in (1, 91), parts=(said,))
        await asyncio.sleep(0.02)
    new = clients[-1]
    assert call.listener.state_of("ada-old") is TransportState.CLOSED
    for client in (old, new):
        assert {h.content.split()[0] for h in client.heard} == {b"ben"}
        for mid in client.seat(0):
            assert len(client.heard_on(mid)) > 20
    audio, video = ben.seat(0)
    # All seats of his, and what he would be sent again: one voice and one picture, each once.
    assert len(ben.heard) == len(ben.heard_on(audio)) + len(ben.heard_on(video))
    assert [h.content for h in ben.heard_on(audio)] == [b"ada %d" % n for n in range(150)]
    assert [h.content for h in ben.heard_on(video)] == [b"ada %d" % n for n in range(1, 150, 2)]


def test_nobody_hears_themselves_and_everybody_hears_who_hands_over_once() -> None:
    call_in_virtual_time(everybody_speaks)


async def test_voice_alone_hands_over_at_its_first_packet(call: Call) -> None:
    microphone = (PublishSource.MICROPHONE,)
    await call.join("ada", "ada-old", publish=microphone)
    ben = await call.join("ben")
    new = await call.join("ada", "ada-new", publish=microphone)
    new.send_audio(b"new")
    new.send_audio(b"new")
    audio, _ = ben.seat(0)
    await until(lambda: ben.heard_on(audio))
    assert call.listener.state_of("ada-old") is TransportState.CLOSED


async def begun_without_its_key_frame(call: Call, begin: Callable[[CraftedClient], None]) -> float:
    """Let the newer's first key frame come to nothing; return after how long it took over."""
    loop = asyncio.get_running_loop()
    old = await call.join("ada", "ada-old")
    ben = await call.join("ben")
    _, video = ben.seat(0)
    old.send_frame(key=True, parts=(b"old",))
    new = await call.join("ada", "ada-new")
    begun = loop.time()
    begin(new)
    sent = 1
    while "ada-old" in call.relay.transports:
        old.send_frame(parts=(b"old",))
        sent += 1
        # An encoder takes its time.
        asked = [at for _, at in new.key_frame_requests if loop.time() - at > 0.1]
        new.send_frame(key=bool(asked), parts=(b"new",))
        await asyncio.sleep(1 / 30)
    # Until then the older is seen, and nothing of the newer.
    assert [heard.content for heard in ben.heard_on(video)] == [b"old"] * sent + [b"new"]
    assert len(new.key_frame_requests) == 1
    return loop.time() - begun


def loses_it(client: CraftedClient) -> None:
    client.send_frame(key=True, parts=(b"lost", b"first"), lose=(0,))


def overtakes_it(client: CraftedClient) -> None:
    """Its second packet comes before its first."""
    track = client.track(PublishSource.CAMERA)
    first, second = (
        client.rtp(
            track,
            track.vp8_payload(b"early", key=True, first=not place),
            sequence=track.sequence + place & 0xFFFF,
            marker=bool(place),
        )
        for place in (0, 1)
    )
    client.send(second)
    client.send(first)
    track.sequence += 2


@pytest.mark.parametrize("begin", [loses_it, overtakes_it])
def test_a_newer_whose_first_key_frame_is_lost_is_asked_for_another(
    begin: Callable[[CraftedClient], None],
) -> None:
    lasted = call_in_virtual_time(partial(begun_without_its_key_frame, begin=begin))
    assert 0.1 < lasted < 0.3


async def test_a_third_replaces_the_second(call: Call) -> None:
    await call.join("ada", "ada-1")
    await call.join("ada", "ada-2")
    await call.join("ada", "ada-3")
    assert call.listener.state_of("ada-2") is TransportState.CLOSED
    assert set(call.relay.transports) == {"ada-1", "ada-3"}


async def a_newer_one_without_pictures(call: Call) -> None:
    await call.join("ada", "ada-old", publish=())
    await call.join("ada", "ada-new")
    await until(lambda: call.listener.state_of("ada-old") is TransportState.CLOSED)


def test_a_newer_one_without_pictures_takes_over_in_the_end() -> None:
    call_in_virtual_time(a_newer_one_without_pictures)


async def asked_for_devices(call: Call, older: bool, says: float | None) -> float:
    """How long the older transport goes on: its window sends (`older`) or is gone, and the newer
    says what it sends after so many seconds, or never."""
    old = await call.join("ada", "ada-old")
    ben = await call.join("ben")
    old.send_frame(key=True)
    new = await call.join("ada", "ada-new")
    if not older:
        old.vanish()
    begun = call.relay.transports["ada-new"].created
    clock = asyncio.get_running_loop().time
    while "ada-old" in call.relay.transports:
        for client in (old, new, ben) if older else (new, ben):
            client.send_audio()
        if says is not None and clock() - begun > says:
            call.relay.settle("ada")
            says = None
        await asyncio.sleep(0.1)
    return clock() - begun


@pytest.mark.parametrize(
    ("older", "says", "expected"),
    [
        pytest.param(True, 12.0, 15, id="answered"),
        pytest.param(True, None, 60, id="never answered"),
        pytest.param(False, None, 3, id="the older is gone"),
    ],
)
def test_while_a_person_is_asked_for_devices_the_older_goes_on(
    older: bool, says: float | None, expected: int
) -> None:
    lasted = call_in_virtual_time(partial(asked_for_devices, older=older, says=says))
    assert expected < lasted < expected + 0.5


async def test_losing_the_old_one_promotes_the_newer(call: Call) -> None:
    old = await call.join("ada", "ada-old")
    ben = await call.join("ben")
    new = await call.join("ada", "ada-new")
    old.close()
    await until(lambda: call.listener.state_of("ada-old") is TransportState.CLOSED)
    new.send_audio(b"new")
    audio, _ = ben.seat(0)
    await until(lambda: ben.heard_on(audio))


async def test_a_transport_of_somebody_else_cannot_be_renegotiated(call: Call) -> None:
    await call.join("ada", "shared")
    mallory = CraftedClient(call.relay, "mallory", "shared")
    with pytest.raises(Conflict):
        mallory.negotiate()


async def test_what_one_page_shows_says_nothing_of_the_other(call: Call) -> None:
    """An own window lies over the page that it was opened from, which says that it is not seen."""
    ada = await call.join("ada")
    page = await call.join("ben", "ben-page", publish=(), seats=1)
    _, video = page.seat(0)
    ada.send_frame(key=True)
    await until(lambda: page.heard_on(video))
    window = CraftedClient(call.relay, "ben", "ben-window", publish=(), seats=1)
    call.clients.append(window)
    await window.open()
    window.negotiate()
    call.relay.set_view("ben-window", {0: (640, 360)}, {})
    call.relay.set_view("ben-page", {0: None}, {})
    await window.associate(10.0)
    _, video = window.seat(0)
    asked = len(ada.key_frame_requests)
    await until(lambda: len(ada.key_frame_requests) > asked)
    ada.send_frame(key=True, parts=(b"seen",))
    await until(lambda: window.heard_on(video))
    call.relay.set_view("ben-page", {0: None}, {})
    ada.send_frame(parts=(b"also",))
    await until(lambda: len(window.heard_on(video)) == 2)
    # A transport that nobody has is nobody's view.
    call.relay.set_view("ben-page", {0: None}, {})
    call.relay.set_view("nobody", {0: None}, {})
