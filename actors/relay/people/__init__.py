"""Who sees and hears whom: participants, their rights and transports, seats, speaker, layers.

Owns what is decided for a person and not for a packet. Imports `transport` and what lies below it.
"""
