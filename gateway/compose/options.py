"""Every actor's name, namespace and options.

No id of a person or account and no secret appears in a name, an argument or a runtime environment,
because Ray's dashboard and logs show them.
"""

NAMESPACE = "switchboard"
LEDGER_NAME = "ledger"
POOL_NAME = "pool"
KEEPER_NAME = "keeper"
SESSION_PREFIX = "session-"
"""A session actor's name goes on with chance: it is how `down` finds those that are detached."""
MEDIA_SLOT = "media_slot"
SESSION_MEMORY = 100 * 1024 * 1024
"""Bytes that Ray keeps for each session actor."""
LABEL = "switchboard"
"""The Ray node label whose value says what kind of place a node is."""
ACTOR_START_S = 60.0
LOOK_UP_S = 3.0
LEDGER_OPTIONS = {
    "name": LEDGER_NAME,
    "namespace": NAMESPACE,
    "lifetime": "detached",
    "get_if_exists": True,
    "max_restarts": -1,
    "num_cpus": 0.05,
    "memory": 200 * 1024 * 1024,
}
POOL_OPTIONS = {
    "name": POOL_NAME,
    "namespace": NAMESPACE,
    "lifetime": "detached",
    "get_if_exists": True,
    "max_restarts": -1,
    "num_cpus": 0.05,
    "memory": 120 * 1024 * 1024,
}
KEEPER_OPTIONS = {**POOL_OPTIONS, "name": KEEPER_NAME}
# Without num_cpus a custom resource would take a whole CPU for life; without any resource an
# actor lands anywhere and tells the autoscaler nothing.
SESSION_OPTIONS = {
    "namespace": NAMESPACE,
    "lifetime": "detached",
    "max_restarts": 0,
    "num_cpus": 0.01,
    "memory": SESSION_MEMORY,
    "resources": {MEDIA_SLOT: 1},
}
NODE = "node"
"""Stands for the address by which Ray knows the node that an actor was placed on."""


def ledger_name(shard: int) -> str:
    """Name the ledger of a shard; the first has the name that a deployment's only one has."""
    return LEDGER_NAME if shard == 0 else f"{LEDGER_NAME}-{shard}"
