# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the broker: ``python3 -m raspy.servers.broker``."""

import sys

from raspy.servers.broker import main

if __name__ == "__main__":
    sys.exit(main())
