"""Session descriptions: offers read with bounds, codecs chosen, answers written.

What a description does to a transport is decided in `actors.relay.transport.negotiation`. Imports
`wire`.
"""
