"""Options that several commands of `switchboard` share; nothing heavy is imported."""

from __future__ import annotations

from typing import Annotated

import typer

DEMO_GATEWAY = "http://127.0.0.1:8787"
Gateway = Annotated[
    str, typer.Option("--gateway", envvar="SWITCHBOARD_GATEWAY", help="Address of a gateway.")
]
Key = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        envvar="SWITCHBOARD_API_KEY",
        help="API key of the account; the demo's own is found by itself.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
