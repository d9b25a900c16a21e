"""What is alive in a relay, as plain JSON types."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from actors.relay.forwarding.layer import Layer
    from actors.relay.forwarding.slot import Slot
    from actors.relay.relay import Relay
    from actors.relay.transport.transport import Transport

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Snapshot: TypeAlias = dict[str, Json]


def snapshot_of(relay: Relay, now: float) -> Snapshot:
    """Describe transports, publications, subscriptions and everything that was dropped."""
    return {
        "transports": [_transport(t, now) for t in relay.transports.values()],
        "participants": {
            name: {"quality": str(person.quality.grade), "reason": person.quality.reason}
            for name, person in relay.people.items()
        },
        "drops": {
            "mistakes": relay.mistakes,
            "strangers": relay.dropped_strangers,
            "kernel": sum(s.kernel_drops() for s in relay.sockets),
            "sends_blocked": sum(s.dropped_sends for s in relay.sockets),
            "sends_failed": sum(s.failed_sends for s in relay.sockets),
        },
    }


def _transport(transport: Transport, now: float) -> Json:
    heard = transport.ice.last_heard()
    slots = [slot for slot in transport.all_slots() if slot.layer is not None]
    trips = [slot.round_trip for slot in slots if slot.round_trip is not None]
    return {
        "transport_id": transport.transport_id,
        "participant_id": transport.participant_id,
        "state": str(transport.state),
        "srtp_profile": transport.srtp_profile,
        "addresses": len(transport.ice.addresses),
        "silence_seconds": round(now - heard, 3) if heard is not None else None,
        "estimate": round(transport.estimate.bitrate),
        "estimate_loss": round(transport.estimate.loss, 3),
        "bitrate_in": round(sum(layer.bitrate for layer in transport.intake.layers.values())),
        "bitrate_out": round(sum(slot.bitrate for slot in slots)),
        "loss_in": round(max((la.loss for la in transport.intake.layers.values()), default=0.0), 3),
        "loss_out": round(max((s.fraction_lost for s in slots), default=0) / 256, 3),
        "round_trip_ms": round(max(trips) * 1000, 1) if trips else None,
        "packets_received": transport.intake.packets,
        "octets_received": transport.intake.octets,
        "packets_sent": transport.outlet.packets_sent,
        "octets_sent": transport.outlet.octets_sent,
        "drops": {
            **transport.intake.drops.as_dict(),
            "refused_sends": transport.outlet.refused_sends,
        },
        "publications": [
            {
                "source": str(publication.source),
                "open": publication.open,
                "layers": [_layer(layer) for layer in publication.layers.values()],
            }
            for publication in transport.publications.values()
        ],
        "subscriptions": [_slot(slot) for slot in transport.all_slots() if slot.publication],
    }


def _layer(layer: Layer) -> Json:
    return {
        "rid": layer.rid,
        "codec": str(layer.codec.name),
        "packets": layer.received,
        "repaired": layer.repaired,
        "octets": layer.octets,
        "key_frames": layer.keys_seen,
        "bitrate": round(layer.bitrate),
        "height": layer.height,
        "loss": round(layer.loss, 3),
        "jitter_ms": round(1000 * layer.jitter / layer.codec.clock_rate, 2),
        "feeds": len(layer.slots),
        "waiting": len(layer.waiting),
    }


def _slot(slot: Slot) -> Json:
    publication = slot.publication
    return {
        "kind": str(slot.kind),
        "index": slot.index,
        "video": slot.video,
        "participant_id": publication.transport.participant_id if publication else None,
        "rid": slot.layer.rid if slot.layer else None,
        "feeding": slot.layer is not None,
        "wanted": slot.enabled,
        "waiting": slot.target is not None,
        "held": slot.hold.held,
        "packets": slot.packets,
        "octets": slot.octets,
        "late": slot.late,
        "repairs_sent": slot.repairs.sent,
        "repairs_refused": slot.repairs.refused,
        "bitrate": round(slot.bitrate),
        "loss": round(slot.fraction_lost / 256, 3),
        "jitter_ms": round(1000 * slot.jitter / slot.numbering.clock_rate, 2),
        "round_trip_ms": round(slot.round_trip * 1000, 1) if slot.round_trip else None,
    }
