# SPDX-License-Identifier: GPL-3.0-or-later
"""A daemon that hangs, dies, or dies again and again: what systemd does about it, and what it says."""

from __future__ import annotations

import json
import signal
import time

from raspy.failed import UNIT_FAILED
from tests.system.installed import RESIDENT, WAITING, Raspy
from tests.system.report import Report

DAEMONS = (*RESIDENT, *WAITING)
# WatchdogSec=, the time that systemd gives a hung process to dump core, and a busy machine's start.
HUNG_S = 90.0
# The daemon that is made to fail for good, and the line in its configuration that does it to another.
LOOPING = "host"
WRONG = "fake"
WRONG_CONF = "/etc/raspy/conf.d/90-wrong.conf"


def check(raspy: Raspy, report: Report) -> None:
    """Hang, kill and break daemons."""
    raspy.machine.run("systemctl", "start", *(f"raspy-{name}.service" for name in DAEMONS))
    raspy.wait_up(*DAEMONS)
    _all_at_once(raspy, report, signal.SIGKILL, "SIGKILL of all: back and serving")
    _all_at_once(raspy, report, signal.SIGSTOP, "SIGSTOP of all: restarted by the watchdog")
    _crash_loop(raspy, report)
    _wrong_configuration(raspy, report)


def _all_at_once(raspy: Raspy, report: Report, number: signal.Signals, what: str) -> None:
    raspy.forget_failures()
    before = {name: raspy.pid(name) for name in DAEMONS}
    started = time.monotonic()
    since = raspy.machine.says("date", "+%s")
    for name in DAEMONS:
        raspy.machine.kill(f"raspy-{name}.service", number)
    back: dict[str, float] = {}

    def all_back() -> bool:
        for name in DAEMONS:
            if name not in back and raspy.up(name) and raspy.pid(name) not in (0, before[name]):
                back[name] = time.monotonic() - started
        return len(back) == len(DAEMONS)

    raspy.machine.wait(all_back, what, HUNG_S)
    answering = raspy.answers(*DAEMONS)
    slowest = max(back, key=lambda name: back[name])
    good = len(answering) == len(DAEMONS)
    silent = ", ".join(sorted(set(DAEMONS) - set(answering)))
    took = f"{min(back.values()):.1f} to {back[slowest]:.1f} s ({slowest})"
    report.add(what, f"{len(DAEMONS)} daemons", took if good else f"no answer: {silent}", good)
    if number is signal.SIGSTOP:
        results = raspy.lines(
            f"--since=@{since}", "_PID=1", "UNIT_RESULT=watchdog", "--output-fields=UNIT", "-o", "json"
        )
        units = {
            json.loads(line).get("UNIT", "").removeprefix("raspy-").removesuffix(".service")
            for line in results
        }
        report.add(
            "the journal says: watchdog",
            f"{len(DAEMONS)} units",
            f"{len(units & set(DAEMONS))} units",
            units >= set(DAEMONS),
        )


def _crash_loop(raspy: Raspy, report: Report) -> None:
    """Kill it each time it has started, until systemd gives up."""
    raspy.forget_failures()
    unit = f"raspy-{LOOPING}.service"
    started = time.monotonic()
    kills: set[int] = set()

    def gave_up() -> bool:
        pid = raspy.pid(LOOPING)
        if pid and pid not in kills:
            kills.add(pid)
            raspy.machine.kill(unit, signal.SIGKILL)
        return raspy.state(unit) == "failed"

    raspy.machine.wait(gave_up, f"{unit} to be failed for good")
    report.add(
        "a crash loop: failed after",
        "5 starts in 120 s",
        f"{len(kills)} starts in {time.monotonic() - started:.0f} s",
        len(kills) <= 6,
    )
    _said(raspy, report, LOOPING, "a crash loop")
    raspy.forget_failures()
    raspy.machine.run("systemctl", "start", f"raspy-{LOOPING}.socket", unit)
    raspy.wait_up(LOOPING)
    report.same("after reset-failed and start it serves", "yes", "yes" if raspy.answers(LOOPING) else "no")


def _wrong_configuration(raspy: Raspy, report: Report) -> None:
    """What is wrong in a file does not become right by starting again."""
    raspy.forget_failures()
    unit = f"raspy-{WRONG}.service"
    raspy.machine.write(WRONG_CONF, f"[{WRONG}]\npoll_often = yes\n")
    raspy.machine.run("systemctl", "restart", unit, check=False)
    raspy.machine.wait(lambda: raspy.state(unit) == "failed", f"{unit} to be failed")
    status = raspy.show(unit, "ExecMainStatus", "NRestarts")
    report.same(
        "a wrong configuration: exit status, restarts",
        "78, 0",
        f"{status['ExecMainStatus']}, {status['NRestarts']}",
    )
    _said(raspy, report, WRONG, "a wrong configuration", "poll_often")
    raspy.machine.run("rm", WRONG_CONF)
    raspy.forget_failures()
    raspy.machine.run("systemctl", "start", f"raspy-{WRONG}.socket", unit)
    raspy.wait_up(WRONG)


def _said(raspy: Raspy, report: Report, name: str, what: str, word: str = "") -> None:
    """The event on the bus, and the line in the journal with what to do."""
    key = f"/event/failed/raspy-{name}"
    event = raspy.machine.wait(lambda: raspy.values("/event/failed").get(key), f"the event {key}")
    report.add(f"{what}: event", f"{key} {word}", event["message"], word in event["message"])
    explained = raspy.machine.journal("-x", f"MESSAGE_ID={UNIT_FAILED}", f"RASPY_SERVICE={name}")
    advice = [line for line in explained if "What to do" in line]
    report.add(
        f"{what}: journalctl -x",
        "says what to do",
        f"{len(advice)} explained" if advice else explained[-3:],
        bool(advice),
    )
