"""The session actor: one video session with its roster, trunks, journal and relay.

Owns everything of one session and nothing of another. Must not know Ray, gateways' insides or SQL.
"""
