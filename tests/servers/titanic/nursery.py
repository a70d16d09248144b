# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts daemons within milliseconds: ``python3 -m tests.servers.titanic.nursery``.

It imports them once, and forks for each line ``[MODULE, ARGUMENT...]`` (JSON) on standard input; the answer
is the child's process id. What the child runs is the daemon's own main. All end with the nursery.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys

from raspy.common import mdwrkapi
from raspy.servers.titanic import workers

PR_SET_PDEATHSIG = 1


AGAIN_MS = 20
"""Pause before a worker registers again; the daemons' own are for brokers that are not killed as often."""


def hasten() -> None:
    """Let the workers of this process register again at once."""
    mdwrkapi.LOST_AGAIN = workers.LOST_AGAIN = AGAIN_MS
    mdwrkapi.MajorDomoWorker.reconnect = AGAIN_MS


def become(module: str, arguments: list[str]) -> None:
    """The child: be that daemon."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    sys.argv[1:] = arguments
    status = 1
    try:
        status = importlib.import_module(module).main()
    finally:
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Fork on demand until standard input ends."""
    for module in ("raspy.servers.broker", "raspy.servers.titanic"):
        importlib.import_module(module)
    hasten()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    for line in sys.stdin:
        module, *arguments = json.loads(line)
        pid = os.fork()
        if pid == 0:
            become(module, arguments)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
