# SPDX-License-Identifier: GPL-3.0-or-later
"""How often somebody may try: a bucket of tries for each, which fills up again slowly."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

KEYS_MAX = 10_000
"""So many are remembered; the one that tried longest ago is forgotten first."""


class Limiter:
    """Count tries by key, such as an address. Thread safe.

    Args:
        tries: so many at once.
        every_s: then one more every so many seconds.
        clock: monotonic seconds, for tests.
    """

    def __init__(self, tries: int, every_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.tries = tries
        self.every_s = every_s
        self._clock = clock
        self._lock = threading.Lock()
        # By key: when the bucket will be full again. In the order of the last try.
        self._full_at: dict[str, float] = {}

    def wait_s(self, key: str) -> float:
        """How long *key* has to wait before its next try, in seconds; 0 if it need not."""
        with self._lock:
            missing_s = self._full_at.get(key, 0.0) - self._clock()
        return max(0.0, missing_s - (self.tries - 1) * self.every_s)

    def note(self, key: str) -> None:
        """*key* has tried."""
        now = self._clock()
        with self._lock:
            full_at = max(now, self._full_at.pop(key, now)) + self.every_s
            self._full_at[key] = min(full_at, now + self.tries * self.every_s)
            if len(self._full_at) > KEYS_MAX:
                del self._full_at[next(iter(self._full_at))]

    def forget(self, key: str) -> None:
        """*key* did it right; its tries don't count any more."""
        with self._lock:
            self._full_at.pop(key, None)
