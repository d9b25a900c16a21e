"""The keeper: delivers webhooks, ends what nobody owns, applies retention.

It owns no state: the ledger does, and the keeper asks it over a link.
"""

from actors.keeper.delivery import DeliveryPolicy, Endpoint
from actors.keeper.keeper import Keeper, KeeperPolicy

__all__ = ["DeliveryPolicy", "Endpoint", "Keeper", "KeeperPolicy"]
