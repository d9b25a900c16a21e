"""Where a session *lives*: session actor and relay, ledger, pool, keeper.

Plain classes that any asyncio loop can host; the composition root wraps them in Ray. Imports
`broker`, never `gateway`.
"""
