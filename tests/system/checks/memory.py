# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory of all that is resident in a default installation, each page counted once (PSS).

Source: Linux Documentation/filesystems/proc.rst, smaps_rollup.
"""

from __future__ import annotations

import time

from tests.system.installed import RESIDENT, Raspy
from tests.system.report import Report

REACH_MB = 110.0
UNITS = (*RESIDENT, "rrdcached")
# It has settled when it was not below this part of the last look; a daemon gives back what its start took.
SETTLED = 0.995
LOOK_S = 5.0
SUM = """
for unit; do
    group=$(systemctl show --property=ControlGroup --value "$unit")
    for pid in $(cat "/sys/fs/cgroup$group/cgroup.procs"); do
        sed -n 's/^Pss: *//p' "/proc/$pid/smaps_rollup"
    done | awk -v unit="$unit" '{ sum += $1 } END { print unit, sum }'
done
"""


def check(raspy: Raspy, report: Report) -> None:
    """Look at it once it has settled."""
    last: dict[str, float] = {}

    def settled() -> dict[str, float]:
        nonlocal last
        before, last = last, _pss(raspy)
        time.sleep(0 if before else LOOK_S)
        return last if sum(last.values()) >= SETTLED * sum(before.values()) > 0 else {}

    pss = raspy.machine.wait(settled, "the memory to settle")
    for name, size in pss.items():
        report.add(f"PSS of raspy-{name}", "reported", f"{size:.1f} MB", size > 0)
    report.most("PSS of all that is resident", REACH_MB, sum(pss.values()), " MB")


def _pss(raspy: Raspy) -> dict[str, float]:
    units = [f"raspy-{name}.service" for name in UNITS]
    said = raspy.machine.says("/bin/bash", "-c", SUM, "sh", *units)
    return {name: float(line.split()[1]) / 1000 for name, line in zip(UNITS, said.splitlines(), strict=True)}
