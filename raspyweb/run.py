# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the dashboard: ``python3 -m raspyweb.run``."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence

from raspy.common import daemon
from raspyweb.server import Web

M_ARENA_MAX = -8


def main(argv: Sequence[str] | None = None) -> int:
    """Run the web server until SIGTERM; return the exit status.

    Args:
        argv: the command line without the program's name; the process's if left out.
    """
    # A heap for each thread would cost megabytes, and the threads take turns anyway (mallopt(3)).
    ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
    return daemon.run(Web, argv)


if __name__ == "__main__":
    sys.exit(main())
