"""What a session *is*: pure and synchronous.

Owns the state of a session and its rules (`decide`, `evolve`, `next_deadline`), the wire between
widgets and broker (`messages`), and the framing of trunks (`trunk`). It must not know how it is
hosted: no sockets, no clock, no randomness, no Ray, no asyncio.
"""
