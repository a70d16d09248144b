# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m raspy.servers.sync``: run the sync server."""

import sys

from raspy.servers.sync.server import main

if __name__ == "__main__":
    sys.exit(main())
