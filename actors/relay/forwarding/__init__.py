"""A packet's way through the relay: publication → layer → slot → outlet.

Owns what is passed on, under which numbers and times, and what is sent once more. Knows a transport
as a `MediaPeer` and nobody by name; who is put into a slot is decided in `people`. Imports `wire`,
`sdp`, `network` and `congestion`.
"""
