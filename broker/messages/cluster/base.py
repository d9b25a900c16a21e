"""What all messages inside the cluster have in common."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict


class ClusterMessage(BaseModel):
    """Base of what stays inside the cluster."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    def to_bytes(self) -> bytes:
        return self.model_dump_json().encode()


M = TypeVar("M", bound=ClusterMessage)


def read(model: type[M], data: bytes) -> M:
    """Read one internal message. Raises pydantic's ValidationError: a mistake of ours."""
    return model.model_validate_json(data)


class Done(ClusterMessage):
    """A reply that says only: it is so now."""
