# SPDX-License-Identifier: GPL-3.0-or-later
"""What peers do wrong: counted always, logged at most once a second for each peer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from raspy.common.statistics import SNMP
from raspy.common.zhelpers import readable

LOG_EVERY_S = 1.0
# Peers that get a line within a second; those of a flood from ever new peers are only counted.
MAX_PEERS = 1000


class Offences:
    """Notes offences.

    Args:
        log: where the lines go.
        counter: the statistic that counts them.
        clock: monotonic seconds, for tests.
    """

    def __init__(
        self, log: logging.Logger, counter: SNMP, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._counter = counter
        self._clock = clock
        self._logged_at: dict[bytes, float] = {}
        self._unsaid: dict[bytes, int] = {}

    def note(self, peer: bytes, what: str) -> None:
        """Count one offence, and log it unless this peer had a line within the last second.

        Args:
            peer: its routing id, or empty when the socket has none.
            what: what it did, and what became of it.
        """
        self._counter.set(1)
        now = self._clock()
        last = self._logged_at.get(peer)
        if last is not None and now - last < LOG_EVERY_S:
            self._unsaid[peer] = self._unsaid.get(peer, 0) + 1
            return
        if last is None and len(self._logged_at) >= MAX_PEERS and not self._forget(now - LOG_EVERY_S):
            return
        self._logged_at[peer] = now
        more = self._unsaid.pop(peer, 0)
        suffix = f" (and {more} more since its last line)" if more else ""
        self._log.warning("peer %s: %s%s", readable(peer) or "unknown", what, suffix)

    def _forget(self, before: float) -> bool:
        """Make room: forget the peers that had their last line *before*. Tells whether there were any."""
        old = [peer for peer, at in self._logged_at.items() if at <= before]
        for peer in old:
            del self._logged_at[peer]
            self._unsaid.pop(peer, None)
        return bool(old)
