# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m raspy.servers.fake``."""

import sys

from raspy.servers.fake.server import main

if __name__ == "__main__":
    sys.exit(main())
