# SPDX-License-Identifier: GPL-3.0-or-later
"""The RRD of a series: there, sound, and on the disk.

A damaged one is put aside and a new one begun; one that reaches into the future, because the clock had
been wrong, is rolled back. An event says so each time.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

from raspy.common.durable import sync_folder
from raspy.servers.logger.rrd import archives
from raspy.servers.logger.rrd.archives import Connection
from raspy.servers.logger.rrd.rollback import roll_back
from raspy.servers.logger.rrd.rrdcached import RrdError
from raspy.servers.logger.samples.intake import FUTURE_S
from raspy.servers.logger.samples.series import Series

Say = Callable[[str, str], None]


class Files:
    """The RRDs of all series.

    Arguments:
        folder: the folder that they are all below.
        say: called as ``say(kind, sentence)`` for what a person should know: an event.
        log: for the rest.
    """

    def __init__(self, folder: Path, say: Say, log: logging.Logger) -> None:
        self._folder = folder
        self._say = say
        self._log = log
        self._new: set[Path] = set()

    def floor(self, connection: Connection, series: Series, first: float, torn: bool) -> float:
        """The time up to which a file needs nothing from the spool, after making sure that it can be used."""
        try:
            last = self.usable(connection, series, first)
            if not torn or last < first:
                return last
            return roll_back(connection, series.path, first - 1)
        except RrdError as error:
            self._log.error("%s can't be mended: %s", series.path, error)
            return math.inf

    def usable(self, connection: Connection, series: Series, first: float) -> float:
        """Make sure that the file of a series is there and can be used from *first* on.

        Returns:
            The time of its last update.

        Raises:
            RrdError: it can't be made.
            OSError: rrdcached went away, or the folder can't be written.
        """
        if series.path.exists():
            try:
                connection.flush(series.path)
                last = archives.inspect(connection, series.path, series.kind)
            except RrdError as error:
                aside = archives.put_aside(connection, series.path)
                what = f"it was put aside as {aside}, and a new one is begun"
                self._say("damaged", f"the history of {series.key} can't be used ({error}): {what}")
            else:
                now = time.time()
                if last <= now + FUTURE_S:
                    return last
                why = f"the history of {series.key} reached {last - now:.0f} s into the future"
                last = roll_back(connection, series.path, now)
                self._say("clock", f"{why}, the clock had been wrong: what lies ahead of now was dropped")
                return last
        # Of a file that somebody removed rrdcached may still have the time of the last update.
        connection.forget(series.path)
        archives.create(connection, series.path, series.kind, first - archives.STEP_S)
        self._new.add(series.path.parent)
        return first - archives.STEP_S

    def write_out(self, connection: Connection, series: Series, sample: bytes) -> bool:
        """Write a file and sync it; False when it does not have the sample then."""
        try:
            connection.flush(series.path)
            if archives.inspect(connection, series.path, series.kind) < int(sample_time(sample)):
                return False
            fd = os.open(series.path, os.O_RDONLY | os.O_CLOEXEC)
        except (RrdError, FileNotFoundError):
            return False
        try:
            os.fdatasync(fd)
        finally:
            os.close(fd)
        return True

    def sync_new(self) -> None:
        """Bring the names of new files onto the disk."""
        folders: set[Path] = set()
        while self._new:
            folder = self._new.pop()
            while folder != self._folder.parent:
                folders.add(folder)
                folder = folder.parent
        for folder in folders:
            sync_folder(folder)


def sample_time(sample: bytes) -> float:
    """The time of ``TIME:VALUE``; 0 for what a damaged spool may hold instead."""
    try:
        return float(sample.partition(b":")[0])
    except ValueError:
        return 0.0
