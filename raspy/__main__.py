# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m raspy``: the whole stack in the foreground."""

import sys

from raspy.stack.run import main

if __name__ == "__main__":
    sys.exit(main())
