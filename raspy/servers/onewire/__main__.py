# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m raspy.servers.onewire``: run the 1-wire server."""

import sys

from raspy.servers.onewire.server import main

if __name__ == "__main__":
    sys.exit(main())
