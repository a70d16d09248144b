# SPDX-License-Identifier: GPL-3.0-or-later
"""Values whose server is gone turn stale by themselves.

A device server publishes each value again with every poll, and says in it how often that is (``poll``,
seconds). A value that was not published again for three polls is marked here: the same body, with
``"quality": "stale"``. So a server that was killed, hangs, or lost its network never leaves a value
behind that looks live.

The work is done once a second, beside the stream of updates and not in it: a key that was published since the
last look costs one comparison, and only one that was not has its body read, once. Ages are measured on
the monotonic clock from when the value was seen to change, so a step of the wall clock ages nothing.
Only for values that a restarted broker found in its file is the wall clock asked, and it may not use up
the last of the three polls: a server that lives gets the time to publish again.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

PREFIX = b"/device/"

POLLS = 3
"""A value older than so many polls is stale."""

MAX_TIME_S = 1e11
"""No time of day is as many seconds after the epoch."""

_Seen = tuple[int, float, float | None]
"""Of a key: its sequence, since when it has it, and when it turns stale (None: not looked at yet)."""


class StaleSweep:
    """Finds the values that turn stale now.

    Args:
        clock: monotonic seconds.
        wall: seconds since the epoch.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._seen: dict[bytes, _Seen] = {}
        self._before: float | None = None

    def sweep(self, values: Mapping[bytes, tuple[int, bytes]]) -> list[tuple[bytes, bytes]]:
        """Look at all values; to be called about once a second.

        Args:
            values: sequence and body by key, as `KvMap.values`.

        Returns:
            The keys that turn stale now, each with its new body, to be published.
        """
        now = self._clock()
        # A change was made at some time since the last look; at the first look nobody knows.
        since = self._before
        self._before = now
        seen = self._seen
        stale: list[tuple[bytes, bytes]] = []
        count = 0
        for key, (sequence, body) in values.items():
            if not key.startswith(PREFIX):
                continue
            count += 1
            known = seen.get(key)
            if known is None or known[0] != sequence:
                seen[key] = (sequence, now if since is None else since, self._found(body, now, since))
                continue
            deadline = known[2]
            if deadline is None:
                value = _good(body)
                deadline = known[1] + POLLS * value["poll"] if value else math.inf
                seen[key] = (sequence, known[1], deadline)
            if now >= deadline:
                stale.append((key, _as_stale(body)))
                seen[key] = (sequence, known[1], math.inf)
        if len(seen) > count:
            self._seen = {key: known for key, known in seen.items() if key in values}
        return stale

    def _found(self, body: bytes, now: float, since: float | None) -> float | None:
        """When a value that was in the map before the first look turns stale; None for any other."""
        if since is not None:
            return None
        value = _good(body)
        if not value:
            return math.inf
        poll: float = value["poll"]
        polled = value.get("polled")
        # A whole number in JSON may be too large for any float, and compares all the same.
        if not isinstance(polled, (int, float)) or not 0 < polled < MAX_TIME_S:
            polled = self._wall()
        age = self._wall() - polled
        return now + POLLS * poll - min(max(age, 0.0), (POLLS - 1) * poll)


def _as_stale(body: bytes) -> bytes:
    """The same value, marked. What is no text (half a surrogate pair, escaped in JSON) becomes ``?``."""
    marked = {**_good(body), "quality": "stale"}
    return json.dumps(marked, ensure_ascii=False).encode(errors="replace")


def _good(body: bytes) -> dict[str, Any]:
    """The value, if it is good and says how often it is polled; else an empty one, which never turns."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(value, dict) or value.get("quality") != "good":
        return {}
    poll = value.get("poll")
    if isinstance(poll, bool) or not isinstance(poll, (int, float)) or not 0 < poll < 1e9:
        return {}
    return value
