"""What one peer may cost: every bound of the design, met by a peer who passes it."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from actors.relay import Relay, RelayConfig, TransportState, stun
from actors.relay.dtls import Dtls
from tests.patience import until

from .client import CraftedClient
from .conftest import Call, StartCall


@pytest.mark.parametrize("connected", [True, False])
async def test_dtls_noise_of_a_validated_address_is_bounded_and_counted(
    start_call: StartCall, monkeypatch: pytest.MonkeyPatch, connected: bool
) -> None:
    """Whoever knows a caller's address can forge it; OpenSSL sees so much of it and no more."""
    moment = 1000.0
    call = await start_call(clock=lambda: moment)
    ada = CraftedClient(call.relay, "ada")
    call.clients.append(ada)
    if connected:
        await ada.connect()
        ada.stop_checking()
    else:
        await ada.open()
        ada.negotiate()
        ada.send_check()
    await until(lambda: ada.checks_answered)
    seen: list[int] = []
    receive = Dtls.receive

    def counted(dtls: Dtls, datagram: bytes) -> None:
        seen.append(len(datagram))
        receive(dtls, datagram)

    monkeypatch.setattr(Dtls, "receive", counted)
    moment += 1.0
    drops = call.relay.transports["ada-1"].intake.drops
    for _ in range(200):
        ada.send(b"\x17\xfe\xfd" + os.urandom(60))
    await until(lambda: len(seen) + drops.excess == 200)
    assert len(seen) == RelayConfig().dtls_datagrams_per_second == 50
    # A second later the peer is heard again.
    moment += 1.0
    if connected:
        ada.close()
        await until(lambda: call.listener.state_of("ada-1") is TransportState.CLOSED)
    else:
        await ada.associate(10.0)
        await until(lambda: call.listener.state_of("ada-1") is TransportState.CONNECTED)
