# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure a child process of the test run; this folder is first in its PYTHONPATH.

``make test`` sets COVERAGE_PROCESS_START (the configuration) and COVERAGE_FILE (where the data go, an
absolute path: a child may change its folder). Without them this does nothing.
"""

import os

if os.environ.get("COVERAGE_PROCESS_START"):
    import coverage

    coverage.process_startup()
