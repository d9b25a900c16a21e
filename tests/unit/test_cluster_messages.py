"""Messages inside the cluster, as another release may have left them."""

from __future__ import annotations

import pickle

from broker.messages.cluster.nodes import NodeState, PoolLevel


def test_what_another_release_pickled_has_the_fields_of_this_one() -> None:
    """Ray hands an instance on as it was: it knows nothing of a field that came later."""
    level = PoolLevel(standbys=1, live=2, queued=3, nodes=[NodeState(node="a", standbys=1, live=2)])
    for older, name in ((level, "failed"), (level, "processes"), (level.nodes[0], "reusable")):
        del older.__dict__[name]
    first, second = (pickle.loads(pickle.dumps(level)) for _ in range(2))
    assert first == PoolLevel(standbys=1, live=2, queued=3, nodes=[*first.nodes])
    assert (first.processes, first.nodes[0].reusable, first.nodes[0].live) == ([], 0, 2)
    assert first.processes is not second.processes
    assert PoolLevel.of_all([first]).failed == 0
