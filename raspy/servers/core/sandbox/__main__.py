# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one scenario: ``python3 -m raspy.servers.core.sandbox``, its connection as descriptor 0 or 3."""

import os

from raspy.servers.core.sandbox.child import main

if __name__ == "__main__":
    # Without the interpreter's tidying up: it would want system calls that are forbidden by now.
    os._exit(main())
