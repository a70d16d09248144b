# SPDX-License-Identifier: GPL-3.0-or-later
"""Run titanic: ``python3 -m raspy.servers.titanic``."""

import sys

from raspy.servers.titanic import main

if __name__ == "__main__":
    sys.exit(main())
