# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the dashboard: ``python3 -m raspyweb.run``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from raspy.common import daemon
from raspyweb.server import Web


def main(argv: Sequence[str] | None = None) -> int:
    """Run the web server until SIGTERM; return the exit status.

    Args:
        argv: the command line without the program's name; the process's if left out.
    """
    return daemon.run(Web, argv)


if __name__ == "__main__":
    sys.exit(main())
