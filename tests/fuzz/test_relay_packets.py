"""The fuzz target's reader holds for what hypothesis makes up."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from .relay_packets import read
from .seeds import SEEDS

_HEADS = (b"\x80\x60", b"\x90\x60", b"\x8f\xcd", b"\x81\xcd", b"\x81\xce", b"\x80\xc8", b"v=0\r\n")


@settings(max_examples=300)
@given(st.sampled_from(_HEADS), st.binary(max_size=300))
def test_no_reader_raises(head: bytes, rest: bytes) -> None:
    read(head + rest)


@settings(max_examples=300)
@given(st.sampled_from(SEEDS), st.data())
def test_no_reader_raises_on_a_changed_message(seed: bytes, data: st.DataObject) -> None:
    changed = bytearray(seed)
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(0, len(changed) - 1))
        changed[place] = data.draw(st.integers(0, 255))
    read(bytes(changed[: data.draw(st.integers(0, len(changed)))]))
