"""What packets look like: RTP and RTCP, STUN, VP8, H.264, redundant audio, transport-wide feedback.

Owns how bytes are read, whoever wrote them, and written. Knows no socket, no clock and no person;
imports nothing else of the relay.
"""
