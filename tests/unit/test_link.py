"""Framing, handshake and calls of a link, with no socket: bytes from one end go into the other."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.calls import decode_error, encode_error
from broker.errors import (
    Conflict,
    ErrorCode,
    Forbidden,
    Internal,
    Malformed,
    SwitchboardError,
    Unauthenticated,
    Unavailable,
)
from broker.link import DiallingEnd, LinkEnd, ListeningEnd, Reply
from broker.trunk import (
    MAX_FRAME_BYTES,
    MAX_HELLO_BYTES,
    Frame,
    FrameDecoder,
    FrameLink,
    encode_frame,
    open_hello,
    sealed_hello,
)

KEY = b"k" * 32


@dataclass
class Answer:
    """A promise that keeps what it was given."""

    result: bytes | None = None
    error: BaseException | None = None

    def done(self) -> bool:
        return self.result is not None or self.error is not None

    def set_result(self, result: bytes) -> None:
        self.result = result

    def set_exception(self, exception: BaseException) -> None:
        self.error = exception


@dataclass
class Wire:
    """One direction of a connection: what is written waits until it is carried."""

    waiting: list[bytes] = field(default_factory=list)
    closed: bool = False

    def write(self, data: bytes) -> None:
        self.waiting.append(data)

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self.waiting))


class Pair:
    """A dialling and a listening end, joined."""

    def __init__(self, dialler_key: bytes = KEY) -> None:
        self.hellos: list[bytes] = []
        self.dialler: DiallingEnd[Answer] = DiallingEnd(dialler_key, b"hello", Answer)
        self.listener: ListeningEnd[Answer] = ListeningEnd(KEY, b"n" * 32, self.greet, Answer)
        self.out, self.back = Wire(), Wire()
        self.dialler.link.connection_made(self.out)
        self.listener.link.connection_made(self.back)

    def greet(self, end: ListeningEnd[Answer], hello: bytes) -> None:
        self.hellos.append(hello)
        end.accept(b"ready")

    def carry(self) -> None:
        """Carry bytes both ways until nothing moves."""
        while self.out.waiting or self.back.waiting:
            for wire, to in ((self.out, self.listener), (self.back, self.dialler)):
                data, wire.waiting = b"".join(wire.waiting), []
                if data:
                    to.link.data_received(data)


def joined() -> Pair:
    pair = Pair()
    pair.carry()
    return pair


@given(
    frames=st.lists(st.tuples(st.sampled_from(Frame), st.binary(max_size=300)), max_size=8),
    cuts=st.lists(st.integers(1, 40), min_size=1, max_size=20),
)
def test_frames_survive_any_cutting(frames: list[tuple[Frame, bytes]], cuts: list[int]) -> None:
    stream = b"".join(encode_frame(kind, body) for kind, body in frames)
    decoder, found, place, turn = FrameDecoder(), [], 0, 0
    while place < len(stream):
        step = cuts[turn % len(cuts)]
        found += decoder.feed(stream[place : place + step])
        place += step
        turn += 1
    assert found == frames


@pytest.mark.parametrize("data", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\1\xee"])
def test_a_stream_out_of_step_is_refused_without_being_kept(data: bytes) -> None:
    with pytest.raises(Malformed):
        FrameDecoder().feed(data)


def test_a_link_that_is_given_up_before_it_is_made_ends_when_it_is() -> None:
    lost: list[FrameLink] = []
    link = FrameLink(lambda link, kind, body: None, lost.append)
    link.abort()
    wire = Wire()
    link.connection_made(wire)
    assert wire.closed
    assert not link.send(Frame.MESSAGE, b"{}")


def test_a_link_that_loses_its_step_is_aborted() -> None:
    wire = Wire()
    link = FrameLink(lambda *_: None, lambda _: None)
    link.connection_made(wire)
    link.data_received(b"\0\0\0\0")
    assert wire.closed
    assert not link.send(Frame.PING)


def test_the_handshake_proves_the_key_and_says_hello() -> None:
    pair = joined()
    assert pair.hellos == [b"hello"]
    assert pair.dialler.ready.result == b"ready"


def test_a_wrong_key_is_refused_without_a_reason() -> None:
    pair = Pair(dialler_key=b"x" * 32)
    pair.carry()
    assert pair.hellos == []
    assert isinstance(pair.dialler.ready.error, Unauthenticated)
    assert pair.back.closed


def test_a_stranger_makes_nobody_keep_more_than_a_hello() -> None:
    pair = Pair()
    pair.listener.link.data_received(MAX_HELLO_BYTES.to_bytes(4, "big"))
    assert not pair.back.closed
    pair = Pair()
    pair.listener.link.data_received((MAX_HELLO_BYTES + 1).to_bytes(4, "big"))
    assert pair.back.closed


def test_whoever_has_proved_the_key_sends_frames_of_any_size() -> None:
    pair = joined()
    heard: list[bytes] = []
    pair.listener.on_frame = lambda end, kind, body: heard.append(body)
    pair.dialler.link.send(Frame.MESSAGE, b"x" * (MAX_HELLO_BYTES + 1))
    pair.carry()
    assert [len(body) for body in heard] == [MAX_HELLO_BYTES + 1]


def test_a_recorded_hello_is_worth_nothing_under_another_nonce() -> None:
    recorded = sealed_hello(KEY, b"a" * 32, b"hello")
    assert open_hello(KEY, b"a" * 32, recorded) == b"hello"
    assert open_hello(KEY, b"b" * 32, recorded) is None


def test_a_call_is_answered_with_a_result_or_an_error_of_the_tree() -> None:
    pair = joined()

    def on_call(end: LinkEnd[Answer], method: str, payload: bytes, reply: Reply) -> None:
        if payload == b"good":
            reply.done(method.encode() + payload)
        else:
            reply.fault(Conflict(ErrorCode.ALREADY_LIVE, "No."))

    pair.listener.on_call = on_call
    good, bad = pair.dialler.call("try", b"good"), pair.dialler.call("try", b"bad")
    pair.carry()
    assert good.result == b"trygood"
    assert isinstance(bad.error, Conflict)
    assert bad.error.code is ErrorCode.ALREADY_LIVE


def test_what_waits_fails_when_the_link_is_lost() -> None:
    pair = joined()
    waiting = pair.dialler.call("try", b"")
    lost: list[object] = []
    pair.dialler.on_lost = lost.append
    pair.dialler.link.connection_lost(None)
    pair.dialler.link.connection_lost(None)
    assert isinstance(waiting.error, Unavailable)
    assert len(lost) == 1
    assert isinstance(pair.dialler.call("try", b"").error, Unavailable)


def test_a_frame_nobody_asked_for_ends_the_link() -> None:
    pair = joined()
    pair.dialler.notify("unasked", b"")
    pair.carry()
    assert pair.back.closed


def test_a_notice_that_is_not_taken_is_told_of_and_costs_nobody_the_link(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pair, heard = joined(), list[str]()

    def on_notice(end: LinkEnd[Answer], method: str, payload: bytes) -> None:
        heard.append(payload.decode())

    pair.listener.on_notice = on_notice
    pair.dialler.notify("word", b"\xff")
    pair.dialler.notify("word", b"behind it")
    pair.carry()
    assert (heard, pair.back.closed) == (["behind it"], False)
    [said] = caplog.records
    assert said.message == "A notice was not taken."
    assert vars(said)["method"] == "word"


@pytest.mark.parametrize(
    "error", [Forbidden(ErrorCode.CONSUMER_CONFLICT, "No."), Internal(ErrorCode.INTERNAL, "x")]
)
def test_errors_cross_a_link_unchanged(error: SwitchboardError) -> None:
    back = decode_error(encode_error(error))
    assert (type(back), back.code, back.message) == (type(error), error.code, error.message)


@pytest.mark.parametrize(
    "data", [b'["Later", "internal", "x"]', b'["Gone", "from_the_future", "x"]']
)
def test_an_error_of_a_newer_release_becomes_internal(data: bytes) -> None:
    assert isinstance(decode_error(data), Internal)


def test_a_call_or_an_answer_too_large_for_a_frame_costs_itself_only() -> None:
    pair = joined()
    pair.listener.on_call = lambda end, method, payload, reply: reply.done(b"x" * MAX_FRAME_BYTES)
    answered = pair.dialler.call("read", b"")
    asked = pair.dialler.call("write", b"x" * MAX_FRAME_BYTES)
    pair.carry()
    for promise in (answered, asked):
        assert isinstance(promise.error, Internal)
    assert not pair.dialler.link.closed
    assert not pair.listener.link.closed
