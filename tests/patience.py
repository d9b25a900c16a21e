"""How long tests wait: every limit is stretched by one factor, for machines under load."""

from __future__ import annotations

import os

PATIENCE = float(os.environ.get("SWITCHBOARD_TEST_PATIENCE", "1"))
