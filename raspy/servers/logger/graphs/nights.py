# SPDX-License-Identifier: GPL-3.0-or-later
"""When it is night at the place of the installation, for the shading of graphs.

astral takes 9 MB and half a second to import. So a child process asks it for all days that are not
known yet, and the logger asks ahead for those that graphs usually show.

Run as a program: ``nights.py LATITUDE LONGITUDE TIMEZONE FIRST COUNT`` prints a JSON list of
``[sunrise, sunset]`` (seconds since 1970, null: none on that day) for COUNT days from FIRST
(YYYY-MM-DD) on; TIMEZONE may be empty for the system's own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta

AHEAD_DAYS = 2
BEHIND_DAYS = 34
"""The days around today that are asked for ahead."""

SPAN_MAX_S = 35 * 86400
"""In a longer graph a night is too narrow to be seen."""

KNOWN_MAX = 2000
TIMEOUT_S = 30.0
RETRY_S = 3600.0

Sun = tuple[float | None, float | None]


class Nights:
    """The nights at a place. Safe to use from several threads.

    Arguments:
        latitude, longitude: degrees, north and east positive; None where no place is configured.
        timezone: its time zone, "" for the system's own.
    """

    def __init__(self, latitude: float | None, longitude: float | None, timezone: str = "") -> None:
        self.latitude = latitude
        self.longitude = longitude
        self.timezone = timezone
        self.error = ""
        self._lock = threading.Lock()
        self._known: dict[date, Sun] = {}
        self._again_at = 0.0

    def prepare(self, alive: Callable[[], None]) -> None:
        """Ask ahead for the days that graphs usually show; cheap once it was done on a day.

        *alive* is called while it lasts, at least every second.
        """
        today = date.today()
        self._learn(today - timedelta(BEHIND_DAYS), today + timedelta(AHEAD_DAYS), alive)

    def between(self, start: float, end: float) -> list[tuple[int, int]]:
        """The nights of a range, in seconds since 1970; none without a place, or in a long range."""
        if self.latitude is None or self.longitude is None or not 0 < end - start <= SPAN_MAX_S:
            return []
        first, last = date.fromtimestamp(start - 86400), date.fromtimestamp(end + 86400)
        self._learn(first, last)
        nights: list[tuple[int, int]] = []
        dark_since: float | None = None
        for offset in range((last - first).days + 1):
            day = first + timedelta(offset)
            if day not in self._known:
                return []
            sunrise, sunset = self._known[day]
            if sunrise is None and sunset is None:
                if self._polar_night(day):
                    dark_since = start if dark_since is None else dark_since
                else:
                    dark_since = None
                continue
            if sunrise is not None and dark_since is not None:
                nights.append((int(max(start, dark_since)), int(min(end, sunrise))))
            dark_since = sunset
        if dark_since is not None:
            nights.append((int(max(start, dark_since)), int(end)))
        return [(dusk, dawn) for dusk, dawn in nights if dusk < dawn]

    def _polar_night(self, day: date) -> bool:
        """Whether the sun stays below the horizon on a day on which it does not cross it."""
        assert self.latitude is not None
        northern_summer = 80 <= day.timetuple().tm_yday <= 266
        return northern_summer != (self.latitude > 0)

    def _learn(self, first: date, last: date, alive: Callable[[], None] = lambda: None) -> None:
        """Ask for what is not known yet."""
        with self._lock:
            days = [first + timedelta(offset) for offset in range((last - first).days + 1)]
            missing = [day for day in days if day not in self._known]
            if not missing or self.latitude is None or time.monotonic() < self._again_at:
                return
            try:
                found = self._ask(missing[0], (missing[-1] - missing[0]).days + 1, alive)
            except (OSError, ValueError) as error:
                # A graph without shading is better than none.
                self.error = str(error)
                self._again_at = time.monotonic() + RETRY_S
                return
            if len(self._known) + len(found) > KNOWN_MAX:
                self._known.clear()
            for offset, (sunrise, sunset) in enumerate(found):
                self._known[missing[0] + timedelta(offset)] = (sunrise, sunset)

    def _ask(self, first: date, count: int, alive: Callable[[], None]) -> list[Sun]:
        """Have a child process ask astral."""
        command = [sys.executable, "-m", "raspy.servers.logger.graphs.nights"]
        command += [str(self.latitude), str(self.longitude), self.timezone, first.isoformat(), str(count)]
        # It finds this package wherever we found it.
        environment = {**os.environ, "PYTHONPATH": ":".join(path for path in sys.path if path)}
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=environment
        ) as child:
            deadline = time.monotonic() + TIMEOUT_S
            while True:
                alive()
                try:
                    output, complaint = child.communicate(timeout=1.0)
                    break
                except subprocess.TimeoutExpired:
                    if time.monotonic() > deadline:
                        child.kill()
        if child.returncode != 0:
            last_line = complaint.decode(errors="replace").strip().rpartition("\n")[2]
            raise OSError(last_line or f"asking for the sun ended with status {child.returncode}")
        found: list[Sun] = json.loads(output)
        return found


def main(arguments: list[str]) -> int:
    """Print the sun's times of some days, see above."""
    from raspy.common import sun

    latitude, longitude, timezone, first, count = arguments
    zone = timezone or datetime.now().astimezone().tzinfo
    found = []
    for offset in range(int(count)):
        times = sun.times(
            date.fromisoformat(first) + timedelta(offset), float(latitude), float(longitude), zone or "UTC"
        )
        found.append([moment and moment.timestamp() for moment in (times["sunrise"], times["sunset"])])
    json.dump(found, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
