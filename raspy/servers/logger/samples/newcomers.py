# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that have no series yet: which of them get one, and what waits meanwhile."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from raspy.servers.logger.rrd.rrdcached import RrdError
from raspy.servers.logger.samples.declared import Declaration
from raspy.servers.logger.samples.intake import Intake
from raspy.servers.logger.samples.series import Catalogue, Series, check_key

OLDEST = 1_000_000_000
"""Before September 2001 (in seconds since 1970) a clock is not set; rrdtool takes nothing before 1980."""

LOOK_S = 1.0
"""How often is looked what can be done for those that wait."""

AGAIN_S = 60.0
"""How long a key that got no series is left alone, and how often the declarations are looked at again."""

WAITING_MAX = 50_000
"""Values that wait for their series, of all keys together."""

UNIT_MAX = 32

IGNORED_MAX = 10_000
"""Keys without a series that are remembered."""


class Newcomers:
    """Gives series to values. `offer` is called by the thread of the intake, all else by one that may wait.

    Arguments:
        catalogue: all series.
        intake: where the values come from.
        can_open: whether RRDs can be made now.
        open_series: makes the RRD of a series ready for samples from a time on.
        declared: what a value's own server says of it; None while it does not answer.
        progress: says that there is progress, and tells whether to go on.
        max_series: how many series there may be.
        log: where to say what was refused.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        intake: Intake,
        can_open: Callable[[], bool],
        open_series: Callable[[Series, float], None],
        declared: Callable[[str], Declaration | None],
        progress: Callable[[], bool],
        max_series: int,
        log: logging.Logger,
    ) -> None:
        self._catalogue = catalogue
        self._intake = intake
        self._can_open = can_open
        self._open_series = open_series
        self._declared = declared
        self._progress = progress
        self._max_series = max_series
        self._log = log
        self._lock = threading.Lock()
        self._waiting: dict[str, list[bytes]] = {}
        self._waiting_count = 0
        self._ignored: dict[str, float] = {}
        self._said: set[str] = set()
        self._looked_over_at = time.monotonic()

    def offer(self, key: str, body: bytes, value: dict[str, Any]) -> None:
        """Take a value that has no open series, or none in its unit."""
        until = self._ignored.get(key)
        if until is not None and time.monotonic() < until:
            return
        # A series begins with a good number; a text has no graph.
        begins = type(value["value"]) in (int, float, bool) and value["quality"] == "good"
        if not begins and key not in self._waiting:
            return
        if not (value.get("polled") or value["time"]) > OLDEST:
            self._intake.counts.late += 1
            return
        unit = value.get("unit")
        wrong = check_key(key)
        if wrong is None and isinstance(unit, str) and len(unit) > UNIT_MAX:
            wrong = f"its unit is longer than {UNIT_MAX} characters"
        if wrong is not None:
            self._intake.counts.refused += 1
            self._ignore(key)
            self._say(key, f"{key[:100]!r} gets no history: {wrong}")
            return
        with self._lock:
            series = self._intake.series.get(key)
            opened_meanwhile = series is not None and (unit == series.unit or not isinstance(unit, str))
            if not opened_meanwhile:
                self._intake.series.pop(key, None)
                if self._waiting_count < WAITING_MAX:
                    self._waiting.setdefault(key, []).append(body)
                    self._waiting_count += 1
                else:
                    self._intake.counts.dropped += 1
        if opened_meanwhile:
            self._intake.take(key, body)

    def look(self) -> None:
        """Give series to those that wait, as far as it can be done now."""
        if time.monotonic() - self._looked_over_at >= AGAIN_S:
            self._look_over()
        chosen = []
        for key in list(self._waiting):
            if not self._progress():
                return
            declaration = self._declared(key)
            if declaration is None:
                continue
            series = self._choose(key, declaration.kind) if declaration.log else None
            if series is None:
                self._drop(key)
            else:
                chosen.append(series)
        if not chosen or not self._can_open():
            return
        try:
            self._catalogue.save()
        except OSError as error:
            self._log.warning("can't write %s: %s", self._catalogue.path, error)
            return
        for series in chosen:
            if not self._progress():
                return
            try:
                self._open(series)
            except (RrdError, OSError) as error:
                self._say(series.key, f"{series.key} gets no history yet: {error}")

    def _choose(self, key: str, kind: str) -> Series | None:
        """The series for what waits under a key; None when there may be none."""
        unit = _unit(self._waiting[key][-1])
        before = self._catalogue.series.get(key)
        if before is None and len(self._catalogue.files) >= self._max_series:
            self._say(key, f"{key} gets no history: there are {self._max_series} (setting max_series)")
            return None
        series = self._catalogue.find(key, unit, kind)
        if series is None:
            self._say(key, f"{key} gets no history in {unit!r}: it has had too many units already")
        elif before is not None and before is not series:
            self._log.warning(
                "%s was in %r and is in %r now: a history of its own begins", key, before.unit, unit
            )
        return series

    def _open(self, series: Series) -> None:
        """Open a series, and tell it what has waited."""
        key, unit = series.key, series.unit
        first = json.loads(next(body for body in self._waiting[key] if _unit(body) == unit))
        self._open_series(series, first.get("polled") or first["time"])
        with self._lock:
            for body in self._waiting[key]:
                if _unit(body) == unit:
                    self._intake.tell(series, body)
            self._forget(key)
            self._intake.series[key] = series
        self._said.discard(key)

    def _drop(self, key: str) -> None:
        with self._lock:
            self._forget(key)
        self._ignore(key)

    def _forget(self, key: str) -> None:
        self._waiting_count -= len(self._waiting.pop(key, ()))

    def _ignore(self, key: str) -> None:
        if len(self._ignored) >= IGNORED_MAX:
            self._ignored.clear()
        self._ignored[key] = time.monotonic() + AGAIN_S

    def _say(self, key: str, why: str) -> None:
        """Warn, once a key."""
        if key not in self._said:
            if len(self._said) >= IGNORED_MAX:
                self._said.clear()
            self._said.add(key)
            self._log.warning("%s", why)

    def _look_over(self) -> None:
        """Close the series of devices that are not to be logged any more, or are of another kind now."""
        self._looked_over_at = time.monotonic()
        for key, series in list(self._intake.series.items()):
            declaration = self._declared(key)
            if declaration is not None and (not declaration.log or declaration.kind != series.kind):
                self._intake.series.pop(key, None)


def _unit(body: bytes) -> str:
    unit = json.loads(body).get("unit")
    return unit if isinstance(unit, str) else ""
