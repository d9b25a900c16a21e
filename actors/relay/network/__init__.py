"""How datagrams come from a peer and go to one: a UDP port, ICE-lite, DTLS, SRTP.

Owns sockets, keys, and whose an address is. Knows no publication and no slot: what came in goes to
a `Peer`, what goes out lies in the cells of the `Departures`. Imports `wire`.
"""
