# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of a value, from the logger over the bus: a confined unit does not reach its HTTP."""

from __future__ import annotations

import time
from typing import Any

from raspyweb.app.bus import Bus, BusAway

PERIODS_S = {"day": 86400, "week": 7 * 86400, "month": 31 * 86400, "year": 366 * 86400}

SPARK_S = 6 * 3600
SPARK_POINTS = 60
"""What a tile's small line shows: so many seconds, in so many points."""

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
    """The small line of a tile: the means of equal time spans, the last one up to now; None where unknown.

    Raises: as `fetch`.
    """
    now = time.time()
    chart = fetch(bus, series, -SPARK_S, int(now))
    sums = [0.0] * SPARK_POINTS
    counts = [0] * SPARK_POINTS
    for line in chart["series"][:1]:
        for moment, value in zip(line["time"], line["average"], strict=True):
            place = int((moment - now + SPARK_S) * SPARK_POINTS / SPARK_S)
            if value is not None and 0 <= place < SPARK_POINTS:
                sums[place] += value
                counts[place] += 1
    return [round(sums[n] / counts[n], 6) if counts[n] else None for n in range(SPARK_POINTS)]
