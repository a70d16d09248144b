# SPDX-License-Identifier: GPL-3.0-or-later
"""A month of two thermometers, a switch and a meter, in RRDs."""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from raspy.servers.logger.rrd import archives
from raspy.servers.logger.rrd.backend import Backend
from raspy.servers.logger.samples.series import Catalogue

END = 1_700_000_000 // 86400 * 86400
"""Midnight UTC after the last sample."""

DAY = 86400
GAP = range(END - 5 * 3600, END - 3 * 3600)


def inside(moment: int) -> str:
    return "U" if moment in GAP else f"{24.5 + math.sin(moment / DAY * 2 * math.pi):.3f}"


VALUES = {
    "pi/fake/tank/temperature": ("°C", inside),
    "pi/onewire/garden/temperature": (
        "°C",
        lambda moment: f"{2 + 9 * math.sin(moment / DAY * 2 * math.pi):.3f}",
    ),
    "pi/fake/heater/state": ("", lambda moment: str(moment // 7200 % 2)),
    "pi/fake/main: meter %/power": ("W", lambda moment: str(4_000_000 + moment % 1000)),
}


@pytest.fixture(scope="module")
def history() -> Iterator[Catalogue]:
    """The catalogue of it, written for good."""
    with tempfile.TemporaryDirectory(prefix="raspy-") as home:
        catalogue = Catalogue(Path(home))
        with closing(Backend("direct", catalogue.rrd, logging.getLogger("test")).connect()) as connection:
            for key, (unit, value) in VALUES.items():
                series = catalogue.find(key, unit, "GAUGE")
                assert series is not None
                archives.create(connection, series.path, "GAUGE", END - 31 * DAY)
                moments = range(END - 31 * DAY + 300, END + 1, 300)
                connection.update(
                    [series.prefix + f"{moment}:{value(moment)}".encode() for moment in moments]
                )
                connection.flush(series.path)
                series.last = END
        catalogue.series["pi/fake/heater/state"].value = True
        yield catalogue
