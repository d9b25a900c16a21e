"""API keys change while a gateway runs: on one machine its end is the end of every call."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from pathlib import Path

from gateway.accounts_file import BadAccounts, changed_at, load_accounts
from gateway.proofs.api_keys import ApiKeys
from gateway.tasks import repeat

POLL_S = 10.0
"""As often as the keeper looks (`gateway.compose.keeper_host`)."""
_LOG = logging.getLogger(__name__)


class KeyRotation:
    """Follows the API keys of an accounts file. Its owner runs `run` as a task.

    All else that a gateway is told of accounts holds until it is started again, and so does
    everything of an account that is new.
    """

    def __init__(self, file: Path, keys: ApiKeys) -> None:
        self._file = file
        self._keys = keys
        self._seen = -1
        """When the file that was taken over was changed. The first look always takes over: it may
        have changed since the gateway read it."""
        self._fault = ""
        """What is wrong with the file, as it was said."""

    async def run(self) -> None:
        """Look until cancelled."""
        await repeat(partial(asyncio.to_thread, self.look), POLL_S)

    def look(self) -> None:
        """Take over what the file says if it has changed; one that is wrong changes nothing."""
        # Before it is read: what changes meanwhile is seen by the next look.
        changed = changed_at(self._file)
        if changed == self._seen:
            return
        try:
            self._keys.take_over(load_accounts(self._file))
        except BadAccounts as error:
            if str(error) != self._fault:
                _LOG.error("API keys not taken over", extra={"why": str(error)})
            self._fault = str(error)
            return
        self._seen, self._fault = changed, ""
