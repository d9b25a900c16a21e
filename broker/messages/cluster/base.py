"""What all messages inside the cluster have in common."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field


class ClusterMessage(BaseModel):
    """Base of what stays inside the cluster."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    def to_bytes(self) -> bytes:
        return self.model_dump_json().encode()

    def __setstate__(self, state: dict[Any, Any]) -> None:
        """Take what another release pickled, as Ray does: newer fields have their defaults."""
        super().__setstate__(state)
        for name, each in type(self).model_fields.items():
            if name not in self.__dict__ and not each.is_required():
                self.__dict__[name] = each.get_default(call_default_factory=True)


Trace = Annotated[str | None, Field(exclude_if=lambda context: context is None)]
"""The trace that a message belongs to (`broker.tracing`); not written where there is none."""

M = TypeVar("M", bound=ClusterMessage)


def read(model: type[M], data: bytes) -> M:
    """Read one internal message. Raises pydantic's ValidationError: a mistake of ours."""
    return model.model_validate_json(data)


class Done(ClusterMessage):
    """A reply that says only: it is so now."""
