# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of a value, from the logger over the bus: a confined unit does not reach its HTTP."""

from __future__ import annotations

import time
from typing import Any

from raspyweb.app.bus import Bus, BusAway

PERIODS_S = {"day": 86400, "week": 7 * 86400, "month": 31 * 86400, "year": 366 * 86400}

SPARK_S = 6 * 3600
SPARK_POINTS = 60
"""What a tile's small line shows: at most so many seconds, in at most so many points."""

FETCH_S = 4.0


def fetch(bus: Bus, series: str, start: int, end: int) -> dict[str, Any]:
    """A series over a range, as the logger gives it.

    Args:
        series: its key, such as ``pi/host/load/1min``.
        start, end: in seconds since 1970; negative: before now.

    Raises:
        BusAway: there is no logger, or it does not answer.
        Refused: it has no such series.
    """
    service = f"{bus.server('logger')}.graph"
    if service not in bus.awake():
        # Else the request would wait for one to come.
        raise BusAway("the logger is away")
    found: dict[str, Any] = bus.json(service, "fetch", series, str(start), str(end), timeout_s=FETCH_S)
    return found


def spark(bus: Bus, series: str) -> list[float | None]:
    """The small line of a tile: means over equal spans, from the first value in the range up to now.

    Returns:
        The means; None where nothing is known.

    Raises: as `fetch`.
    """
    chart = fetch(bus, series, -SPARK_S, int(time.time()))
    values: list[float | None] = chart["series"][0]["average"] if chart["series"] else []
    first = next((place for place, value in enumerate(values) if value is not None), len(values))
    values = values[first:]
    together = -(-len(values) // SPARK_POINTS) or 1
    return [_mean(values[start : start + together]) for start in range(0, len(values), together)]


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 6) if known else None
