# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of the runs of each job: a file a job, the last runs first, replaced in one step.

A record as JSON::

    {"started": 1769000000.1, "took_s": 12.5, "outcome": "done", "exit": 0, "tries": 1, "files": 3,
     "bytes": 123456, "sent": 4567, "message": "done", "lines": [], "asked_by": "schedule"}

``outcome`` is ``running`` (what a server that was killed leaves), ``done``, ``failed``, ``stopped`` or
``interrupted``.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

KEPT = 50  # runs of each job

log = logging.getLogger(__name__)


class History:
    """The runs of all jobs.

    Args:
        folder: where the files are; made if it is missing. Names of jobs are safe as file names.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs: dict[str, list[dict[str, Any]]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def runs(self, name: str) -> list[dict[str, Any]]:
        """The runs of a job, the last one first."""
        if name not in self._runs:
            self._runs[name] = _read(self._path(name))
        return self._runs[name]

    def last(self, name: str) -> dict[str, Any] | None:
        """The last run of a job; None if there was none."""
        runs = self.runs(name)
        return runs[0] if runs else None

    def begin(self, name: str, record: dict[str, Any]) -> None:
        """A run begins; it is on disk before it does anything."""
        runs = self.runs(name)
        runs.insert(0, record)
        del runs[KEPT:]
        self._write(name)

    def end(self, name: str, changes: dict[str, Any]) -> dict[str, Any]:
        """The last run ended; returns its record."""
        record = self.runs(name)[0]
        record.update(changes)
        self._write(name)
        return record

    def interrupted(self, name: str) -> bool:
        """Close a run that a server before us left open; whether there was one."""
        last = self.last(name)
        if last is None or last["outcome"] != "running":
            return False
        self.end(name, {"outcome": "interrupted", "message": "the server ended before the run did"})
        return True

    def forget(self, name: str) -> None:
        """Drop the runs of a job that is removed."""
        self._runs.pop(name, None)
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _write(self, name: str) -> None:
        path = self._path(name)
        fresh = path.with_name(path.name + ".new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(self._runs[name], file, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        runs = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(runs, list) or not all(isinstance(run["outcome"], str) for run in runs):
            raise ValueError("not a list of runs")
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError) as error:
        log.warning("%s can't be read, beginning a new one: %s", path, error)
        return []
    return runs
