# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rrdcached: the one of a socket, one of our own as a child process, or none."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from raspy.servers.logger.rrd.archives import Connection
from raspy.servers.logger.rrd.direct import Direct
from raspy.servers.logger.rrd.rrdcached import RrdCached, RrdCachedChild

AUTO = "auto"
DIRECT = "direct"
UNIX = "unix:"

AGAIN_S = 2.0
"""An rrdcached that ends is started again after so long."""


class Backend:
    """What updates and reads the RRDs.

    Arguments:
        setting: ``unix:/path`` of an rrdcached that somebody else runs (systemd), ``auto`` (our own as
            a child process; without rrdcached as `direct`), or ``direct`` (an rrdtool process for
            each write).
        folder: the folder of the RRDs.
        log: where to warn.

    Attributes:
        child: our own rrdcached, or None.
        words: what it is, for a person.

    Raises:
        ValueError: the setting is none of these.
    """

    def __init__(self, setting: str, folder: Path, log: logging.Logger) -> None:
        self.child: RrdCachedChild | None = None
        self._direct: Direct | None = None
        self._log = log
        self._again_at = 0.0
        self._path = ""
        if setting.startswith(UNIX + "/"):
            self._path = setting.removeprefix(UNIX)
            self.words = f"rrdcached at {self._path}"
        elif setting == AUTO and RrdCachedChild.installed():
            self.child = RrdCachedChild(folder)
            self.words = "rrdcached as a child process"
        elif setting in (AUTO, DIRECT):
            self._direct = Direct()
            self.words = "rrdtool, without rrdcached"
            if setting == AUTO:
                log.warning(
                    "there is no rrdcached: every RRD is written by a process of its own,"
                    " which costs time and wears the disk; apt install rrdcached"
                )
        else:
            raise ValueError(f"rrdcached = {setting}: must be auto, direct, or unix:/PATH of its socket")

    def keep(self) -> None:
        """Start our own rrdcached unless it runs; to be called now and then, by the main thread only."""
        now = time.monotonic()
        if self.child is None or self.child.pid is not None or now < self._again_at:
            return
        self._again_at = now + AGAIN_S
        try:
            self.child.start()
        except OSError as error:
            self._log.error("can't start rrdcached: %s", error)

    def connect(self) -> Connection:
        """A new connection, for one thread.

        Raises:
            OSError: there is nobody to connect to.
        """
        if self._direct is not None:
            return self._direct
        return self.child.connect() if self.child is not None else RrdCached(self._path)

    def close(self) -> None:
        """End the child process, after it has written everything; idempotent."""
        if self.child is not None:
            self.child.stop()
