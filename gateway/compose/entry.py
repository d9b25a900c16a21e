"""What commands and benchmarks call of the composition root."""

from gateway.compose.cluster import (
    Cluster,
    ask_ledgers,
    end_cluster,
    pause_openings,
    start_cluster,
    stop_cluster,
)
from gateway.compose.database import ask_database
from gateway.compose.keeper_host import webhook_endpoints
from gateway.compose.node import node_name
from gateway.compose.options import ACTOR_START_S
from gateway.compose.ray_runtime import (
    count_nodes,
    join_ray,
    joined_ray,
    leave_ray,
    list_nodes,
    private_ray,
    stop_ray,
    versions_at,
)
from gateway.compose.settings import ClusterSettings

__all__ = [
    "ACTOR_START_S",
    "Cluster",
    "ClusterSettings",
    "ask_database",
    "ask_ledgers",
    "count_nodes",
    "end_cluster",
    "join_ray",
    "joined_ray",
    "leave_ray",
    "list_nodes",
    "node_name",
    "pause_openings",
    "private_ray",
    "start_cluster",
    "stop_cluster",
    "stop_ray",
    "versions_at",
    "webhook_endpoints",
]
