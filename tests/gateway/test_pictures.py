"""Agents' pictures come from the gateway, and to it only from the hosts that were named."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import httpx
import pytest
import pytest_asyncio

from broker.errors import NotFound
from gateway.accounts import Account
from gateway.accounts_file import BadAccounts, read_accounts
from gateway.commands import logs
from gateway.proofs.tokens import Audience
from gateway.settings import Settings
from gateway.site import pictures
from gateway.site.pictures import MAX_BYTES, MAX_FETCHES, Pictures
from tests.gateway.conftest import API_KEY, SECRET, World
from tests.patience import PATIENCE, until

URL = "https://images.brand.example/alex.png"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(1_000)


class Brand(httpx.AsyncBaseTransport):
    """The brand's host of pictures: it answers as told, and remembers who asked."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self.answer: Callable[[], httpx.Response] = image
        self.open = asyncio.Event()
        self.open.set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        await self.open.wait()
        return self.answer()


def image(body: bytes = PNG, kind: str = "image/png", **headers: str) -> httpx.Response:
    return httpx.Response(
        200, stream=httpx.ByteStream(body), headers={"content-type": kind, **headers}
    )


@pytest.fixture
def brand() -> Brand:
    return Brand()


@pytest_asyncio.fixture
async def world(settings: Settings, brand: Brand) -> AsyncIterator[World]:
    hosts = ("images.brand.example",)
    account = replace(settings.accounts["acc"], picture_hosts=hosts)
    other = replace(settings.accounts["other"], picture_hosts=hosts)
    world = World(replace(settings, accounts={"acc": account, "other": other}))
    world.picture_hosts = brand
    await world.start()
    yield world
    await world.stop()


@pytest_asyncio.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with world.http() as client:
        yield client


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "FETCH_S", 0.05)


async def minted(client: httpx.AsyncClient, picture: str) -> httpx.Response:
    body = {"kind": "agent", "agent_id": "7", "name": "Alex", "picture": picture}
    headers = {"Authorization": f"Bearer {API_KEY}"}
    return await client.post("/v1/tokens", json=body, headers=headers)


async def path_of(world: World, client: httpx.AsyncClient, picture: str = URL) -> str:
    """Where widgets find the picture of an agent whose token names it."""
    answer = await minted(client, picture)
    assert answer.status_code == 201
    path = world.tokens.read(answer.json()["token"], Audience.AGENT).principal.picture
    assert path is not None
    assert path.startswith("/v1/pictures/acc/")
    return path


async def test_a_picture_is_had_from_the_gateway_and_asked_for_once(
    world: World, client: httpx.AsyncClient, brand: Brand
) -> None:
    path = await path_of(world, client)
    assert await path_of(world, client) == path, "browsers keep what has one address"
    for _ in range(3):
        answer = await client.get(path, headers={"Cookie": "who=me", "Referer": "https://shop"})
        assert (answer.status_code, answer.content) == (200, PNG)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["cache-control"] == "private, max-age=600"
    [asked] = brand.asked
    assert str(asked.url) == URL
    assert not asked.headers.keys() & {"cookie", "referer", "authorization"}


ELSEWHERE = (
    "https://elsewhere.example/alex.png",
    "https://images.brand.example:8443/alex.png",
    "https://images.brand.example@elsewhere.example/alex.png",
    "https://someone@images.brand.example/alex.png",
    "https://images.brand.example.elsewhere.example/alex.png",
    "https://[::1/alex.png",
)


async def test_a_picture_from_elsewhere_is_refused_when_the_token_is_minted(
    client: httpx.AsyncClient,
) -> None:
    for picture in ELSEWHERE:
        answer = await minted(client, picture)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), picture
        assert "picture_hosts" in answer.json()["detail"]


def test_an_account_that_says_nothing_names_no_host() -> None:
    assert (
        read_accounts({"accounts": {"a": {"token_url": "https://crm.example"}}})["a"].picture_hosts
        == ()
    )


@pytest.mark.parametrize("host", ["https://cdn.example", "*.example", "cdn.example/a", "", 7])
def test_a_host_that_is_none_is_refused_in_one_sentence(host: object) -> None:
    table = {"token_url": "https://crm.example", "picture_hosts": [host]}
    with pytest.raises(BadAccounts, match="picture_hosts"):
        read_accounts({"accounts": {"a": table}})


async def test_nobody_has_anything_fetched_that_was_not_signed(
    world: World, client: httpx.AsyncClient, brand: Brand
) -> None:
    path = await path_of(world, client)
    name = path.rpartition("/")[2]
    encoded, _, signature = name.partition(".")
    stranger = Pictures(b"x" * 32, {})
    forged = stranger.path_of(world.settings.accounts["acc"], URL)
    await stranger.close()
    for wrong in (
        f"/v1/pictures/other/{name}",
        f"/v1/pictures/nobody/{name}",
        f"/v1/pictures/acc/{encoded}.",
        f"/v1/pictures/acc/{encoded}A.{signature}",
        f"/v1/pictures/acc/{encoded}.{signature[:-1]}",
        "/v1/pictures/acc/%FF.%FF",
        "/v1/pictures/acc/a",
        forged,
    ):
        answer = await client.get(wrong)
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_entry"), wrong
    assert brand.asked == []


async def test_a_host_that_is_no_longer_named_serves_no_more(
    settings: Settings, brand: Brand
) -> None:
    account = Account("acc", picture_hosts=("images.brand.example",))
    accounts = {"acc": account}
    served = Pictures(SECRET, accounts, transport=brand)
    name = served.path_of(account, URL).rpartition("/")[2]
    assert (await served.fetch("acc", name)).body == PNG
    accounts["acc"] = Account("acc")
    with pytest.raises(NotFound):
        await served.fetch("acc", name)
    await served.close()


NO_PICTURE: dict[str, Callable[[], httpx.Response]] = {
    "large": lambda: image(bytes(MAX_BYTES + 1)),
    "svg": lambda: image(b"<svg/>", "image/svg+xml"),
    "html": lambda: image(b"<p>", "text/html"),
    "redirect": lambda: httpx.Response(302, headers={"location": URL, "content-type": "image/png"}),
    "missing": lambda: httpx.Response(404, headers={"content-type": "image/png"}),
    "untold": lambda: httpx.Response(200, stream=httpx.ByteStream(PNG)),
}


async def test_what_is_no_picture_is_not_passed_on(
    world: World, client: httpx.AsyncClient, brand: Brand
) -> None:
    for number, (what, answer) in enumerate(NO_PICTURE.items(), start=1):
        brand.answer = answer
        path = await path_of(world, client, f"{URL}?{what}")
        for _ in range(2):
            assert (await client.get(path)).status_code == 404, what
        assert len(brand.asked) == number, "nor asked for again at once"


async def test_the_largest_picture_comes_whole(
    world: World, client: httpx.AsyncClient, brand: Brand
) -> None:
    brand.answer = lambda: image(bytes(MAX_BYTES), "image/webp")
    answer = await client.get(await path_of(world, client))
    assert (answer.status_code, len(answer.content)) == (200, MAX_BYTES)


@pytest.mark.usefixtures("short")
async def test_a_host_that_does_not_answer_holds_nobody_up(
    world: World, client: httpx.AsyncClient, brand: Brand
) -> None:
    brand.open.clear()
    async with asyncio.timeout(10 * PATIENCE):
        assert (await client.get(await path_of(world, client))).status_code == 404


async def test_many_who_ask_at_once_are_one_and_there_is_a_bound(
    world: World, client: httpx.AsyncClient, brand: Brand
) -> None:
    brand.open.clear()
    paths = [await path_of(world, client, f"{URL}?{n}") for n in range(MAX_FETCHES + 1)]
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(client.get(path)) for path in paths[:-1] for _ in range(3)]
        await until(lambda: len(brand.asked) == MAX_FETCHES, "all are asked for")
        late = await client.get(paths[-1])
        assert (late.status_code, late.json()["retryable"]) == (503, True)
        brand.open.set()
    assert {each.result().status_code for each in asked} == {200}
    assert len(brand.asked) == MAX_FETCHES
    assert (await client.get(paths[-1])).status_code == 200


async def test_so_many_are_kept_and_the_oldest_goes(brand: Brand) -> None:
    account = Account("acc", picture_hosts=("images.brand.example",))
    served = Pictures(SECRET, {"acc": account}, transport=brand)
    paths = [served.path_of(account, f"{URL}?{n}") for n in range(pictures.MAX_KEPT + 1)]
    names = [path.rpartition("/")[2] for path in paths]
    for name in names:
        await served.fetch("acc", name)
    await served.fetch("acc", names[-1])
    assert len(brand.asked) == len(names)
    await served.fetch("acc", names[0])
    assert len(brand.asked) == len(names) + 1
    await served.close()


async def test_no_page_lets_a_picture_come_from_elsewhere(client: httpx.AsyncClient) -> None:
    for page in ("agent", "window", "engagement", "join"):
        policy = (await client.get(f"/{page}")).headers["content-security-policy"]
        assert "img-src 'self' data:;" in policy, page


async def test_a_verbose_log_does_not_say_where_a_picture_is(
    brand: Brand, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its address may name whom it shows; httpx says every address that it asks."""
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    caplog.set_level(logging.INFO)
    asking = logging.getLogger("httpx")
    before = asking.level
    account = Account("acc", picture_hosts=("images.brand.example",))
    shown = Pictures(SECRET, {"acc": account}, transport=brand)
    try:
        logs.configure(verbose=True)
        name = shown.path_of(account, URL).rpartition("/")[2]
        await shown.fetch("acc", name)
    finally:
        asking.setLevel(before)
        await shown.close()
    assert len(brand.asked) == 1
    assert "alex" not in caplog.text
