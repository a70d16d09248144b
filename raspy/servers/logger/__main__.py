# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m raspy.servers.logger``."""

import sys

from raspy.common import daemon
from raspy.servers.logger.server import Logger


def main() -> int:
    """Run the logger; return the exit status."""
    return daemon.run(Logger)


if __name__ == "__main__":
    sys.exit(main())
