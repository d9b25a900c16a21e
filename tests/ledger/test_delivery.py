"""Signatures, and where a webhook may go."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest

from actors.keeper import delivery
from actors.keeper.delivery import (
    REST_BYTES,
    Deliverer,
    DeliveryPolicy,
    Endpoint,
    Outcome,
    event_json,
)
from actors.keeper.signature import sign, verify
from actors.keeper.target import TargetRefused, may_reach, resolve
from actors.ledger.keeping import Parcel
from tests.ledger.certificates import make_certificate
from tests.ledger.fakes import entry
from tests.ledger.receiver import SECRET, Receiver
from tests.patience import PATIENCE, until


def test_a_signature_holds_for_its_body_its_secret_and_its_time() -> None:
    value = sign(SECRET, 1_000, b"{}")
    assert verify(SECRET, value, b"{}", now_s=1_000)
    assert verify(SECRET, value, b"{}", now_s=1_300)
    assert not verify(SECRET, value, b"{}", now_s=1_301)
    assert not verify(SECRET, value, b"{} ", now_s=1_000)
    assert not verify(b"x" * 32, value, b"{}", now_s=1_000)
    assert not verify(SECRET, value.replace("t=1000", "t=1200"), b"{}", now_s=1_200)
    for broken in ("", "t=1", "v1=ab", "t=x,v1=ab", "t=1000,v1=é", "t=²,v1=ab", f"t={'9' * 5_000}"):
        assert not verify(SECRET, broken, b"{}", now_s=1_000)


def test_an_event_shows_no_hash_of_a_secret() -> None:
    endpoint = Endpoint("e", "a", "https://example.com/", SECRET)
    made = entry(2, "guest.invited", guest_invitation_id="g", code_hash="secret", uses=1)
    parcel = Parcel(
        session_id="s", engagement_key="k", entries=[made], attempts=0, failing_for_ms=0
    )
    body = json.loads(event_json(endpoint, parcel, made))["body"]
    assert "code_hash" not in body
    assert body["guest_invitation_id"] == "g"


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Endpoint("e", "a", "https://example.com/", b"short")


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "127.8.8.8",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)
def test_addresses_that_are_not_public_are_refused(text: str) -> None:
    assert not may_reach(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", ["93.184.215.14", "2606:2800:21f:cb07::1"])
def test_public_addresses_are_reached(text: str) -> None:
    assert may_reach(ipaddress.ip_address(text))


def test_a_demo_reaches_loopback_and_nothing_else_of_ours() -> None:
    for text in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        assert may_reach(ipaddress.ip_address(text), loopback_allowed=True)
    for text in ("10.0.0.1", "169.254.169.254", "fe80::1"):
        assert not may_reach(ipaddress.ip_address(text), loopback_allowed=True)


async def public(host: str, port: int) -> list[str]:
    return ["93.184.215.14"]


async def mixed(host: str, port: int) -> list[str]:
    return ["93.184.215.14", "10.0.0.1"]


async def nowhere(host: str, port: int) -> list[str]:
    return []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://",
        "https://user:word@example.com/",
        "https://example.com:99999/",
    ],
)
async def test_urls_that_are_none_of_ours_are_refused(url: str) -> None:
    with pytest.raises(TargetRefused):
        await resolve(url, resolver=public)


async def test_one_private_address_among_many_is_enough_to_refuse() -> None:
    with pytest.raises(TargetRefused):
        await resolve("https://example.com/", resolver=mixed)


async def test_a_name_without_an_address_may_get_one_later() -> None:
    with pytest.raises(OSError, match="no address"):
        await resolve("https://example.com/", resolver=nowhere)


async def test_the_checked_address_is_the_one_that_is_connected_to() -> None:
    target = await resolve("https://example.com:8443/a/b?c=d", resolver=public)
    assert target.url == "https://93.184.215.14:8443/a/b?c=d"
    assert (target.host, target.server_name) == ("example.com:8443", "example.com")


@pytest.mark.parametrize(
    ("url", "host", "name"),
    [
        ("https://crm.münchen.example/x", "crm.xn--mnchen-3ya.example", None),
        ("https://straße.example:8443/", "xn--strae-oqa.example:8443", "xn--strae-oqa.example"),
        ("https://[2606:4700::1111]/", "[2606:4700::1111]", "2606:4700::1111"),
        ("https://[2606:4700::1111]:8443/", "[2606:4700::1111]:8443", "2606:4700::1111"),
    ],
)
async def test_a_host_is_named_as_its_header_and_its_certificate_name_it(
    url: str, host: str, name: str | None
) -> None:
    """A header takes ASCII only, so nothing was ever sent to a name in other letters."""
    target = await resolve(url, resolver=public)
    assert (target.host, target.server_name) == (host, name or host)


@pytest.mark.parametrize("found", [["127.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["::1"]])
async def test_a_name_that_leads_to_this_machine_is_never_connected_to(
    tmp_path: Path, found: list[str]
) -> None:
    """Looked up for each try, as a name may lead elsewhere the second time."""
    certificate, key = make_certificate(tmp_path, "hooks.example.test")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, key)
    receiver = Receiver()
    port = await receiver.start(context=serving)
    looked_up = []

    async def resolver(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return found

    verifying = ssl.create_default_context(cafile=str(certificate))
    deliverer = Deliverer(DeliveryPolicy(), lambda: 0, resolver=resolver, verify=verifying)
    endpoint = Endpoint("e", "acme", f"https://hooks.example.test:{port}/", SECRET)
    parcel = Parcel(
        session_id="s", engagement_key="k", entries=[entry(1)], attempts=0, failing_for_ms=0
    )
    for _ in range(2):
        outcome = await deliverer.deliver(endpoint, parcel)
        assert outcome.why == "The URL leads to an address that is not public."
    await deliverer.close()
    await receiver.stop()
    assert (receiver.tries, looked_up) == (0, ["hooks.example.test"] * 2)


async def loopback(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.mark.parametrize(
    ("host", "taken"), [("hooks.example.test", True), ("other.example.test", False)]
)
async def test_the_certificate_must_name_the_host(tmp_path: Path, host: str, taken: bool) -> None:
    certificate, key = make_certificate(tmp_path, "hooks.example.test")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, key)
    receiver = Receiver()
    port = await receiver.start(context=serving)
    deliverer = Deliverer(
        DeliveryPolicy(loopback_allowed=True),
        lambda: 0,
        resolver=loopback,
        verify=ssl.create_default_context(cafile=str(certificate)),
    )
    endpoint = Endpoint("e", "acme", f"https://{host}:{port}/", SECRET)
    parcel = Parcel(
        session_id="s", engagement_key="k", entries=[entry(1)], attempts=0, failing_for_ms=0
    )
    outcome = await deliverer.deliver(endpoint, parcel)
    await deliverer.close()
    await receiver.stop()
    assert (outcome.why is None) is taken
    assert len(receiver.events) == int(taken)


def a_parcel() -> Parcel:
    return Parcel(
        session_id="s", engagement_key="k", entries=[entry(1)], attempts=0, failing_for_ms=0
    )


async def test_what_one_endpoint_holds_is_not_missing_to_another() -> None:
    """An endpoint that hangs holds its connections as long as a try may take."""
    hanging, receiver = Receiver(), Receiver()
    may_answer = asyncio.Event()
    hanging.before = may_answer.wait
    ports = [await each.start() for each in (hanging, receiver)]
    deliverer = Deliverer(DeliveryPolicy(loopback_allowed=True), lambda: 0, resolver=loopback)
    slow, quick = (
        Endpoint(str(port), "acme", f"http://hooks.example.test:{port}/", SECRET) for port in ports
    )
    # As many as one client of httpx has connections.
    tries = [asyncio.create_task(deliverer.deliver(slow, a_parcel())) for _ in range(100)]
    await until(lambda: hanging.tries == 100, "all hang")
    async with asyncio.timeout(5 * PATIENCE):
        outcome = await deliverer.deliver(quick, a_parcel())
    assert (outcome.why, len(receiver.events)) == (None, 1)
    may_answer.set()
    assert {each.why for each in await asyncio.gather(*tries)} == {None}
    await deliverer.close()
    for each in (hanging, receiver):
        await each.stop()


async def test_names_that_nobody_answers_for_hold_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The loop's own threads are at most 32, and a look-up goes on when its try has ended."""
    may_end = threading.Event()
    begun = []
    known = socket.getaddrinfo

    def look_up(host: str, *given: Any, **named: Any) -> Any:
        if host == "nobody.example.test":
            begun.append(host)
            may_end.wait(20 * PATIENCE)
            raise OSError("No server answers.")
        return known("127.0.0.1", *given, **named)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    receiver = Receiver()
    port = await receiver.start()
    policy = DeliveryPolicy(loopback_allowed=True, attempt_s=0.5 * PATIENCE)
    deliverer = Deliverer(policy, lambda: 0)
    waiting = Endpoint("waiting", "acme", "http://nobody.example.test/", SECRET)
    tries = [deliverer.deliver(waiting, a_parcel()) for _ in range(40)]
    assert {each.why for each in await asyncio.gather(*tries)} == {"TimeoutError"}
    known_to = Endpoint("known", "acme", f"http://hooks.example.test:{port}/", SECRET)
    # Behind the others none of its tries would come through; one may be late by itself.
    for _ in range(5):
        outcome = await deliverer.deliver(known_to, a_parcel())
        if outcome.why is None:
            break
    may_end.set()
    await deliverer.close()
    await receiver.stop()
    assert (outcome.why, len(begun)) == (None, 40)


@pytest.mark.parametrize(
    ("said", "silent_behind", "connections"),
    [
        (b"", False, 1),
        (b"thank you", False, 1),
        (b"x" * (REST_BYTES + 1), False, 5),
        (b"", True, 5),
    ],
    ids=["nothing", "a word", "too much", "nothing that was announced"],
)
async def test_an_endpoints_events_share_a_connection_unless_it_says_too_much(
    monkeypatch: pytest.MonkeyPatch, said: bytes, silent_behind: bool, connections: int
) -> None:
    """A status holds, whatever comes behind it."""
    # Only what never comes is given up; what is said may be late on a machine that stands still.
    monkeypatch.setattr(delivery, "REST_S", 0.05 if silent_behind else 10 * PATIENCE)
    receiver = Receiver()
    receiver.said, receiver.silent_behind = said, silent_behind
    port = await receiver.start()
    deliverer = Deliverer(DeliveryPolicy(loopback_allowed=True), lambda: 0, resolver=loopback)
    endpoint = Endpoint("e", "acme", f"http://hooks.example.test:{port}/", SECRET)
    parcel = a_parcel().model_copy(update={"entries": [entry(seq) for seq in range(1, 6)]})
    outcome = await deliverer.deliver(endpoint, parcel)
    await deliverer.close()
    await receiver.stop()
    assert (outcome.why, outcome.delivered_seq) == (None, 5)
    assert [event["seq"] for event in receiver.events] == [1, 2, 3, 4, 5]
    assert receiver.connections == connections


async def test_what_a_mistake_of_ours_keeps_from_being_sent_has_failed_like_everything_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And so waits, and is a dead letter in the end."""
    receiver = Receiver()
    port = await receiver.start()
    deliverer = Deliverer(DeliveryPolicy(loopback_allowed=True), lambda: 0, resolver=loopback)
    endpoint = Endpoint("e", "acme", f"http://hooks.example.test:{port}/", SECRET)
    unwritable = entry(2, "text.said", half="\ud83d")
    parcel = a_parcel().model_copy(update={"entries": [entry(1), unwritable, entry(3)]})
    outcome = await deliverer.deliver(endpoint, parcel)
    await deliverer.close()
    await receiver.stop()
    assert outcome == Outcome(1, "UnicodeEncodeError")
    assert "A delivery broke." in caplog.messages


def test_backing_off_doubles_up_to_an_hour() -> None:
    deliverer = Deliverer(DeliveryPolicy(), lambda: 0, jitter=lambda: 0.0)
    waits = [deliverer.retry_in_ms(attempts) for attempts in (0, 1, 2, 11, 12, 100)]
    assert waits == [1_000, 2_000, 4_000, 2_048_000, 3_600_000, 3_600_000]
