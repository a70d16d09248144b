# SPDX-License-Identifier: GPL-3.0-or-later
"""What the daemons need to see of the machine, though each has a root of its own: the time zone, fonts."""

from __future__ import annotations

from tests.system.installed import Raspy
from tests.system.report import Report

ZONE = "Europe/Paris"
ZONES = "/usr/share/zoneinfo/"


def check(raspy: Raspy, report: Report) -> None:
    """Move to another time zone, and draw a picture."""
    machine = raspy.machine
    before = machine.says("readlink", "-f", "/etc/localtime")
    machine.run("ln", "-sfn", f"{ZONES}{ZONE}", "/etc/localtime")
    machine.run("systemctl", "restart", "raspy-core.service")
    raspy.wait_up("core")
    report.same("the time zone that core goes by", ZONE, raspy.want("HOST.core.clock", "status")["timezone"])
    machine.run("ln", "-sfn", before, "/etc/localtime")
    machine.run("systemctl", "restart", "raspy-core.service")
    raspy.wait_up("core")
    graphs = machine.wait(lambda: raspy.ask("HOST.logger.graph", "list_keys")[:-1], "the first graph")
    picture = f"http://127.0.0.1:5518/graph/{graphs[0]}/day.png"
    got = machine.wait(lambda: raspy.page(picture), "the first picture")
    report.add("a graph of the logger as a picture", "200 image/png", got, "200 image/png" in got)
    complaints = [line for line in raspy.lines("-b", "-u", "raspy-logger") if "font" in line.lower()]
    report.add("  with letters: complaints about fonts", "none", complaints[-1:] or "none", not complaints)
