"""A keeper that is quick, its link, and sessions for it to keep."""

from __future__ import annotations

from actors.keeper import DeliveryPolicy, Endpoint, Keeper, KeeperPolicy
from actors.ledger_link import LedgerLink
from broker.messages.cluster.members import LinkHello
from tests.ledger.conftest import Town
from tests.ledger.fakes import ACCOUNT, KEY, TIMING, FakeActor
from tests.ledger.receiver import SECRET

HELLO = LinkHello(kind="keeper", member_id="keeper", node="n")
QUICK = KeeperPolicy(
    delivery=DeliveryPolicy(
        attempt_s=2.0, backoff_first_s=0.01, backoff_last_s=0.02, loopback_allowed=True
    ),
    poll_s=0.05,
    reconcile_s=0.05,
    expire_s=0.05,
)


async def run_keeper(
    town: Town,
    *ports: int,
    policy: KeeperPolicy = QUICK,
    account_id: str = ACCOUNT,
    knows_all: bool = True,
) -> Keeper:
    endpoints = [
        Endpoint(f"endpoint-{number}", account_id, f"http://localhost:{port}/hook?x=1", SECRET)
        for number, port in enumerate(ports)
    ]
    keeper = Keeper(
        town.home,
        KEY,
        HELLO,
        now_ms=town.clock,
        endpoints=endpoints,
        knows_all=knows_all,
        policy=policy,
        timing=TIMING,
    )
    town.stack.push_async_callback(keeper.close)
    await keeper.start()
    return keeper


async def keeper_link(town: Town) -> LedgerLink:
    link = LedgerLink(town.home, KEY, HELLO, timing=TIMING)
    town.stack.push_async_callback(link.close)
    await link.start()
    return link


def moved(town: Town) -> bool:
    """Let a moment pass, for conditions that need one each time they are looked at."""
    town.clock.ms += 50
    return True


async def sessions(town: Town, count: int) -> list[FakeActor]:
    """Return actors, each with a session of its own."""
    gateway = await town.gateway()
    actors = []
    for number in range(count):
        actors.append(await town.actor())
        await gateway.open(f"eng-{number}")
    return sorted(actors, key=lambda actor: str(actor.session_id))
