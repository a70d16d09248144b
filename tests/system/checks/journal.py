# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding things in the journal: by device, by scenario, by unit, and with explanations."""

from __future__ import annotations

import json

from raspy.common.device_server.messages import ACTUATOR_CHANGED
from tests.system.installed import Raspy
from tests.system.report import Report

DEVICE = {"oid": "switch.relay", "name": "journal-lamp", "config": {}}
SCENARIO = {"code": 'scenario.log("the lamp is looked after")\n', "conf": {}, "entries": {}}


def check(raspy: Raspy, report: Report) -> None:
    """Switch a device, run a scenario, and look for them as a person would."""
    raspy.want("HOST.fake.devices", "add", json.dumps(DEVICE))
    raspy.want("HOST.fake.devices", "exec", "journal-lamp", "state", "on", '{"why": "it is dark"}')
    _found(raspy, report, "RASPY_DEVICE=journal-lamp", "dark")
    _found(raspy, report, "-u 'raspy-*'", "journal-lamp", "-u", "raspy-*")
    raspy.want("HOST.core.scenarios", "add", "journal-test", json.dumps(SCENARIO))
    raspy.want("HOST.core.scenario", "start", "journal-test")
    _found(raspy, report, "RASPY_SCENARIO=journal-test", "looked after")
    explained = raspy.machine.journal("-x", f"MESSAGE_ID={ACTUATOR_CHANGED}")
    says = any("journalctl RASPY_DEVICE=journal-lamp" in line for line in explained)
    report.add("journalctl -x", "explains", "explains" if says else explained[-5:], says)
    raspy.want("HOST.core.scenarios", "delete", "journal-test")
    raspy.want("HOST.fake.devices", "remove", "journal-lamp")


def _found(raspy: Raspy, report: Report, what: str, word: str, *arguments: str) -> None:
    def lines() -> list[str]:
        return [line for line in raspy.lines(*(arguments or (what,))) if word in line]

    raspy.machine.wait(lines, f"journalctl {what}")
    report.add(f"journalctl {what}", f"finds '{word}'", lines()[-1], True)
