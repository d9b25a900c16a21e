"""How commands ask a gateway whose certificate names where browsers reach it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from gateway.commands import asking
from gateway.commands.asking import is_here
from gateway.commands.command import app
from gateway.commands.down import count_live
from gateway.commands.top import look_at_all
from tests.gateway.answering import Answering, listening
from tests.ledger.certificates import make_certificate

RUNNER = CliRunner()
SHOWN = b"switchboard_gateway_ready 1.0\nswitchboard_sessions_live 2.0\n"
READY = {"ready": True, "ledger": True, "pool": True, "stopping": False}
asked: list[str | None] = []


class Gateway(Answering):
    def do_GET(self) -> None:
        asked.append(self.headers.get("Authorization"))
        self.answer(SHOWN if self.path == "/metrics" else READY)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[str]:
    """One on this machine, whose certificate names another; returns its address."""
    certificate, key = make_certificate(tmp_path, "video.example.com")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    asked.clear()
    with listening(Gateway, context) as address:
        yield address


def test_every_command_asks_one_on_this_machine_alike(gateway: str) -> None:
    assert RUNNER.invoke(app, ["status", "--gateway", gateway]).exit_code == 0
    (row,) = look_at_all([gateway])
    assert (row.up, row.ready, row.sessions, count_live(gateway)) == (True, True, 2, 2)


def test_no_key_is_sent_to_whom_the_certificate_does_not_name(gateway: str) -> None:
    environment = {"SWITCHBOARD_API_KEY": "swk_a_secret"}
    result = RUNNER.invoke(app, ["sessions", "--gateway", gateway], env=environment)
    assert result.exit_code == 1
    assert f"The certificate of what answers at {gateway} does not hold" in result.output
    assert asked == []


def test_elsewhere_a_certificate_must_name_the_address(
    gateway: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "is_here", lambda host: False)
    result = RUNNER.invoke(app, ["status", "--gateway", gateway])
    assert result.exit_code == 1
    assert "does not hold for it; give the address that it names" in result.output
    assert not look_at_all([gateway])[0].up
    assert asked == []


def test_addresses_of_this_machine_are_known() -> None:
    own = {
        each.address
        for some in psutil.net_if_addrs().values()
        for each in some
        if each.family.name in ("AF_INET", "AF_INET6")
    }
    assert own
    for host in ("localhost", "127.0.0.1", "127.3.2.1", "::1", "0.0.0.0", *own):
        assert is_here(host), host
    for host in ("video.example.com", "localhost.example.com", "192.0.2.1", "2001:db8::1", ""):
        assert not is_here(host), host
