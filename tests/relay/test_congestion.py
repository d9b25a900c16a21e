"""One subscriber's line gets narrow: that subscriber sees a lower layer, nobody else does."""

from __future__ import annotations

from .camera import RIDS, Camera
from .client import CraftedClient, Downlink
from .conftest import Call
from .recording import until


def shown(client: CraftedClient) -> str:
    heard = client.heard_on(client.seat(0)[1])
    return heard[-1].content[-1:].decode() if heard else ""


async def test_a_narrow_line_lowers_the_layer_and_recovery_brings_it_back(call: Call) -> None:
    ada = await call.join("ada", rids=RIDS)
    ben = await call.join("ben")
    cy = await call.join("cy")
    # About 200, 400 and 1,200 kbit/s.
    camera = Camera(ada, parts={"q": 1, "h": 2, "f": 6}, octets=850, interval=1 / 30)
    for client in (ben, cy):
        client.acknowledge()
        call.relay.set_view(client.participant_id, {0: (1280, 720)}, {})
    try:
        layers = call.relay.transports["ada-1"].intake.layers
        # Every layer's rate is known, so that the first choice has settled.
        await until(lambda: len(layers) == 3 and all(la.bitrate > 0 for la in layers.values()))
        await until(lambda: shown(ben) == "f" and shown(cy) == "f")
        others = len(cy.heard_on(cy.seat(0)[1]))
        ben.downlink = Downlink(500_000, loss=0.05, delay=0.1)
        await until(lambda: shown(ben) in ("q", "h"))
        estimate = call.relay.transports["ben-1"].estimate
        await until(lambda: estimate.bitrate < 900_000)
        assert shown(cy) == "f"
        ben.downlink = None
        await until(lambda: shown(ben) == "f", within=30)
        # The other never saw anything but its own layer.
        heard = cy.heard_on(cy.seat(0)[1])[others:]
        assert {h.content[-1:] for h in heard} == {b"f"}
    finally:
        await camera.stop()
