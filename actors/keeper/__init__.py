"""The keeper: delivers webhooks, ends what nobody owns, applies retention.

It owns no state: the ledger does, and the keeper asks it over a link.
"""
