"""What `switchboard demo` says, and whom it lets frame its widgets."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from rich.console import Console

from gateway.commands.demo import announce, demo_accounts, prepare_data
from gateway.settings import DemoSettings

HOST, GATEWAY, SHOP = "http://127.0.0.1:8788", "http://127.0.0.1:8787", "http://localhost:3000"


def said(*pages: str) -> list[str]:
    """What a terminal of 60 columns is told."""
    told = StringIO()
    announce(Console(file=told, width=60), HOST, GATEWAY, Path("/data"), pages)
    return [line.strip() for line in told.getvalue().splitlines()]


def test_a_page_of_ones_own_may_frame_the_widgets(tmp_path: Path) -> None:
    prepare_data(tmp_path)
    for pages in ((), (SHOP,)):
        [account] = demo_accounts(tmp_path, HOST, DemoSettings(pages=pages)).values()
        assert account.frame_ancestors == (HOST, "http://localhost:8788", *pages)


def test_what_that_page_needs_can_be_copied_as_it_is_said() -> None:
    tag = (
        f"<script async src='{GATEWAY}/launcher.js' data-account-id='demo' "
        "data-conversation-id='42'></script>"
    )
    agent = f"{GATEWAY}/agent?accountId=demo&rtSessionId=42&agentId=7"
    lines = said(SHOP)
    assert lines[lines.index(tag) + 1] == agent
    assert lines[1] == f"Switchboard demo: {HOST}/"
    assert not {tag, agent} & set(said())
