# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates without rrdcached: kept here in memory, and written by an `rrdtool` process a file.

For a machine that has no rrdcached. It does the same with the same loss bound (the spool's), but a
write costs a process for each file.

Source: rrdtool(1), rrdupdate(1), rrdcreate(1), rrdfetch(1), version 1.7.2.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from raspy.servers.logger.rrd.rrdcached import RrdError, parse_fetch

TIMEOUT_S = 20.0
"""How long a process may take, in seconds; to draw, a Pi Zero needs two."""

ARGUMENTS_MAX = 2_000
"""Values that one process gets; its command line stays under 128 kB."""


class Direct:
    """The same calls as `RrdCached`. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queued: dict[str, list[str]] = {}

    def update(self, updates: Sequence[bytes]) -> list[tuple[int, str]]:
        """Queue values, ``FILE TIME:VALUE`` each, FILE escaped.

        Returns:
            The refused ones: place in *updates*, and why; only a file that is written at once refuses.
        """
        full: dict[str, int] = {}
        with self._lock:
            for place, update in enumerate(updates):
                name, _, sample = update.decode().rpartition(" ")
                path = _unescape(name)
                queue = self._queued.setdefault(path, [])
                queue.append(sample)
                if len(queue) >= ARGUMENTS_MAX:
                    full[path] = place
        refused = []
        for path, place in full.items():
            try:
                self.flush(Path(path))
            except RrdError as error:
                refused.append((place, str(error)))
        return refused

    def flush(self, path: Path) -> None:
        """Write what is queued for a file.

        Raises:
            RrdError: it can't be written; the values are lost to this file, but not to the spool.
        """
        with self._lock:
            samples = self._queued.pop(str(path), [])
            for start in range(0, len(samples), ARGUMENTS_MAX):
                run("update", str(path), "--skip-past-updates", "--", *samples[start : start + ARGUMENTS_MAX])

    def forget(self, path: Path) -> None:
        """Drop what is queued for a file."""
        with self._lock:
            self._queued.pop(str(path), None)

    def info(self, path: Path) -> dict[str, str]:
        """What stands in the file's header, value by name."""
        found = {}
        for line in run("info", str(path)).decode().splitlines():
            name, _, value = line.partition(" = ")
            found[name] = value.strip('"')
        return found

    def create(self, path: Path, step_s: int, start: int, definitions: Sequence[str]) -> None:
        """Make an RRD; one that exists stays, and is an error."""
        when = ["--step", str(step_s), "--start", str(start)]
        run("create", str(path), "--no-overwrite", *when, *definitions)

    def fetch(self, path: Path, function: str, start: int, end: int) -> tuple[int, list[tuple[int, float]]]:
        """The rows of the finest archive that covers a range: its step in seconds, and the rows."""
        self.flush(path)
        rows = run("fetch", str(path), function, "-s", str(start), "-e", str(end))
        return parse_fetch(rows.decode().splitlines())

    def close(self) -> None:
        """Nothing to end: what is queued stays queued."""


def run(*arguments: str, cwd: Path | None = None, environment: Mapping[str, str] | None = None) -> bytes:
    """Run `rrdtool` once, and return what it printed.

    Raises:
        RrdError: it is not installed, refuses, or takes too long.
    """
    try:
        done = subprocess.run(
            ["rrdtool", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=cwd,
            env=environment,
            timeout=TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        raise RrdError("rrdtool is not installed: apt install rrdtool") from None
    except subprocess.TimeoutExpired:
        raise RrdError(f"rrdtool {arguments[0]} has not ended after {TIMEOUT_S:g} s") from None
    if done.returncode != 0:
        raise RrdError(done.stderr.decode(errors="replace").strip().removeprefix("ERROR: "))
    return done.stdout


def _unescape(name: str) -> str:
    return name.replace("\\ ", " ").replace("\\\\", "\\")
