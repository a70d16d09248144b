# SPDX-License-Identifier: GPL-3.0-or-later
"""The power goes off and on: what comes back, and how soon."""

from __future__ import annotations

import json
import time

from tests.system.installed import RESIDENT, Raspy
from tests.system.report import Report

HEATER = {"oid": "switch.relay", "name": "heater", "config": {"safe": False}}
HOLD_S = 3600
CRON = {"interval_s": 2}
STARTUP = {"code": 'scenario.publish("woke", 1)\nscenario.wait()\n', "conf": {"startup": True}, "entries": {}}


def check(raspy: Raspy, report: Report) -> None:
    """Leave a lease, a job and a scenario behind, restart the machine, and look for them."""
    machine = raspy.machine
    raspy.want("HOST.fake.devices", "add", json.dumps(HEATER))
    raspy.want("HOST.fake.devices", "exec", "heater", "state", "on", json.dumps({"hold": HOLD_S}))
    raspy.want("HOST.core.cron", "add", "tick", json.dumps(CRON))
    raspy.want("HOST.core.scenarios", "add", "wakes", json.dumps(STARTUP))
    machine.wait(lambda: _state(raspy) is True, "the heater to be on")
    machine.reboot()
    started = time.monotonic()
    page = machine.wait(lambda: raspy.page() if machine.entered() else "", "the dashboard to answer", 120)
    report.add(
        "boot to dashboard answering",
        "reported",
        f"{time.monotonic() - started:.1f} s: {page}",
        " 200 " in page,
    )
    machine.wait_booted()
    raspy.wait_up(*RESIDENT)
    answering = raspy.answers(*RESIDENT)
    report.same("all daemons answer", ", ".join(RESIDENT), ", ".join(answering))
    states = machine.run("systemctl", "--failed", "--no-legend", "--plain", check=False).stdout.strip()
    report.add("failed units", "none", states or "none", not states)
    machine.wait(lambda: _state(raspy) is False, "the heater to be off")
    report.add("a heater that was held on is safe", "off", "off", True)
    machine.wait(lambda: raspy.values("/event/cron"), "the cron job to fire")
    report.add("a cron job fires again", "an event", "/event/cron/tick", True)
    woke = machine.wait(lambda: raspy.values("/scenario/wakes"), "the scenario that starts with core")
    report.add("a scenario that starts with core runs", "yes", next(iter(woke)), True)
    raspy.want("HOST.core.scenarios", "delete", "wakes")
    raspy.want("HOST.core.cron", "remove", "tick")
    raspy.want("HOST.fake.devices", "remove", "heater")


def _state(raspy: Raspy) -> bool | None:
    heater = raspy.want("HOST.fake.devices", "get", "heater")
    return heater["values"].get("state", {}).get("value")
