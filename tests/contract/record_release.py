"""Write what this release puts into journals and on trunks, and the schema it migrates to.

Run `python -m tests.contract.record_release 0.1` once for each release, and commit what it wrote;
the next release must read it. Values are made from the declared types, so that every field of
every event and message stands there once.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

import broker.messages
from actors.ledger.migrations import MIGRATIONS
from actors.ledger.schema import metadata
from broker import events
from broker.events import AnyEvent, event_body
from broker.messages.cluster.base import ClusterMessage

OWN = (
    "actors.ledger.keeping",
    "actors.ledger.ledger",
    "actors.ledger.stop",
    "actors.ledger_link",
    "gateway.proofs.consumer_links",
    "gateway.proofs.device_challenges",
    "gateway.proofs.login_flows",
    "gateway.proofs.tokens",
)
"""Where messages stand that only one side of the architecture knows."""
SPECIAL = {"channel": "chat"}
"""Values of fields that take some texts only."""
RELEASES = Path(__file__).parent / "releases"


def sample(hint: Any, name: str = "value") -> Any:
    """Make a value of a declared type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return sample(arguments[0], name)
    if origin is Literal:
        return arguments[0]
    if origin in (Union, UnionType):
        return sample(next(each for each in arguments if each is not NoneType), name)
    if origin in (list, tuple):
        made = sample(arguments[0], name)
        return [made] if origin is list else (made,)
    if origin is dict:
        return {"key": sample(arguments[1], name)}
    if isinstance(hint, type):
        if issubclass(hint, StrEnum):
            return next(iter(hint))
        if issubclass(hint, BaseModel):
            return message(hint)
        made_of: dict[type, Any] = {
            str: SPECIAL.get(name, f"a-{name}"),
            int: 7,
            float: 0.5,
            bool: True,
        }
        if hint in made_of:
            return made_of[hint]
    return "anything"


def message(model: type[BaseModel]) -> BaseModel:
    """Make a message with every field set."""
    hints = get_type_hints(model, include_extras=True)
    return model(**{name: sample(hints[name], name) for name in model.model_fields})


def event(kind: type[AnyEvent]) -> AnyEvent:
    """Make an event with every field set."""
    hints = get_type_hints(kind)
    names = [name for name in kind.__dataclass_fields__ if name not in ("type", "version")]
    return kind(**{name: sample(hints[name], name) for name in names})


def messages() -> dict[str, type[ClusterMessage]]:
    """Name every message of trunks and links, and what gateways seal for one another."""
    prefix = f"{broker.messages.__name__}."
    shared = [found.name for found in pkgutil.walk_packages(broker.messages.__path__, prefix)]
    families = map(importlib.import_module, (*shared, *OWN))
    return {
        name: kind
        for family in families
        for name, kind in sorted(vars(family).items())
        if isinstance(kind, type)
        and issubclass(kind, ClusterMessage)
        and kind is not ClusterMessage
    }


def record(release: str) -> Path:
    """Write a release's vectors; returns the file."""
    journal = [event(kind) for kind in get_args(events.AnyEvent)]
    path = RELEASES / f"{release}.json"
    path.write_text(
        json.dumps(
            {
                "journal": [
                    {"type": e.type, "version": e.version, "at_ms": e.at_ms, "body": event_body(e)}
                    for e in journal
                ],
                "trunk": {
                    name: json.loads(message(kind).model_dump_json())
                    for name, kind in messages().items()
                },
                "schema": {
                    "version": len(MIGRATIONS),
                    "tables": {
                        table.name: [column.name for column in table.columns]
                        for table in metadata.sorted_tables
                    },
                },
            },
            indent=1,
        )
        + "\n"
    )
    return path


if __name__ == "__main__":
    print(record(sys.argv[1]))
