"""What a load reads of a message is what stands in it."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.loads.everyone import camera_of

VECTORS = Path(__file__).parents[1] / "contract" / "vectors" / "broker-valid.json"


def test_a_camera_is_read_from_a_roster_without_parsing_it() -> None:
    rows = json.loads(VECTORS.read_text(encoding="utf-8"))
    roster = next(r["message"] for r in rows if r["message"]["type"] == "roster.changed")
    for on in (True, False):
        for entry in roster["roster"]:
            entry["camera"] = on
            text = json.dumps(roster, separators=(",", ":")).encode()
            assert camera_of(text, entry["participant_id"]) is on
    assert camera_of(b'{"type":"roster.changed"}', "nobody") is None
