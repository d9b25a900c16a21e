"""Lines of the kernel's own between relay and client, in network namespaces; this needs root."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from actors.relay import PublishSource, RelayConfig
from tests.patience import PATIENCE, Standstill, until

from .camera import RIDS, Camera, shown
from .client import CraftedClient
from .conftest import Call, StartCall
from .namespaces import Namespace, two_lines
from .voice import concealed, talking

RELAY = "10.77.1.1"
FIRST, SECOND = "10.77.1.2", "10.77.2.2"
NARROW_SECONDS = 15.0


SHAPES = {
    "tbf": ["tbf", "rate", "500kbit", "burst", "2kb", "latency", "200ms"],
    "netem": ["netem", "rate", "500kbit", "delay", "100ms", "loss", "5%", "limit", "14"],
}
"""What makes a line of 500 kbit/s with a queue of 200 ms."""


@pytest.fixture
def ends() -> Iterator[tuple[Namespace, Namespace]]:
    """The relay's namespace and a client's."""
    with two_lines() as (near, far):
        yield near, far


async def join(
    call: Call, name: str, where: Namespace, host: str, **options: object
) -> CraftedClient:
    """Connect a client from one of the namespaces."""
    client = CraftedClient(call.relay, name, host=host, server=RELAY, **options)  # type: ignore[arg-type]
    call.clients.append(client)
    with where.inside():
        await client.connect()
    return client


async def start(start_call: StartCall, near: Namespace) -> Call:
    with near.inside():
        return await start_call(RelayConfig(bind=(RELAY,)))


async def test_a_client_whose_network_goes_away_goes_on_by_another(
    start_call: StartCall, ends: tuple[Namespace, Namespace]
) -> None:
    near, far = ends
    call = await start(start_call, near)
    ada = await join(call, "ada", near, RELAY)
    ben = await join(call, "ben", far, FIRST)
    audio, _ = ben.seat(0)
    async with talking(ada):
        await until(lambda: len(ben.heard_on(audio)) > 10)
        far.ip("link", "set", "line-1", "down")
        loop, still = asyncio.get_running_loop(), Standstill()
        gone = loop.time()
        before = len(ben.heard_on(audio))

        def goes_on() -> bool:
            still.look()
            return len(ben.heard_on(audio)) > before

        with far.inside():
            await ben.rebind(SECOND)
        ben.keep_checking()
        await until(goes_on)
        # Both ends are in this process.
        assert ben.heard_on(audio)[before].at - gone - still.look() < 1.0 * PATIENCE
        # The same handshake, the same keys: nothing was negotiated anew.
        assert ben.undecryptable == 0
        selected = call.relay.transports["ben-1"].ice.selected
        assert selected is not None
        assert selected.endpoint[0] == SECOND
        ben.send_audio(b"still here")
        await until(lambda: any(h.content == b"still here" for h in ada.heard))


@pytest.mark.soak
@pytest.mark.parametrize("shape", SHAPES)
async def test_a_line_that_the_kernel_narrows_lowers_the_layer_and_comes_back(
    start_call: StartCall,
    ends: tuple[Namespace, Namespace],
    shape: str,
    record_property: Callable[[str, object], None],
) -> None:
    """`test_congestion` by the real clock; `netem` wherever the kernel has it, `tbf` everywhere."""
    near, far = ends
    if shape == "netem" and not near.has("netem"):
        record_property("note", "the kernel has no netem: no line that loses was tried")
        # `tc` reads its words before it asks the kernel: at least they are right.
        with pytest.raises(AssertionError, match="qdisc kind is unknown"):
            near.tc("qdisc", "add", "dev", "line-1", "root", *SHAPES[shape])
        return
    call = await start(start_call, near)
    ada = await join(call, "ada", near, RELAY, rids=RIDS)
    ben = await join(call, "ben", far, FIRST)
    cy = await join(call, "cy", far, SECOND)
    camera = Camera(ada, parts={"q": 1, "h": 2, "f": 6}, octets=1000, interval=1 / 30)
    try:
        async with talking(ada):
            for client in (ben, cy):
                client.acknowledge()
                call.relay.set_view(client.transport_id, {0: (1280, 720)}, {})
            await until(lambda: shown(ben) == "f" and shown(cy) == "f")
            await asyncio.sleep(3)
            microphone = ada.track(PublishSource.MICROPHONE)
            first, others = microphone.packets, len(cy.heard_on(cy.seat(0)[1]))
            near.tc("qdisc", "add", "dev", "line-1", "root", *SHAPES[shape])
            await until(lambda: shown(ben) in ("q", "h"), within=3.0 * PATIENCE)
            await asyncio.sleep(NARROW_SECONDS)
            # The queue itself is 200 ms long; a jitter buffer that has seen it waits for that.
            made_up = concealed(ben, first, microphone.packets - 20, patience=0.25)
            near.tc("qdisc", "delete", "dev", "line-1", "root")
            await until(lambda: shown(ben) == "f", within=10.0 * PATIENCE)
            print(shape, f"{made_up:.1%} of the voice made up")
            assert made_up <= 0.03
            await until(lambda: len(cy.heard_on(cy.seat(0)[0])) >= microphone.packets - 1)
            assert {h.content[-1:] for h in cy.heard_on(cy.seat(0)[1])[others:]} == {b"f"}
    finally:
        await camera.stop()
