# SPDX-License-Identifier: GPL-3.0-or-later
"""`systemctl stop`, `start` and `restart` of all of RasPy, by pattern and by target."""

from __future__ import annotations

import time

from tests.system.installed import RESIDENT, Raspy
from tests.system.report import Report

# Nothing may wake what was stopped; it is watched for so long, since nothing else shows that.
HOLD_S = 4.0
# systemctl asks for the stop of one unit after the other; on a busy machine a daemon that is still there may
# wake another before its socket's turn, and systemctl says that a job was canceled.
TRIES = 3
PATTERN = "raspy-*"
TARGET = "raspy.target"


def check(raspy: Raspy, report: Report) -> None:
    """Stop, start and restart."""
    raspy.forget_failures()
    # With one that a request would start, and the dashboard, which may have ended for want of visits.
    raspy.machine.run("systemctl", "start", "raspy-fake.service", "raspy-web.service")
    raspy.wait_up("fake", *RESIDENT)
    before = _active(raspy)
    for what in (PATTERN, TARGET):
        _restart(raspy, report, what)
        _stop(raspy, report, what)
        raspy.machine.run("systemctl", "start", TARGET)
        raspy.machine.wait(lambda: _active(raspy) >= before - {"raspy-fake.service"}, "all to run again")
        answering = raspy.answers(*RESIDENT)
        report.same(f"then: systemctl start {TARGET}", f"{len(RESIDENT)} answer", f"{len(answering)} answer")
        raspy.machine.run("systemctl", "start", "raspy-fake.service")
        raspy.forget_failures()
    raspy.machine.run("systemctl", "stop", "raspy-fake.service", "raspy-host.service", "raspy-host.socket")
    raspy.machine.run("systemctl", "start", TARGET)
    raspy.wait_up("host")
    report.same(
        f"one daemon stopped, then: start {TARGET}",
        "it answers",
        "it answers" if raspy.answers("host") else "no",
    )


def _active(raspy: Raspy) -> set[str]:
    listed = raspy.machine.says(
        "systemctl",
        "list-units",
        "--plain",
        "--no-legend",
        "--state=active,activating,deactivating,reloading",
        PATTERN,
    )
    return {line.split()[0] for line in listed.splitlines()}


def _stop(raspy: Raspy, report: Report, what: str) -> None:
    """Stop it, and see that it holds; what the pattern says again and again the target says once."""
    tries = 1
    while raspy.machine.run("systemctl", "stop", what, check=False).returncode and tries < TRIES:
        tries += 1
    raspy.machine.wait(lambda: not _active(raspy), "everything to be stopped")
    until = time.monotonic() + HOLD_S
    woken: set[str] = set()
    while time.monotonic() < until:
        woken |= _active(raspy)
    measured = f"up: {woken}" if woken else f"all down, said {tries} times"
    report.add(f"systemctl stop '{what}'", f"all down, for {HOLD_S:g} s", measured, not woken)


def _restart(raspy: Raspy, report: Report, what: str) -> None:
    names = ("fake", *RESIDENT)
    before = {name: raspy.pid(name) for name in names}
    raspy.machine.run("systemctl", "restart", what)
    raspy.wait_up(*names)
    new = [name for name in names if raspy.pid(name) != before[name]]
    answering = raspy.answers(*names)
    report.same(
        f"systemctl restart '{what}'",
        f"{len(names)} new, {len(names)} answer",
        f"{len(new)} new, {len(answering)} answer",
    )
