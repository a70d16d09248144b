# SPDX-License-Identifier: GPL-3.0-or-later
"""The RRD files: what is kept for how long, making them, and mending them.

Every file has the same archives, each with AVERAGE, MIN and MAX (rrdcreate(1)): 250 kB, which never
grow. A row needs half of its time known, else it is unknown.

=========  ===========  =========
graph      one row is   kept for
=========  ===========  =========
day        1 minute     26 hours
week       5 minutes    8 days
month      30 minutes   32 days
year       6 hours      370 days
decade     1 day        3660 days
=========  ===========  =========

A file whose last rows can't be trusted (the power went while it was written, or the clock had been
ahead) is rolled back, see rollback.py, and the samples since then are told again from the spool.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from raspy.common.durable import sync_folder
from raspy.servers.logger.rrd.rrdcached import RrdError

STEP_S = 10
"""Faster samples are averaged over so many seconds before MIN and MAX are taken."""

HEARTBEAT_S = 30 * 86400
"""rrdtool itself declares no gap: the samples say where one is (intake.py)."""

SPANS_S = {
    "day": 86400,
    "week": 7 * 86400,
    "month": 31 * 86400,
    "year": 366 * 86400,
    "decade": 3653 * 86400,
}
"""What a graph of that name shows, in seconds."""

ARCHIVES = (
    (60, 26 * 3600),
    (300, 8 * 86400),
    (1800, 32 * 86400),
    (21600, 370 * 86400),
    (86400, 3660 * 86400),
)
"""Seconds of a row, and for how many seconds rows are kept."""

FUNCTIONS = ("AVERAGE", "MIN", "MAX")
KNOWN_PART = 0.5


class Connection(Protocol):
    """Whatever updates and reads RRDs: rrdcached, or rrdtool directly."""

    def update(self, updates: Sequence[bytes]) -> list[tuple[int, str]]:
        """Queue values; returns the refused ones: place, and why."""
        ...

    def flush(self, path: Path) -> None:
        """Write what is queued for a file."""
        ...

    def forget(self, path: Path) -> None:
        """Drop what is queued for a file."""
        ...

    def info(self, path: Path) -> dict[str, str]:
        """The header of a file."""
        ...

    def create(self, path: Path, step_s: int, start: int, definitions: Sequence[str]) -> None:
        """Make a file."""
        ...

    def fetch(self, path: Path, function: str, start: int, end: int) -> tuple[int, list[tuple[int, float]]]:
        """Read rows."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


def definitions(kind: str) -> list[str]:
    """The data source and the archives of a file, as rrdcreate(1) wants them."""
    rows = [
        f"RRA:{function}:{KNOWN_PART}:{row_s // STEP_S}:{kept_s // row_s}"
        for row_s, kept_s in ARCHIVES
        for function in FUNCTIONS
    ]
    return [f"DS:value:{kind}:{HEARTBEAT_S}:U:U", *rows]


def create(connection: Connection, path: Path, kind: str, start: float) -> None:
    """Make a new file that takes samples after *start*.

    Raises:
        RrdError, OSError: it can't be made: it is there, or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection.create(path, STEP_S, int(start), definitions(kind))


def inspect(connection: Connection, path: Path, kind: str) -> float:
    """Check a file, and return the time of its last update, in whole seconds since 1970.

    Raises:
        RrdError: it is no RRD, or damaged, or of another kind.
    """
    info = connection.info(path)
    found = info.get("ds[value].type")
    if found != kind:
        raise RrdError(f"it is of kind {found or 'unknown'}, not {kind}")
    try:
        return float(info["last_update"])
    except (KeyError, ValueError):
        raise RrdError("it has no time of its last update") from None


def put_aside(connection: Connection, path: Path) -> Path | None:
    """Rename a file that can't be used, so that a person can look at it.

    Returns:
        Its new name; None when there is no file.
    """
    connection.forget(path)
    name = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}")
    try:
        path.rename(name)
    except FileNotFoundError:
        return None
    sync_folder(path.parent)
    return name
