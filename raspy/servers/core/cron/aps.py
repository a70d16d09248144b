# SPDX-License-Identifier: GPL-3.0-or-later
"""APScheduler 3.x, the parts that core uses: triggers, jobs and the store in memory.

Its schedulers are left out: they read the system's clock by themselves, know nothing of a clock that
is not trusted yet or jumps, and would cost threads. Its stores on disk pickle, so definitions are kept
in ``titanic.store`` as JSON instead.

APScheduler 3.9 (Debian 12) imports setuptools' pkg_resources only to ask for its own version number:
12 MB for as long as the daemon lives. It is given a stand-in for that one question; 3.11 does not ask.
"""

from __future__ import annotations

import sys
from types import ModuleType


def _import() -> None:
    """Import APScheduler with a pkg_resources that knows no packages, unless the real one is loaded."""
    if "pkg_resources" in sys.modules:
        import apscheduler

        return
    stand_in = ModuleType("pkg_resources")

    class DistributionNotFound(Exception):
        """What get_distribution raises for a package that it does not know."""

    def get_distribution(name: str) -> object:
        raise DistributionNotFound(name)

    stand_in.__dict__.update(get_distribution=get_distribution, DistributionNotFound=DistributionNotFound)
    sys.modules["pkg_resources"] = stand_in
    try:
        import apscheduler  # noqa: F401
    finally:
        del sys.modules["pkg_resources"]


_import()

from apscheduler.job import Job  # noqa: E402 - only after the above
from apscheduler.jobstores.memory import MemoryJobStore  # noqa: E402
from apscheduler.triggers.base import BaseTrigger  # noqa: E402
from apscheduler.triggers.cron import CronTrigger  # noqa: E402
from apscheduler.triggers.date import DateTrigger  # noqa: E402
from apscheduler.triggers.interval import IntervalTrigger  # noqa: E402

__all__ = ["BaseTrigger", "CronTrigger", "DateTrigger", "IntervalTrigger", "Job", "MemoryJobStore"]
