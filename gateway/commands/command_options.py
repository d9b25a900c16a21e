"""Options that several commands of `switchboard` share; nothing heavy is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEMO_GATEWAY = "http://127.0.0.1:8787"
Gateway = Annotated[
    str, typer.Option("--gateway", envvar="SWITCHBOARD_GATEWAY", help="Address of a gateway.")
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--api-key-file",
        envvar="SWITCHBOARD_API_KEY_FILE",
        help="Holds an API key of the account. SWITCHBOARD_API_KEY may be the key itself; the "
        "demo's own is found.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
