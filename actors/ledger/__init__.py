"""The durable directory and journal of sessions, and the memory of presence.

Owns the database, the assignment of standbys, takeover and fencing. Knows nothing of what events
mean beyond the few it projects into columns, of widgets, or of Ray.
"""

from actors.ledger.ledger import Ledger
from actors.ledger.policy import LedgerPolicy

__all__ = ["Ledger", "LedgerPolicy"]
