"""A media track somebody sends, with its layers and the slots that show it."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from actors.relay.budget import Budget
from actors.relay.congestion.restraint import Restraint
from actors.relay.forwarding.layer import Layer
from actors.relay.forwarding.loudness import Loudness
from actors.relay.sdp.codec import Codec
from actors.relay.terms import PublishSource

if TYPE_CHECKING:
    from actors.relay.forwarding.peer import MediaPeer
    from actors.relay.forwarding.slot import Slot


_KEY_FRAMES, _KEY_FRAME_BURST, _KEY_FRAMES_KEPT = 0.5, 12, 6
"""Key frames that one subscriber may cause in a second, and at once; so many of these are kept for
what is urgent. All who see the picture pay for each."""
_VOICE, _VOICE_BURST = 20_000, 20_000
"""Bytes that a voice may take in a second, and at once: twice what comes of the widgets, who say
each frame twice, headers counted. Pictures are held back where a line does not carry them; a voice
goes to everybody, whatever it takes from their pictures."""
_MOST_ASKERS = 512
_TURNED_OFF, _TURNED_OFF_BURST = 1 / 15, 4
"""How often layers may be turned off in a second, and at once: with one that is turned on again an
encoder begins all of them anew, with key frames."""


class Publication:
    """What one publishing section of one transport carries."""

    __slots__ = (
        "_askers",
        "codecs",
        "fewer_since",
        "layers",
        "loudness",
        "mid",
        "open",
        "payload_types",
        "repair_payload_types",
        "restraint",
        "rids",
        "signalled",
        "source",
        "subscribers",
        "told_rids",
        "transport",
        "turned_off",
        "voice",
    )

    def __init__(self, transport: MediaPeer, mid: str, source: PublishSource) -> None:
        self.transport = transport
        self.mid = mid
        self.source = source
        self.codecs: tuple[Codec, ...] = ()
        self.payload_types: dict[int, Codec] = {}
        self.repair_payload_types: dict[int, Codec] = {}
        self.rids: tuple[str, ...] = ()
        self.layers: dict[str, Layer] = {}
        """RID → layer; without simulcast there is one, under the empty name."""
        self.subscribers: list[Slot] = []
        self.told_rids: tuple[str, ...] = ()
        """The layers the widget was told to send; at first it sends what it offered."""
        self.fewer_since: float | None = None
        self.turned_off = Budget(_TURNED_OFF, _TURNED_OFF_BURST)
        """How often its layers may yet be turned off."""
        self.loudness = Loudness()
        self.voice = Budget(_VOICE, _VOICE_BURST)
        """What may yet be passed on of it, if it is a voice."""
        self.restraint = Restraint()
        """How much it is asked to take at most."""
        self._askers: dict[str, Budget] = {}
        """Participant → the key frames that they may yet cause, by whichever transport."""
        self.signalled = False
        """Whether the offer named the SSRCs; then no other is accepted."""
        self.open = False
        """Whether packets are passed on: permitted, not muted, and not of an older transport."""

    @property
    def video(self) -> bool:
        return self.source is not PublishSource.MICROPHONE

    def negotiated(self, codecs: tuple[Codec, ...], rids: tuple[str, ...]) -> None:
        self.codecs = codecs
        if rids != self.rids:
            self.rids = self.told_rids = rids
        self.payload_types = {codec.payload_type: codec for codec in codecs}
        for codec in codecs:
            if codec.redundant_payload_type is not None:
                self.payload_types[codec.redundant_payload_type] = codec
        self.repair_payload_types = {
            codec.repair_payload_type: codec
            for codec in codecs
            if codec.repair_payload_type is not None
        }

    @property
    def may_be_restrained(self) -> bool:
        """Whether its sender may be asked for less, and there is no lower layer to fall back to."""
        asked = any("goog-remb" in codec.feedback for codec in self.codecs)
        return self.video and asked and len(self.rids) < 2

    def sent(self, now: float) -> float:
        """Return what comes of it, in bits per second of payload."""
        layers = self.layers.values()
        return sum(layer.bitrate for layer in layers if not self.rids or layer.active(now))

    def silence(self, now: float) -> float:
        """Return for how many seconds nothing has come of it."""
        return now - max((layer.last_arrival for layer in self.layers.values()), default=-inf)

    def ordered_rids(self) -> list[str]:
        """What was negotiated, from low to high: by picture height once key frames told them all.

        Until then as it was offered: one whose height is not known need not be the lowest.
        """
        heights = {rid: layer.height for rid, layer in self.layers.items()}
        if all(heights.get(rid) for rid in self.rids):
            return sorted(self.rids, key=lambda rid: heights[rid])
        return list(self.rids)

    def ordered(self) -> list[Layer]:
        """The layers there are, from low to high."""
        places = {rid: place for place, rid in enumerate(self.ordered_rids())}
        return sorted(self.layers.values(), key=lambda layer: places.get(layer.rid, len(places)))

    def layer_for(self, slot: Slot, now: float) -> Layer | None:
        """Choose which layer a slot should show; None before the first packet.

        The one that was chosen for it, or the next lower one that is being sent.
        """
        if not self.rids:
            return self.layers.get("")
        layers = self.ordered()
        active = [layer for layer in layers if layer.active(now)]
        if not active:
            return slot.layer if slot.layer in layers else next(iter(layers), None)
        wanted = self.layers.get(slot.wanted_rid) if slot.wanted_rid is not None else None
        if wanted is None:
            return active[0]
        limit = layers.index(wanted)
        fitting = [layer for layer in active if layers.index(layer) <= limit]
        return fitting[-1] if fitting else active[0]

    def may_cause_key_frame(self, participant_id: str, now: float, *, urgent: bool) -> bool:
        """Take one of the key frames that this subscriber may cause; False when they are used up.

        Whether they ask for it or change what they look at: the others' pictures pay for both. Some
        are kept for what is `urgent`: a layer that their line does not carry any more.
        """
        budget = self._askers.get(participant_id)
        if budget is None:
            if len(self._askers) >= _MOST_ASKERS:
                self._askers.clear()
            budget = self._askers[participant_id] = Budget(_KEY_FRAMES, _KEY_FRAME_BURST)
        kept = 0 if urgent else _KEY_FRAMES_KEPT
        return budget.has(1 + kept, now) and budget.take(1, now)

    def set_open(self, value: bool, now: float) -> None:
        """Start or stop passing packets on."""
        if self.open != value:
            self.open = value
            self.retarget(now)

    def retarget(self, now: float) -> None:
        for slot in list(self.subscribers):
            slot.retarget(now)

    def close(self, now: float) -> None:
        """Release every slot; ended by the transport."""
        self.open = False
        for slot in list(self.subscribers):
            slot.follow(None, now)
        self.layers.clear()
