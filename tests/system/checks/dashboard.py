# SPDX-License-Identifier: GPL-3.0-or-later
"""What the dashboard gets out of its cage: systemd's figures, a restart, the journal."""

from __future__ import annotations

import json
from typing import Any

from tests.system.installed import INSIDE, Raspy
from tests.system.report import Report

UNIT = "raspy-host.service"


def check(raspy: Raspy, report: Report) -> None:
    """Ask for the services, restart one, look for its lines."""
    status, found = _ask(raspy, "GET", "/api/v1/services")
    units = {unit["name"]: unit for unit in found.get("units", [])}
    unit = units.get(UNIT, {})
    report.add("dashboard: units", "raspy-host is active", unit or found, unit.get("state") == "active")
    # Not its memory: a container has not always that controller.
    seen = {name: unit.get(name) for name in ("cpu_s", "since", "watchdog_s", "exposure")}
    report.add(
        "dashboard: figures of raspy-host", "all known", seen, all(v is not None for v in seen.values())
    )
    before = raspy.pid("host")
    status, answer = _ask(raspy, "POST", f"/api/v1/services/{UNIT}/restart")
    after = raspy.pid("host")
    report.add("dashboard: restarts raspy-host", "200", (status, answer), status == 200 and before != after)
    status, answer = _ask(raspy, "POST", "/api/v1/services/systemd-journald.service/restart")
    report.add("dashboard: restarts nothing else", "404", status, status == 404)
    status, answer = _ask(raspy, "GET", "/api/v1/journal?server=host&limit=20")
    lines = answer.get("lines", [])
    why = answer.get("why")
    report.add("dashboard: reads the journal", "lines of host", why or len(lines), bool(lines) and not why)


def _ask(raspy: Raspy, method: str, path: str) -> tuple[int, dict[str, Any]]:
    program = f"{INSIDE}/dashboard.py"
    command = ("runuser", "-u", "raspy", "--", "/usr/bin/python3", program, method, path)
    done = raspy.machine.run(*command, check=False)
    if done.returncode:
        raise AssertionError(f"{method} {path}: {done.stderr[-500:]}")
    status, answer = json.loads(done.stdout)
    return status, answer
