"""A gateway with its simulated hosts, ledger and session actor, all in this process."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

from actors.relay import RelayConfig
from actors.session.config import SessionConfig
from gateway.commands.demo_hosts import create_demo_hosts
from gateway.serve import EdgeServer, bind
from gateway.settings import DemoHost, Settings
from tests.house import WAIT_S, House, end

LOOPBACK = "127.0.0.1"


class Fair(House):
    """A house whose agents and consumers meet in the simulated hosts' pages.

    `media`: the address of the relay; `gateway_name`, `hosts_name`: what browsers call the gateway
    and the hosts, if not by their address; `brand`: another origin that may frame the widgets.
    """

    def __init__(
        self,
        stack: AsyncExitStack,
        *,
        media: str = LOOPBACK,
        gateway_name: str = LOOPBACK,
        hosts_name: str = LOOPBACK,
        brand: str | None = None,
    ) -> None:
        super().__init__(stack)
        self._media = media
        self._gateway_name = gateway_name
        self._stand = bind(LOOPBACK, 0)
        self.hosts = f"http://{hosts_name}:{self._stand.getsockname()[1]}"
        self._framed_by = (self.hosts,) if brand is None else (self.hosts, brand)
        self.origin = ""

    def settings(self, origin: str, name: str) -> Settings:
        self.origin = origin.replace(LOOPBACK, self._gateway_name)
        told = super().settings(self.origin, name)
        account = replace(told.accounts["demo"], frame_ancestors=self._framed_by)
        return replace(
            told,
            accounts={"demo": account},
            demo=DemoHost(origin=self.hosts, account_id="demo"),
            agent_sdk=f"{self.hosts}/simulator/agent-sdk.js",
            window_sdk=f"{self.hosts}/simulator/widget-sdk.js",
        )

    def config(self) -> SessionConfig:
        """Guests come by the gateway; media have an address that the browser uses."""
        relay = RelayConfig(bind=(self._media,))
        return replace(super().config(), public_url=self.origin, relay=relay)

    async def begin(self) -> None:
        """Open a gateway with its hosts, and have one session actor ready."""
        settings = self.settings(await self.gateway("g"), "g")
        hosts = EdgeServer(create_demo_hosts(settings), [self._stand])
        self.stack.push_async_callback(end, asyncio.create_task(hosts.run()))
        self.stack.push_async_callback(hosts.stop)
        async with asyncio.timeout(WAIT_S):
            await hosts.started.wait()
        await self.standby()
