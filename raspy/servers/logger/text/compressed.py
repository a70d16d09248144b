# SPDX-License-Identifier: GPL-3.0-or-later
"""A text log: events as JSON lines in gzip files, rotated, bounded, readable after a power cut.

The files of `pump.log` are `pump.log.000001.gz`, `pump.log.000002.gz`, ... in the order of their
numbers, whatever the clock did meanwhile. A line is::

    {"time": 1769000000.123, "level": "info", "message": "door open", ...}

and only what was taken since the last flush can be lost (see `gzstream`).
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from raspy.servers.logger.text.gzstream import GzipAppender, read_lines

MODES = ("a+", "a", "r")
MAX_BYTES = 400_000
MAX_AGE_S = 30 * 86400.0
FOLDER_BYTES = 50_000_000
FLUSH_S = 60.0
MAX_MESSAGE = 1000
"""Characters of a message; what is longer is cut."""

MAX_WAITING = 400
MAX_PENDING_BYTES = 262_144
"""Lines, and compressed bytes, that wait for a disk that refuses them; further ones are dropped."""

CLOCK_MARGIN_S = 86400.0
"""How far the time of a line may be ahead of the clock that stamped its file."""

BLOCK_BYTES = 4096
"""A small file takes a whole block of the disk."""

WRITE_AT = 100
"""So many lines are compressed without waiting for a flush."""

MAX_LINE = 8192
"""Bytes of a line; one with more is kept without its further fields."""

SYNC_MARGIN_S = 2.0
"""A flush is due so much before the interval is over."""

FILE_NAME = re.compile(r"(?P<log>.+)\.(?P<number>\d{6,})\.gz")


class CompressedFile:
    """A compressed log.

    Safe to use from several threads.

    Arguments:
        logfile: its path; a number and `.gz` are added.
        mode: "a+" (default) or "a" to write, "r" to read only.
        compresslevel: 1 (fast, default) to 9.
        max_bytes: begin another file when one has grown so big, compressed.
        max_age_s: begin another file when the first line of one is so old, in seconds.
        folder_bytes: what all logs of the folder may take together; the oldest rotated files go.
        flush_s: what a power cut can take, in seconds (default 60), if `flush` is called when it is `due`.
        clock: the time of a line, in seconds since 1970.

    Attributes:
        dropped: lines lost because the disk refused them for too long.
    """

    def __init__(
        self,
        logfile: str | Path = "log1.log",
        mode: str = "a+",
        compresslevel: int = 1,
        *,
        max_bytes: int = MAX_BYTES,
        max_age_s: float = MAX_AGE_S,
        folder_bytes: int = FOLDER_BYTES,
        flush_s: float = FLUSH_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode {mode!r} of {logfile}: must be one of {', '.join(MODES)}")
        self.path = Path(logfile)
        self.mode = mode
        self.dropped = 0
        self._level = compresslevel
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._folder_bytes = folder_bytes
        self._sync_s = max(flush_s - SYNC_MARGIN_S, flush_s / 2)
        self._clock = clock
        self._lock = threading.RLock()
        self._waiting: list[bytes] = []
        self._file: GzipAppender | None = None
        self._first_time = 0.0
        self._unsynced_since: float | None = None

    def open(self) -> None:
        """Begin to write. Not needed: the first line does it, and no file begins without a line.

        Raises:
            ValueError: the log was opened to read only.
            OSError: the folder can't be made.
        """
        self._check_writable()
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """Write what waits, end the file; idempotent, and a later line begins another one.

        Raises:
            OSError: the disk refuses the rest, which is lost.
        """
        with self._lock:
            try:
                if self._waiting:
                    self._write()
            finally:
                self._end_file()

    def log(self, level: str, message: str, **fields: Any) -> None:
        """Take one line. Never waits for, nor fails because of, the disk.

        Arguments:
            level: "info", "warning", ...
            message: a sentence, cut after 1000 characters.
            fields: further JSON values of the line; `time` (seconds since 1970) sets its time.

        Raises:
            ValueError: the log was opened to read only, or a value is not JSON.
        """
        self._check_writable()
        moment = fields.pop("time", None)
        line = {
            "time": round(self._clock() if moment is None else moment, 3),
            "level": level,
            "message": message[:MAX_MESSAGE],
            **fields,
        }
        data = _encode(line)
        if len(data) > MAX_LINE:
            data = _encode({name: line[name] for name in ("time", "level", "message")})
        with self._lock:
            stuck = self._file is not None and self._file.pending_bytes >= MAX_PENDING_BYTES
            if stuck or len(self._waiting) >= MAX_WAITING:
                self.dropped += 1
                return
            self._waiting.append(data)
            if self._unsynced_since is None:
                self._unsynced_since = time.monotonic()
            if len(self._waiting) % WRITE_AT == 0:
                try:
                    self._write()
                except OSError:
                    pass  # the lines are kept; whoever calls flush() or close() hears of it

    def due(self) -> bool:
        """Whether it is time for `flush`, so that a power cut takes no more than `flush_s`."""
        since = self._unsynced_since
        return since is not None and time.monotonic() - since >= self._sync_s

    def flush(self, *, sync: bool = True) -> None:
        """Bring every line taken so far into the file, and onto the disk if *sync*.

        Raises:
            OSError: the disk refuses; the lines are kept, up to a bound.
        """
        with self._lock:
            if self._waiting:
                self._write()
            if self._file is not None and self._unsynced_since is not None:
                self._file.flush(sync=sync)
                if self._file.size >= self._max_bytes or self._clock() - self._first_time >= self._max_age_s:
                    self._end_file()
            if sync:
                self._unsynced_since = None

    def rotate(self) -> None:
        """End the file: the next line begins another one.

        Raises:
            OSError: the disk refuses.
        """
        with self._lock:
            self.flush()
            self._end_file()

    def readlines(self, start: float = 0, end: float = -1, limit: int = 20) -> list[str]:
        """The newest lines of a time range, the oldest of them first.

        Arguments:
            start: seconds since 1970, inclusive (default 0: from the beginning).
            end: seconds since 1970, inclusive; negative (default): up to now.
            limit: how many lines at most (default 20).

        Returns:
            JSON texts, one a line.

        Raises:
            OSError: a file can't be read.
        """
        if limit <= 0:
            return []
        with self._lock:
            if self.mode != "r":
                try:
                    self.flush(sync=False)
                except OSError:
                    pass  # what is in the file can be read all the same
            paths = [path for _number, path in self._files()]
        found: deque[str] = deque()
        for path in reversed(paths):
            wanted = limit - len(found)
            if wanted <= 0:
                break
            try:
                if path.stat().st_mtime < start - CLOCK_MARGIN_S:
                    continue
                newest = deque(_between(path, start, end), maxlen=wanted)
            except FileNotFoundError:
                continue  # the bound on the folder took it meanwhile
            found.extendleft(reversed(newest))
        return list(found)

    def _check_writable(self) -> None:
        if self.mode == "r":
            raise ValueError(f"{self.path} was opened to read only")

    def _write(self) -> None:
        if self._file is None:
            self._begin_file()
        assert self._file is not None
        # The compressor has them even when the write fails: they must not be given to it again.
        waiting, self._waiting = self._waiting, []
        self._file.write(b"".join(waiting))

    def _begin_file(self) -> None:
        self.open()
        numbers = [number for number, _path in self._files()]
        number = max(numbers, default=0) + 1
        self._file = GzipAppender(self.path.with_name(f"{self.path.name}.{number:06d}.gz"), self._level)
        self._first_time = self._clock()
        trim(self.path.parent, self._folder_bytes)

    def _end_file(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    def _files(self) -> list[tuple[int, Path]]:
        """The files of this log, oldest first."""
        return _logs(self.path.parent).get(self.path.name, [])


def _encode(line: dict[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=False, allow_nan=False).encode(errors="replace") + b"\n"


def _logs(folder: Path) -> dict[str, list[tuple[int, Path]]]:
    """The files in a folder by log, oldest first."""
    logs: dict[str, list[tuple[int, Path]]] = {}
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return {}
    for name in names:
        if match := FILE_NAME.fullmatch(name):
            logs.setdefault(match["log"], []).append((int(match["number"]), folder / name))
    for files in logs.values():
        files.sort()
    return logs


def trim(folder: Path, max_bytes: int) -> None:
    """Remove the oldest rotated files until all logs of *folder* take at most *max_bytes*.

    The newest file of each log stays: it is being written.

    Raises:
        OSError: a file can't be removed.
    """
    total = 0
    candidates: list[tuple[float, Path, int]] = []
    for files in _logs(folder).values():
        for _number, path in files:
            stat = path.stat()
            size = max(1, -(-stat.st_size // BLOCK_BYTES)) * BLOCK_BYTES
            total += size
            if path is not files[-1][1]:
                candidates.append((stat.st_mtime, path, size))
    candidates.sort()
    for _mtime, path, size in candidates:
        if total <= max_bytes:
            return
        path.unlink(missing_ok=True)
        total -= size


def _between(path: Path, start: float, end: float) -> Iterator[str]:
    for line in read_lines(path):
        try:
            moment = json.loads(line)["time"]
        except (ValueError, TypeError, KeyError):
            continue  # not one of ours
        if start <= moment and (end < 0 or moment <= end):
            yield line.decode()
