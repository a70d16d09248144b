# SPDX-License-Identifier: GPL-3.0-or-later
"""Fail when a module is covered below the limit; coverage's own fail_under looks at the total only.

Usage: check_coverage.py REPORT.json [PACKAGE_FOLDER...]

A module that the report does not know (no test imports it) counts as not covered.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

LIMIT_PERCENT = 90.0
PACKAGES = ("raspy", "raspyweb")


def below_limit(report: dict[str, object], *packages: Path) -> list[tuple[float, str]]:
    """The modules of the folders `packages` below the limit: (percent, path as in the report), worst first.

    :param report: what ``coverage json`` writes.
    """
    files = report["files"]
    assert isinstance(files, dict)
    percent = {path.as_posix(): 0.0 for package in packages for path in package.rglob("*.py")}
    percent.update({path: entry["summary"]["percent_covered"] for path, entry in files.items()})
    return sorted((value, path) for path, value in percent.items() if value < LIMIT_PERCENT)


def main(argv: list[str]) -> int:
    """Print the modules below the limit; 1 when there is one, else 0."""
    report = json.loads(Path(argv[1]).read_text())
    low = below_limit(report, *map(Path, argv[2:] or PACKAGES))
    for value, path in low:
        print(f"coverage: {path} has {value:.1f} %, at least {LIMIT_PERCENT:g} % are required")
    if not low:
        print(f"coverage: every module has at least {LIMIT_PERCENT:g} %")
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
