"""What an operator decides about a relay: addresses, ports and limits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RelayConfig:
    """Addresses, ports and limits of one relay.

    `bind` and `advertise` are separate, because behind a 1:1 NAT the address in the answer is
    not one of this machine. Every bound address uses the same port number.
    """

    bind: tuple[str, ...] = ("127.0.0.1",)
    """Local addresses (IPv4 or IPv6) to bind; a wildcard stands for every address of its family."""
    advertise: tuple[str, ...] = ()
    """Addresses to put into answers; empty means those that were bound."""
    ports: range = range(0, 1)
    """Ports to try in order; `range(0, 1)` lets the kernel choose."""
    left_port: int = 0
    """A port given back just now: taken again only when no other is free, because packets for who
    had it may still be under way. The search begins behind it."""

    max_offer_bytes: int = 128 * 1024
    max_offer_sections: int = 64
    max_section_lines: int = 400
    max_section_payload_types: int = 128
    max_section_ssrcs: int = 32
    max_transports: int = 500
    """Live transports of one session, handovers included."""
    max_publications: int = 16
    """Of one transport in its life. It has three at most at a time; each one more brings SSRCs,
    and the state that libsrtp has for an SSRC goes only with the transport."""
    max_addresses: int = 8
    """Validated addresses of one transport."""
    max_rtp_bytes: int = 1300
    """Longest RTP packet after decryption; a longer one is dropped where it comes in."""
    max_packets_per_second: int = 2000
    """RTP and RTCP that one transport may bring, a quarter of it at once; the rest is not even
    decrypted. Three layers, a shared screen and their repairs are about 1,000."""
    max_bits_per_second: int = 8_000_000
    """The same in bits, half a megabyte at once. Browsers send 2.5 Mbit/s of a camera or a screen
    at most, and find out by their transport-wide feedback that more does not get through."""
    max_layers: int = 3
    """Simulcast layers of one publication."""

    drain: int = 32
    """Datagrams taken from one socket per wake-up, so that signalling lives beside media."""
    receive_buffer_bytes: int = 2 * 1024 * 1024
    handshake_seconds: float = 10.0
    """Time from the first ClientHello to the last flight."""
    integrity_failures_per_second: int = 20
    """STUN requests with a known name and a wrong proof that are looked at, per transport."""
    checks_per_second: int = 100
    """STUN requests with the right proof that are answered, per transport, a fifth of them at once;
    browsers make 50, one after another."""
    dtls_datagrams_per_second: int = 50
    """DTLS datagrams that are looked at, per transport; a whole handshake is about ten."""
    silence_before_reroute: float = 1.0
    """Seconds without traffic after which the relay sends to where the client was last heard."""
    silence_before_reconnecting: float = 8.0
    silence_before_closing: float = 30.0
    key_frame_interval: float = 0.5
    """Shortest time between two key-frame requests to one layer, in seconds."""
    report_interval: float = 0.95
    """Seconds between two sender or receiver reports about one stream; with the tick of 50 ms by
    which they are sent it is a second."""
    feedback_interval: float = 0.1
    """Seconds between two transport-wide feedback messages to one publisher."""
