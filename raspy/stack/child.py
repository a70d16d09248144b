# SPDX-License-Identifier: GPL-3.0-or-later
"""One server of the stack: its process, what it last said, when it may be started again."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from raspy.common.daemon import EX_CONFIG

# A server without progress for so long is killed and started again (systemd.service(5), WatchdogSec=).
WATCHDOG_S = 10.0
# One that dies this often within this time stays down (StartLimitBurst=, StartLimitIntervalSec=).
START_LIMIT_BURST = 5
START_LIMIT_INTERVAL_S = 60.0
RESTART_S = 1.0


class Child:
    """A server's process.

    Args:
        name: the server's name.
        module: the Python module that runs it.
        arguments: its command line.
        notify: the socket where it reports.
    """

    def __init__(self, name: str, module: str, arguments: Sequence[str], notify: Path) -> None:
        self.name = name
        self._command = [sys.executable, "-m", module, *arguments]
        self._notify = notify
        self._process: subprocess.Popen[bytes] | None = None
        self._starts: list[float] = []
        self._fed_at = 0.0
        self.restart_at: float | None = None
        self.ready = False
        self.status = ""
        self.failed = ""
        self.misconfigured = False

    @property
    def pid(self) -> int | None:
        """The process id; None when it does not run."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it. Its own process group keeps a Ctrl-C on the terminal from reaching it before us."""
        now = time.monotonic()
        self._starts = [at for at in self._starts if now - at < START_LIMIT_INTERVAL_S]
        self._starts.append(now)
        self.restart_at = None
        self.ready = False
        self._fed_at = now
        environment = os.environ | {
            "NOTIFY_SOCKET": str(self._notify),
            "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6)),
        }
        for name in ("WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "STATE_DIRECTORY"):
            environment.pop(name, None)
        self._process = subprocess.Popen(
            self._command, env=environment, stdin=subprocess.DEVNULL, process_group=0
        )

    def heard(self, fields: dict[str, str]) -> bool:
        """Take in a notification; tells whether it became ready just now."""
        self._fed_at = time.monotonic()
        self.status = fields.get("STATUS", self.status)
        came_up = fields.get("READY") == "1" and not self.ready
        self.ready = self.ready or came_up
        return came_up

    def look(self) -> str:
        """See how it is; what to tell, or an empty text when there is nothing new."""
        if self._process is None:
            return ""
        status = self._process.poll()
        if status is None:
            if self.ready and time.monotonic() - self._fed_at > WATCHDOG_S:
                self._process.kill()
                self._fed_at = math.inf
                return f"makes no progress for {WATCHDOG_S:.0f} s; it is killed and started again"
            return ""
        self._process = None
        self.ready = False
        return self._ended(status)

    def _ended(self, status: int) -> str:
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        if status == 0:
            # It had nothing to do, or was asked to go.
            return "ended"
        if status == EX_CONFIG:
            self.misconfigured = True
            self.failed = "its configuration is wrong, see above"
        elif len(self._starts) >= START_LIMIT_BURST:
            self.failed = f"{how}, for the {len(self._starts)}th time within a minute; it stays down"
        else:
            self.restart_at = time.monotonic() + RESTART_S
            return f"{how}; it is started again"
        return self.failed

    def stop(self) -> None:
        """Ask it to end."""
        self.restart_at = None
        if self._process is not None:
            self._process.terminate()

    def wait(self, timeout_s: float) -> bool:
        """Wait until it has ended; kill it when it does not. Tells whether it ended by itself."""
        if self._process is None:
            return True
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return False
        finally:
            self._process = None
        return True
