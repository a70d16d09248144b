# SPDX-License-Identifier: GPL-3.0-or-later
"""What titanic tells about itself: its statistics, and the line for ``systemctl status``."""

from raspy.common.statistics import SNMP, SNMPFloat, Statistics

_UNITS = (("d", 86400), ("h", 3600), ("min", 60))


class Figures:
    """The statistics ``titanic.*``. The loop sets them; any thread may read them.

    Arguments:
        statistics: where they are served.
    """

    def __init__(self, statistics: Statistics) -> None:
        count = statistics.add_statistic
        self.waiting = count(SNMP("titanic.waiting", "requests that wait for a reply"))
        self.in_work = count(SNMP("titanic.in_work", "requests that their services have at this moment"))
        self.done = count(SNMP("titanic.done", "replies that nobody has closed yet"))
        self.failed = count(SNMP("titanic.failed", "requests that failed and that nobody has closed yet"))
        self.oldest_s = count(SNMPFloat("titanic.oldest_s", "age of the oldest waiting request, in seconds"))
        self.database_bytes = count(SNMP("titanic.database_bytes", "size of the database, in bytes"))
        self.commits = count(SNMP("titanic.commits", "transactions since the start"))
        self.stored = count(SNMP("titanic.stored", "requests stored since the start"))
        self.ended = count(SNMP("titanic.ended", "requests answered or failed since the start"))
        self.trouble = ""

    def line(self) -> str:
        """Everything that a person wants to know, in a line."""
        parts = [
            f"{self.waiting.value} waiting"
            + (f" (oldest {age(self.oldest_s.value)})" if self.waiting.value else ""),
            f"{self.in_work.value} in work",
            f"{self.done.value} done",
            f"{self.failed.value} failed",
            f"{self.database_bytes.value / (1 << 20):.1f} MiB",
        ]
        return ", ".join(parts) + (f"; {self.trouble}" if self.trouble else "")


def age(seconds: float) -> str:
    """An age for a person, in one unit: it then changes seldom enough for a status line."""
    for unit, length in _UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return "under 1 min"
