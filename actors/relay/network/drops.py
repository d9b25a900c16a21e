"""Why what a peer sends is thrown away, counted."""

from __future__ import annotations


class Drops:
    """Why packets of one transport were thrown away."""

    __slots__ = (
        "excess",
        "malformed",
        "oversize",
        "payload_type",
        "unauthentic",
        "unkeyed",
        "unknown_ssrc",
        "unproved",
    )

    def __init__(self) -> None:
        self.excess = 0
        """Beyond what one transport may bring in a second, or one voice; STUN and DTLS included."""
        self.unkeyed = 0
        self.malformed = 0
        self.unknown_ssrc = 0
        self.unauthentic = 0
        self.oversize = 0
        self.payload_type = 0
        self.unproved = 0
        """STUN requests without the right proof, and those not looked at after too many such."""

    def as_dict(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in self.__slots__}
