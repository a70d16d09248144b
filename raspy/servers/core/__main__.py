# SPDX-License-Identifier: GPL-3.0-or-later
"""The core daemon: ``python3 -m raspy.servers.core``."""

import sys

from raspy.common import daemon
from raspy.servers.core.server import Core


def main() -> int:
    """Run it."""
    return daemon.run(Core)


if __name__ == "__main__":
    sys.exit(main())
