# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory of all that is resident in a default installation, each page counted once (PSS).

Source: Linux Documentation/filesystems/proc.rst, smaps_rollup.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from tests.system.installed import RESIDENT, Raspy, figure
from tests.system.report import Report

REACH_MB = 110.0
AFTER_S = 300
UNITS = (*(name for name in RESIDENT if name != "web"), "rrdcached")
# Nobody waits for minutes: what the dashboard does after its idle_exit_s it is made to do after this time.
IDLE_S = 1
CONF = "/etc/raspy/raspy.conf"
IDLE_CONF = "/etc/raspy/conf.d/80-idle.conf"
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
    """Let the dashboard end as it does when nobody looks, and measure the rest once it has settled."""
    machine = raspy.machine
    machine.run("systemctl", "start", "raspy-web.service")
    (dashboard,) = _pss(raspy, ("web",)).values()
    report.add("PSS of raspy-web, for as long as somebody looks", "reported", f"{dashboard:.1f} MB", True)
    idle_s = figure(machine.says("cat", CONF), r"\[web\][^\[]*idle_exit_s = (\d+)")
    report.most("  it ends when nobody looks for", AFTER_S, idle_s, " s")
    machine.write(IDLE_CONF, f"[web]\nidle_exit_s = {IDLE_S}\n")
    machine.run("systemctl", "restart", "raspy-web.service")
    machine.wait(lambda: raspy.state("raspy-web.service") == "inactive", "the dashboard to end")
    machine.run("rm", IDLE_CONF)
    last: dict[str, float] = {}

    def settled() -> dict[str, float]:
        nonlocal last
        before, last = last, _pss(raspy, UNITS)
        if not before:
            time.sleep(LOOK_S)
        return last if sum(last.values()) >= SETTLED * sum(before.values()) > 0 else {}

    pss = machine.wait(settled, "the memory to settle")
    for name, size in pss.items():
        report.add(f"PSS of raspy-{name}", "reported", f"{size:.1f} MB", size > 0)
    report.most(f"PSS of all that is resident after {AFTER_S} s", REACH_MB, sum(pss.values()), " MB")
    page = raspy.page()
    report.add("  the next visit starts the dashboard", "200", page, " 200 " in page)


def _pss(raspy: Raspy, names: Sequence[str]) -> dict[str, float]:
    units = [f"raspy-{name}.service" for name in names]
    said = raspy.machine.says("/bin/bash", "-c", SUM, "sh", *units)
    return {name: float(line.split()[1]) / 1000 for name, line in zip(names, said.splitlines(), strict=True)}
