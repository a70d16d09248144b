# SPDX-License-Identifier: GPL-3.0-or-later
"""An executive in a process of its own, for programs that embed one."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable

from raspy.common.executive import Executive


class ExecutiveProcess(multiprocessing.Process):
    """Runs an executive in a child process; ``start`` and ``join`` are those of every process.

    Args:
        executive: a class, or any function, that makes the executive; it is called in the child,
            since ZeroMQ contexts don't survive a fork.
        executive_name: the process's name.
    """

    def __init__(self, executive: Callable[[], Executive], executive_name: str) -> None:
        super().__init__(name=executive_name)
        self._make = executive

    def run(self) -> None:
        """In the child: make the executive and run it until SIGTERM."""
        executive = self._make()
        signal.signal(signal.SIGTERM, lambda _signal, _frame: executive.shutdown())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        executive.run()

    def shutdown(self) -> None:
        """In the parent: ask the child to shut down; ``join`` waits for it."""
        if self.is_alive():
            self.terminate()
