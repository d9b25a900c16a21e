"""The server end of one peer connection, with all that its peer sends, is sent and reports.

Owns a transport's life, from the first offer to the last datagram. Knows the participant it is of
by id only. Imports `forwarding` and what lies below it.
"""
