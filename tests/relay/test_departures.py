"""What leaves together: one message for a frame, and single packets where that is refused."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

import pytest

from actors.relay.forwarding.packet import Frame, Packet
from actors.relay.network import mmsg
from actors.relay.network.departures import CELLS, Departures
from actors.relay.network.ice import Address, Credentials
from actors.relay.network.mmsg import DATAGRAM_BYTES
from actors.relay.network.port import Socket, pack_name, unpack_name
from actors.relay.transport.transport import Transport
from actors.relay.wire.vp8 import Vp8
from tests.patience import PATIENCE, until

from .conftest import Call


class Line:
    """A relay's socket and a subscriber's, with the path between them."""

    def __init__(self, host: str) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.relay = Socket(host, 0, 1 << 20)
        self.subscriber = socket.socket(family, socket.SOCK_DGRAM)
        self.subscriber.bind((host, 0))
        self.subscriber.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        self.subscriber.settimeout(5 * PATIENCE)
        transport: Transport = None  # type: ignore[assignment]
        credentials = Credentials.fresh("ufrag", "password")
        self.path = Address(transport, self.relay, self.subscriber.getsockname(), credentials, 0.0)

    def write(self, departures: Departures, sizes: list[int]) -> list[bytes]:
        """Put packets of these sizes into the next cells and let them go."""
        cell = departures.room_for(len(sizes))
        packets = [bytes([65 + index]) * size for index, size in enumerate(sizes)]
        for index, packet in enumerate(packets):
            start = (cell + index) * DATAGRAM_BYTES
            departures.cells.view[start : start + len(packet)] = packet
        departures.add(self.path, sizes)
        return packets

    def received(self, count: int) -> list[bytes]:
        return [self.subscriber.recv(DATAGRAM_BYTES) for _ in range(count)]

    def close(self) -> None:
        self.relay.close()
        self.subscriber.close()


@pytest.fixture(params=["127.0.0.1", "::1"])
def line(request: pytest.FixtureRequest) -> Iterator[Line]:
    made = Line(request.param)
    yield made
    made.close()


@pytest.mark.parametrize(
    "sizes",
    [[100], [1000, 1000, 1000], [1000, 1000, 300], [900, 901, 901], [900, 300, 900], [7] * 60],
)
@pytest.mark.parametrize("batched", [mmsg.available, False])
def test_packets_arrive_as_they_were_written(line: Line, sizes: list[int], batched: bool) -> None:
    departures = Departures(batched=batched)
    packets = line.write(departures, sizes)
    departures.depart(0.0)
    assert line.received(len(sizes)) == packets


def test_more_packets_than_cells_are_sent_in_between(line: Line) -> None:
    departures = Departures()
    for _ in range(CELLS):
        line.write(departures, [50, 50])
    departures.depart(0.0)
    assert len(line.received(2 * CELLS)) == 2 * CELLS


@pytest.mark.parametrize("number", [errno.EIO, errno.EINVAL, errno.EMSGSIZE])
def test_a_refusal_to_cut_is_remembered_and_costs_no_packet(
    line: Line, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    send = mmsg.Outgoing.send
    refused: list[int] = []

    def refuse_to_cut(outgoing: mmsg.Outgoing, descriptor: int, first: int) -> int:
        if not refused:
            refused.append(first)
            return -number
        return send(outgoing, descriptor, first)

    monkeypatch.setattr(mmsg.Outgoing, "send", refuse_to_cut)
    departures = Departures()
    for _ in range(2):
        packets = line.write(departures, [500, 500, 400])
        departures.depart(0.0)
        assert line.received(3) == packets
    assert refused == [0]
    assert not departures.cuts


@pytest.mark.parametrize(
    "endpoint", [("192.0.2.7", 4000), ("2001:db8::7", 4000, 0, 0), ("fe80::1", 5, 0, 3)]
)
def test_names_are_read_as_they_are_written(
    endpoint: tuple[str, int] | tuple[str, int, int, int],
) -> None:
    assert unpack_name(pack_name(endpoint)) == endpoint


def packet(sequence: int, octets: int, picture: int = 7, timestamp: int = 90) -> Packet:
    vp8 = Vp8(True, False, 2, 15, picture, 4, 1, 5)
    return Packet(sequence, timestamp, 0, bytes(octets), vp8, 0.0)


def test_packets_of_a_frame_are_made_as_long_as_the_longest() -> None:
    frame = Frame([packet(1, 900), packet(2, 898), packet(3, 901)])
    assert (frame.plain, frame.octets) == (True, 2699)
    # Padding is told of by the header's first byte, and counts itself in its last.
    assert frame.parts == [
        (0xB0, 0, bytes(900) + b"\x01"),
        (0xB0, 0, bytes(898) + b"\x00\x00\x03"),
        (0x90, 0, bytes(901)),
    ]


@pytest.mark.parametrize(
    "second", [packet(3, 900), packet(2, 900, picture=8), packet(2, 900, timestamp=91)]
)
def test_what_is_not_one_frame_is_not_plain(second: Packet) -> None:
    assert not Frame([packet(1, 900), second]).plain


def test_very_different_packets_are_not_padded() -> None:
    frame = Frame([packet(1, 900), packet(2, 300)])
    assert frame.parts == [(0x90, 0, bytes(900)), (0x90, 0, bytes(300))]


async def test_a_call_passes_where_only_single_datagrams_can_be_had(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is so on every system but Linux: no recvmmsg, no sendmmsg, no cutting."""

    def unavailable(*_: object) -> int:
        raise AssertionError("there is no such call")

    monkeypatch.setattr(mmsg.Received, "receive", unavailable)
    monkeypatch.setattr(mmsg.Outgoing, "send", unavailable)
    for bound in call.relay.sockets:
        bound.batched = False
    call.relay._departures.__init__(batched=False)  # type: ignore[misc]
    ada, ben = await call.join("ada"), await call.join("ben")
    audio, video = ben.seat(0)
    parts = [b"a" * 700, b"b" * 700, b"c" * 701]
    ada.send_frame(key=True, parts=parts)
    ada.send_audio(b"hello")
    await until(lambda: len(ben.heard) == 4)
    assert [h.content for h in ben.heard_on(video)] == parts
    assert [h.content for h in ben.heard_on(audio)] == [b"hello"]
    await ben.rebind()
    ben.keep_checking()
    ice = call.relay.transports["ben-1"].ice
    await until(lambda: ice.selected is not None and ice.selected.endpoint[1] == ben.local_port)
    ada.send_audio(b"moved")
    await until(lambda: ben.heard_on(audio)[-1].content == b"moved")


async def test_a_padded_frame_is_what_the_publisher_sent(call: Call) -> None:
    ada, ben = await call.join("ada"), await call.join("ben")
    _, video = ben.seat(0)
    parts = [b"a" * 700, b"b" * 700, b"c" * 701]
    ada.send_frame(key=True, parts=parts)
    await until(lambda: len(ben.heard_on(video)) == 3)
    heard = ben.heard_on(video)
    assert [h.content for h in heard] == parts
    assert [h.packet.marker for h in heard] == [0, 0, 1]
    assert len({h.picture for h in heard}) == 1
