# SPDX-License-Identifier: GPL-3.0-or-later
"""What a device server remembers of its actuators over a restart, in one small file.

Safety does not hang on this file: whatever it says, a server that starts puts every actuator in its safe
state, and a hold ends there at the latest. The file carries over what a restart must not forget: since
when a device is on or off (a compressor that was switched off a second before must rest its ``min_off_s``
all the same), that ``max_run_s`` switched it off, and until when it was held and by whom, so that the
journal can say what a crash ended.

Times are kept on CLOCK_BOOTTIME, which no setting of the clock moves, with the id of the boot that
they belong to, and for people in seconds since the epoch. Of another boot, or where the id can't be
read, they are not believed: then a minimum time begins anew, which is the safe side.

An SD card is worn by writes, so renewing a hold does not count as a change; the end of one that goes
on and on is brought up to date every `REFRESH_S` seconds. The file is written (whole, fsync, rename) when a
device with a minimum time or a longest run is about to be switched on, and for everything else at most
every `LAZY_S` seconds.

Sources: clock_gettime(2), random(4) (boot_id), rename(2).
"""

from __future__ import annotations

import json
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from raspy.common import systemd
from raspy.common.device_server.guard import Guard

LAZY_S = 10.0
REFRESH_S = 600.0

FILE = "actuators.json"


def boottime() -> float:
    """Seconds since the machine was started, also those in which it slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Ledger:
    """The file.

    Args:
        path: where it is; None keeps nothing.
        log: where to say that it can't be read or written.
        clock: seconds on the clock that the guards use.
        boot: the id of this boot.
        wall: seconds since the epoch.
    """

    def __init__(
        self,
        path: Path | None,
        log: logging.Logger,
        *,
        clock: Callable[[], float] = boottime,
        boot: str | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._log = log
        self._clock = clock
        self._boot = systemd.boot_id() if boot is None else boot
        self._wall = wall
        self._written: dict[str, dict[str, Any]] = {}
        self._written_at = -math.inf
        self._failing = False
        self._writing = threading.Lock()

    def load(self) -> dict[str, dict[str, Any]]:
        """What was kept, by device. Of a file that is missing or damaged: nothing."""
        if self._path is None:
            return {}
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            records = {name: dict(record) for name, record in kept["devices"].items()}
            certain = bool(self._boot) and kept["boot"] == self._boot
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            self._log.warning("%s: can't be read (%s); minimum times begin anew", self._path, error)
            return {}
        for record in records.values():
            record["certain"] = certain
        return records

    def due(self, guards: Mapping[str, Guard]) -> bool:
        """Whether something is to be written, and it is time."""
        age_s = self._clock() - self._written_at
        if age_s < LAZY_S:
            return False
        if age_s >= REFRESH_S and any(math.isfinite(guard.until_s) for guard in guards.values()):
            return True
        return _states(guards) != self._written

    def save(self, guards: Mapping[str, Guard]) -> None:
        """Write how things are, and return when they are on disk."""
        if self._path is None:
            return
        with self._writing:
            self._save(self._path, guards)

    def _save(self, path: Path, guards: Mapping[str, Guard]) -> None:
        states = _states(guards)
        ahead_s = self._wall() - self._clock()
        devices: dict[str, dict[str, Any]] = {}
        for name, guard in guards.items():
            held = math.isfinite(guard.until_s)
            devices[name] = {
                **states[name],
                "until": round(guard.until_s, 3) if held else None,
                "until_epoch": round(guard.until_s + ahead_s, 3) if held else None,
            }
        self._written_at = self._clock()
        try:
            _replace(path, json.dumps({"boot": self._boot, "devices": devices}, ensure_ascii=False))
        except OSError as error:
            if not self._failing:
                self._log.error(
                    "%s: can't be written (%s); after a restart minimum times begin anew", path, error
                )
            self._failing = True
            return
        self._failing = False
        self._written = states


def _states(guards: Mapping[str, Guard]) -> dict[str, dict[str, Any]]:
    """What is written as soon as it changes: all but the ends of holds."""
    return {
        name: {
            # While it is being switched nobody knows: it counts as the one or the other only when it is.
            "value": guard.value if guard.value == guard.current else None,
            "since": round(guard.since_s, 3),
            "tripped": guard.tripped,
            "held_by": guard.held_by,
        }
        for name, guard in guards.items()
    }


def restore(guard: Guard, kept: Mapping[str, Any], now_s: float) -> None:
    """Give a guard back what a restart must not forget.

    Args:
        guard: the guard of a device whose state is not known yet.
        kept: what `Ledger.load` returned for it.
        now_s: the guard's clock.
    """
    guard.tripped = kept.get("tripped") is True
    since = kept.get("since")
    off = kept.get("value") is not None and not guard.device.is_on(kept["value"])
    # Only "it was off since then" helps: a device that was on is switched off now, and rests from now.
    if kept.get("certain") and off and isinstance(since, (int, float)) and since <= now_s:
        guard.rested(float(since))


def last_words(kept: Mapping[str, Any]) -> str:
    """What a server that ended without stopping left behind, for the journal; empty when it was nothing.

    Args:
        kept: what `Ledger.load` returned for an actuator.
    """
    held_by, until = kept.get("held_by"), kept.get("until_epoch")
    if not held_by or not isinstance(until, (int, float)):
        return ""
    return f"{held_by} held it until about {time.strftime('%H:%M:%S', time.localtime(until))}"


def _replace(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
