"""How the command's processes write logs: plain lines on a terminal, JSON lines elsewhere."""

from __future__ import annotations

import json
import logging
import sys
from typing import TextIO

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message"}


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, the static message, and the facts."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **facts_of(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class PlainLines(logging.Formatter):
    """The same for people."""

    def format(self, record: logging.LogRecord) -> str:
        facts = " ".join(f"{name}={value}" for name, value in facts_of(record).items())
        text = f"{record.levelname:<7} {record.name}: {record.getMessage()} {facts}".rstrip()
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def facts_of(record: logging.LogRecord) -> dict[str, object]:
    """Return what was given in `extra`; Ray adds things of its own, which begin with a line."""
    return {
        name: value
        for name, value in record.__dict__.items()
        if name not in _STANDARD and not name.startswith("_")
    }


def configure(*, verbose: bool = False, stream: TextIO | None = None) -> None:
    """Send every log line to `stream` (standard error): from WARNING on, or from INFO."""
    target = stream or sys.stderr
    handler = logging.StreamHandler(target)
    handler.setFormatter(PlainLines() if target.isatty() else JsonLines())
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, handlers=[handler], force=True
    )
    # It says every address that it asks, and who is asked may stand there, or a secret.
    logging.getLogger("httpx").setLevel(logging.WARNING)
