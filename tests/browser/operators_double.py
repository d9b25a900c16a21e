"""What stands behind the console: a double of the operators' API, and the way in."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Page, Route

NODE = {"label": "eu-1", "deadline_ms": None, "standbys": 2, "live": 3, "members": 6, "moved": 0}
LINE = {
    "connections": 1,
    "bitrate_in": 812_400,
    "bitrate_out": 640_000,
    "loss_in": 0.0,
    "loss_out": 0.004,
    "round_trip_ms": 38.4,
}
PARTICIPANT = {
    "attendance": "present",
    "mode": "video",
    "owner": False,
    "way": None,
    "microphone": True,
    "camera": True,
    "screen": False,
    "quality": "good",
    "reason": None,
    "line": LINE,
}
ANSWERS: dict[str, dict[str, Any]] = {
    "nodes": {"nodes": [{**NODE, "node": "n1", "drain": "no"}], "standbys": 2, "live": 3},
    "sessions": {
        "sessions": [
            {
                "session_id": "s-7",
                "account_id": "acme",
                "mode": "video",
                "created_ms": 1_750_000_000_000,
                "epoch": 1,
            }
        ],
        "cursor": None,
    },
    "sessions/s-7": {
        "session_id": "s-7",
        "participants": [
            {**PARTICIPANT, "participant_id": "p-1", "role": "agent", "owner": True},
            {
                **PARTICIPANT,
                "participant_id": "p-2",
                "role": "consumer",
                "camera": False,
                "quality": "poor",
                "reason": "loss_down",
                "line": {**LINE, "loss_out": 0.125},
            },
        ],
        "drops": {"kernel": 0, "sends_blocked": 0, "strangers": 4},
    },
    "ends": {
        "ends": [
            {
                "session_id": "s-1",
                "account_id": "acme",
                "created_ms": 1_750_000_000_000,
                "ended_ms": 1_750_000_095_000,
                "end_reason": "ended_by_agent",
                "epoch": 2,
            }
        ],
        "cursor": None,
    },
    "dead-letters": {
        "dead_letters": [
            {
                "account_id": "acme",
                "endpoint_id": "crm",
                "session_id": "s-1",
                "seq": 4,
                "type": "session.ended",
                "dead_ms": 1_750_000_099_000,
                "why": "410",
                "again": False,
            }
        ]
    },
    "accounts": {"accounts": []},
}


DETAILS = {
    "ledger_away": "The ledger is away.",
    "session_ended": "The session has ended.",
    "token_expired": "The token has expired.",
}
AWAY, ENDED, EXPIRED = (503, "ledger_away"), (410, "session_ended"), (401, "token_expired")


class Operators:
    """The API's half: answers, and what was asked of it."""

    def __init__(self) -> None:
        self.answers = dict(ANSWERS)
        self.posts: list[tuple[str, Any]] = []
        self.done: dict[str, dict[str, Any]] = {
            "nodes/n1/drain": {"drain": "moving", "deadline_ms": 1_750_000_400_000},
            "redeliveries": {"count": 1},
        }
        self.refuse: dict[str, tuple[int, str]] = {}
        self.hang: set[str] = set()

    async def answer(self, route: Route) -> None:
        path = route.request.url.partition("/v1/operator/")[2].partition("?")[0]
        if route.request.headers.get("authorization") != "Bearer good":
            status, code = EXPIRED
            await route.fulfill(status=status, json={"code": code, "detail": DETAILS[code]})
        elif path in self.hang:
            return
        elif path in self.refuse:
            status, code = self.refuse[path]
            await route.fulfill(status=status, json={"code": code, "detail": DETAILS[code]})
        elif route.request.method == "POST":
            self.posts.append((path, route.request.post_data_json))
            await route.fulfill(json=self.done.get(path, {}))
        else:
            await route.fulfill(json=self.answers[path])


async def log_in(page: Page, token: str = "good") -> None:
    await page.get_by_label("Operator's token").fill(token)
    await page.keyboard.press("Enter")
