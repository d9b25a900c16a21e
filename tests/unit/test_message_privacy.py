"""What a message holds does not get into a log by way of the error that refuses it."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from broker.messages.cluster.base import ClusterMessage, read
from broker.messages.cluster.sessions import SessionOpen
from broker.messages.cluster.trunk import TrunkHello

IDS = {"account_id": "acc", "visitor_name": "Casey Jones"}
OWNER = {"role": "owl", "account_id": "acc", "name": "Casey Jones", "claim_hash": "secret" * 8}


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (SessionOpen, {"account_id": "acc", "engagement_key": "e", "ids": IDS, "owner": OWNER}),
        (SessionOpen, {"ids": [IDS], "owner": [OWNER], "mode": "Casey Jones"}),
        (TrunkHello, {"principal": OWNER, "engagement": {**IDS, "more": "Casey Jones"}}),
    ],
)
def test_a_refused_message_is_not_quoted(
    model: type[ClusterMessage], values: dict[str, object]
) -> None:
    with pytest.raises(ValidationError) as refused:
        read(model, json.dumps(values).encode())
    assert "Casey" not in str(refused.value)
    assert "secret" not in str(refused.value)
