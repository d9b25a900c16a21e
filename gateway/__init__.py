"""The public edge: WebSockets and REST for widgets, proofs of identity, pages, the command line.

Owns every socket a widget or a brand's backend may reach. Knows the ledger and the session actors
only by the links of `broker.link`; never imports `actors` or Ray (`gateway.compose`, the command's
composition root, is the one package that does).
"""
