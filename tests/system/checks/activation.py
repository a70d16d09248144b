# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that cost nothing until somebody asks: started by a request, gone when idle, started again."""

from __future__ import annotations

import time

from tests.system.installed import WAITING, Raspy
from tests.system.report import Report

IDLE_S = 2
IDLE_CONF = "/etc/raspy/conf.d/80-idle.conf"


def check(raspy: Raspy, report: Report) -> None:
    """Let each of them sleep, and wake it by a request through the broker."""
    machine = raspy.machine
    raspy.forget_failures()
    units = [f"raspy-{name}.service" for name in WAITING]
    machine.run("systemctl", "stop", *units)
    for name in WAITING:
        unit = f"raspy-{name}.service"
        listed = raspy.ask("mmi.service", f"{machine.hostname}.{name}.mmi")
        started = time.monotonic()
        reply = raspy.ask(f"HOST.{name}.mmi", "status")
        took = time.monotonic() - started
        good = reply[-1:] == ["200"] and listed[-1:] == ["200"]
        report.add(
            f"{name}: stopped, then asked",
            "listed, answers",
            f"answers in {took:.1f} s" if good else reply,
            good,
        )
        report.same(f"{name}: watchdog", "15s", raspy.show(unit, "WatchdogUSec")["WatchdogUSec"])
    machine.write(IDLE_CONF, "".join(f"[{name}]\nidle_exit_s = {IDLE_S}\n" for name in WAITING))
    machine.run("systemctl", "restart", *units)
    for name, unit in zip(WAITING, units, strict=True):
        machine.wait(lambda unit=unit: raspy.state(unit) == "inactive", f"{unit} to end")
        report.same(f"{name}: ends when idle", "success", raspy.show(unit, "Result")["Result"])
    report.same("asked again, they come back", ", ".join(WAITING), ", ".join(raspy.answers(*WAITING)))
    machine.run("rm", IDLE_CONF)
    machine.run("systemctl", "stop", *units)
