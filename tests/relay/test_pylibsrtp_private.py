"""The canary: what `pylibsrtp_private` reaches into is still there and does what it did."""

from __future__ import annotations

import os
import struct
import subprocess
import sys

import pytest
from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi, lib

from actors.relay.network.pylibsrtp_private import PROFILES, Buffer, Srtp, available_profiles


def test_the_private_names_exist_with_their_signatures() -> None:
    for name in ("srtp_protect", "srtp_unprotect", "srtp_protect_rtcp", "srtp_unprotect_rtcp"):
        signature = ffi.typeof(getattr(lib, name))
        assert [argument.cname for argument in signature.args] == [
            "struct srtp_ctx_t_ *",
            "void *",
            "int *",
        ]
    session = Session(Policy(bytes(30), Policy.SSRC_ANY_OUTBOUND))
    assert ffi.typeof(session._srtp[0]).cname == "struct srtp_ctx_t_ *"


def test_aes_gcm_is_built_in_and_preferred() -> None:
    assert available_profiles()[0] == b"SRTP_AEAD_AES_128_GCM"


def packet(sequence: int, payload: bytes = b"payload", ssrc: int = 7) -> bytes:
    return struct.pack("!BBHII", 0x80, 96, sequence, 1000, ssrc) + payload


def pair(profile: bytes) -> tuple[Srtp, Srtp]:
    _, key, salt = PROFILES[profile]
    secret = os.urandom(key + salt)
    return Srtp(profile, secret, inbound=False), Srtp(profile, secret, inbound=True)


@pytest.mark.parametrize("profile", list(PROFILES))
def test_what_is_protected_in_place_is_read_by_pylibsrtp_itself(profile: bytes) -> None:
    number, key, salt = PROFILES[profile]
    secret = os.urandom(key + salt)
    out = Srtp(profile, secret, inbound=False)
    theirs = Session(Policy(secret, Policy.SSRC_ANY_INBOUND, srtp_profile=number))
    buffer = Buffer()
    plain = packet(5)
    buffer.view[: len(plain)] = plain
    size = out.protect(buffer, len(plain))
    assert theirs.unprotect(bytes(buffer.view[:size])) == plain


def test_a_sequence_is_never_protected_twice() -> None:
    out, _ = pair(b"SRTP_AEAD_AES_128_GCM")
    buffer = Buffer()
    for payload, expected in ((b"first", True), (b"other", False)):
        plain = packet(9, payload)
        buffer.view[: len(plain)] = plain
        assert bool(out.protect(buffer, len(plain))) is expected
    # A late one is allowed once.
    for sequence, expected in ((20, True), (15, True), (15, False)):
        plain = packet(sequence)
        buffer.view[: len(plain)] = plain
        assert bool(out.protect(buffer, len(plain))) is expected


def test_oversize_and_forged_packets_fail_without_an_exception() -> None:
    out, into = pair(b"SRTP_AEAD_AES_128_GCM")
    buffer = Buffer()
    assert out.protect(buffer, 2000) == 0
    assert out.protect_rtcp(buffer, 2000) == 0
    buffer.view[:60] = packet(1, bytes(48))
    assert into.unprotect(buffer, 60) == 0
    assert into.unprotect_rtcp(buffer, 60) == 0
    assert into.unprotect(buffer, 12) == 0


def test_the_relay_imports_neither_libav_nor_a_resolver() -> None:
    """20 MB of libav come with aiortc, 2 of dnspython with aioice; session actors stay without."""
    code = "import sys, actors.relay; print({'av', 'aiortc', 'dns'} & set(sys.modules))"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert output.strip() == "set()"
