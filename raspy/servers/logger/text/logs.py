# SPDX-License-Identifier: GPL-3.0-or-later
"""All text logs: one for each server that tells events, and those that the `log` service is asked for."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raspy.common.MDP import ClientError, NotFoundError
from raspy.servers.logger.text.compressed import FILE_NAME, CompressedFile

KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
LEVELS = ("debug", "info", "warning", "error", "critical")

LOGS_MAX = 64
"""How many logs there may be."""

LIMIT_MAX = 10_000
BYTES_MAX = 2_000_000
"""How many lines one request may ask for, and how many characters it gets at most."""

OWN_FIELDS = ("time", "level", "message")


class TextLogs:
    """The logs in one folder. Safe to use from several threads.

    Arguments:
        folder: their folder.
        max_bytes: what they may take together.
        flush_s: what a power cut may take of them, in seconds.
        log: where to say that the disk refuses lines, once, and takes them again.

    Attributes:
        lines: how many lines were taken.
        refused: events that were none, or had an impossible name.
    """

    def __init__(self, folder: Path, max_bytes: int, flush_s: float, log: logging.Logger) -> None:
        self.folder = folder
        self.lines = 0
        self.refused = 0
        self._max_bytes = max_bytes
        self._flush_s = flush_s
        self._log = log
        self._lock = threading.Lock()
        self._files: dict[str, CompressedFile] = {}
        self._last_times: dict[str, float] = {}
        self._paused = False
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if (match := FILE_NAME.fullmatch(path.name)) and KEY.fullmatch(match["log"].removesuffix(".log")):
                self._file(match["log"].removesuffix(".log"))

    def list_keys(self) -> list[str]:
        """The logs there are."""
        with self._lock:
            return sorted(self._files)

    def write(self, key: str, level: str, message: str, fields: Mapping[str, Any] | None = None) -> None:
        """Take one line; *fields* are further values of it, as with `CompressedFile.log`.

        Raises:
            ClientError: the key or the level is not one, or there are too many logs.
        """
        if level not in LEVELS:
            raise ClientError(f"level {level[:20]!r}: must be one of {', '.join(LEVELS)}")
        if not KEY.fullmatch(key):
            raise ClientError(f"log {key[:70]!r}: must be 1 to 64 letters, digits, '-' or '_'")
        with self._lock:
            if key not in self._files and len(self._files) >= LOGS_MAX:
                raise ClientError(f"log {key}: there are {LOGS_MAX} logs already")
            file = self._file(key)
        file.log(level, message, **(fields or {}))
        self.lines += 1

    def event(self, name: str, key: str, body: bytes, *, retained: bool = False) -> None:
        """Keep an event of the bus, ``/event/NAME/KEY``, in the log NAME.

        One that the broker has *retained* since before we came may be in the log already, and is left out
        then.
        """
        try:
            event = json.loads(body)
            if retained and event["time"] <= self._last_time(name):
                return
            level = event.get("level", "info")
            message = str(event.get("message", event.get("event", "")))
            fields = {field: value for field, value in event.items() if field not in OWN_FIELDS}
            fields.update(time=float(event["time"]), key=key)
            self.write(name, level if level in LEVELS else "info", message, fields)
        except (ClientError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            self.refused += 1

    def read(self, key: str, start: float = 0, end: float = -1, limit: int = 20) -> list[str]:
        """The newest lines of a time range, oldest first; see `CompressedFile.readlines`.

        Raises:
            NotFoundError: there is no such log.
            ClientError: the limit is not 1 to 10 000.
        """
        if not 1 <= limit <= LIMIT_MAX:
            raise ClientError(f"limit: must be 1 to {LIMIT_MAX}, not {limit}")
        with self._lock:
            file = self._files.get(key)
        if file is None:
            raise NotFoundError(f"there is no log {key[:70]!r}")
        return _newest(file.readlines(start, end, limit))

    def _last_time(self, key: str) -> float:
        """When the last line was written before we came, in seconds since 1970; 0 when there is none."""
        if key not in self._last_times:
            with self._lock:
                file = self._files.get(key)
            newest = file.readlines(limit=1) if file is not None else []
            self._last_times[key] = json.loads(newest[0])["time"] if newest else 0.0
        return self._last_times[key]

    def rotate(self) -> None:
        """Begin another file for every log.

        Raises:
            OSError: the disk refuses.
        """
        for file in self._all():
            file.rotate()

    def tick(self) -> None:
        """Sync what is due; to be called every second."""
        wrong: OSError | None = None
        done = False
        for file in self._all():
            if file.due():
                try:
                    file.flush()
                    done = True
                except OSError as error:
                    wrong = error
        if wrong is not None and not self._paused:
            self._log.error(
                "can't write to %s: %s. Text logs wait; free some space", self.folder, wrong.strerror
            )
            self._paused = True
        elif done and wrong is None and self._paused:
            self._log.info("writing to %s again; %d lines were lost", self.folder, self.dropped)
            self._paused = False

    def close(self) -> None:
        """Write everything and close."""
        for file in self._all():
            try:
                file.close()
            except OSError as error:
                self._log.error("%s: the last lines are lost: %s", file.path, error.strerror)

    @property
    def dropped(self) -> int:
        """Lines that were lost because the disk refused them for too long."""
        return sum(file.dropped for file in self._all())

    def _all(self) -> list[CompressedFile]:
        with self._lock:
            return list(self._files.values())

    def _file(self, key: str) -> CompressedFile:
        if key not in self._files:
            # The file in use of each log is beyond the reach of the bound, so it must be small beside it.
            self._files[key] = CompressedFile(
                self.folder / f"{key}.log",
                max_bytes=self._max_bytes // (2 * LOGS_MAX),
                folder_bytes=self._max_bytes,
                flush_s=self._flush_s,
            )
        return self._files[key]


def _newest(lines: list[str]) -> list[str]:
    """The last lines, as many as may be answered."""
    room = BYTES_MAX
    for place in range(len(lines) - 1, -1, -1):
        room -= len(lines[place])
        if room < 0:
            return lines[place + 1 :]
    return lines
