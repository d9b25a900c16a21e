"""The composition root: the one package that imports both sides and wraps them in Ray.

Owns how a deployment is put together: which class lives in which actor, under which name and
options. Knows no meaning: what a session, a ledger or a widget does stands elsewhere. Actors read
the deployment's secret from a file only its owner can read. Commands come in by `entry`; nothing is
imported here, because every session actor imports this package and pays for what it holds.
"""
