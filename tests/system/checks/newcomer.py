# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/first-evening.md, typed as it stands there: from the installation to a backup that is put to use."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from tests.docs import pages
from tests.system.installed import INSIDE, PACKAGES, RESIDENT, Raspy
from tests.system.machine import CommandFailed
from tests.system.report import Report

# What the page lets the reader choose.
NAME, PASSWORD = "newcomer", "a good password"

# How RasPy is asked what it has, and which of that is no configuration but the moment's state.
ASKED = {
    "devices": ("HOST.fake.devices", ("values", "state")),
    "cron jobs": ("HOST.core.cron", ("next", "last", "fired", "missed_runs", "state")),
    "graphs": ("HOST.logger.graph", ()),
}
SETTLES_S = 90
RESTORE_S = 300
HISTORY_S = 3600
# The finest that a history has, in seconds, and how long it takes at most to have one that is complete.
POINT_S = 60
HISTORY_BEGINS_S = 300


def check(raspy: Raspy, report: Report) -> None:
    """Begin without RasPy, and follow the page."""
    raspy.machine.run("apt-get", "-q", "-y", "purge", *PACKAGES)
    chapters = pages.read("first-evening.md").split("\n## ")[1:]
    kept: dict[str, Any] = {}
    past: dict[int, float] = {}
    for chapter in chapters:
        title = chapter.partition("\n")[0]
        if title == "A graph":
            # A person has taken longer to come here than a machine.
            raspy.machine.wait(lambda: _logged(raspy), "the logger to know the devices", SETTLES_S)
        if title == "Back it up":
            raspy.machine.wait(lambda: _heating(raspy), "the thermostat to look at the tank", SETTLES_S)
            until = raspy.machine.wait(lambda: _some_history(raspy), "some history", HISTORY_BEGINS_S)
            past = history(raspy, until)
            kept = configuration(raspy)
        for block in pages.blocks(chapter, "sh"):
            if not _type(raspy, report, title, block):
                return
        if title == "First login":
            _first_login(raspy, report)
    restored(raspy, report, kept)
    now = history(raspy, max(past))
    same = sum(now.get(then) == value for then, value in past.items())
    report.same("restored: the tank's history, in points", len(past), same)


def _type(raspy: Raspy, report: Report, title: str, block: str) -> bool:
    """Run the commands of one block; a row for it."""
    # What has just been started is well a moment later; a person looks again.
    looks_until_s = time.monotonic() + (SETTLES_S if block.endswith("raspyctl status\n") else 0)
    script = f"cd && {{\n{block}}}"
    while True:
        try:
            said = raspy.machine.run("/bin/bash", "-eu", "-c", script, timeout_s=RESTORE_S).stdout
        except CommandFailed as error:
            if time.monotonic() < looks_until_s:
                continue
            return report.add(f"{title}: {block}", "status 0", str(error), False)
        last = said.strip().splitlines()[-1:] or ["nothing said"]
        return report.add(f"{title}: {block}", "status 0", last[0], True)


def _first_login(raspy: Raspy, report: Report) -> None:
    # The last one is that of this installation.
    tokens = re.findall(r"one-time token (\S+)", "\n".join(raspy.lines("-u", "raspy-web", "-n", "20")))
    given = tokens[-1] if tokens else ""
    _visit(
        raspy, report, "the first login", "/first-visit",
        f"token={given}", f"name={NAME}", f"password={PASSWORD}", f"again={PASSWORD}",
    )  # fmt: skip


def _visit(raspy: Raspy, report: Report, what: str, path: str, *fields: str) -> None:
    done = raspy.machine.run("/usr/bin/python3", f"{INSIDE}/visit.py", path, *fields, check=False)
    said = done.stdout.strip() or done.stderr.strip()[-200:]
    report.same(what, "/ logged in", said)


def configuration(raspy: Raspy) -> dict[str, Any]:
    """What RasPy has: devices, jobs, scenarios, graphs."""
    found: dict[str, Any] = {}
    for what, (service, passing) in ASKED.items():
        listed = raspy.want(service, "list")
        found[what] = {
            name: {key: value for key, value in one.items() if key not in passing}
            for name, one in listed.items()
        }
    found["scenarios"] = raspy.want("HOST.core.scenarios", "export")
    return found


def history(raspy: Raspy, until: int) -> dict[int, float]:
    """What is known of the tank in the hour up to then, by the time."""
    chart = raspy.want("HOST.logger.graph", "fetch", "water", str(until - HISTORY_S), str(until + 1))
    tank = next(series for series in chart["series"] if series["key"].endswith("tank/temperature"))
    known = zip(tank["time"], tank["average"], strict=True)
    return {then: value for then, value in known if value is not None and then <= until}


def _some_history(raspy: Raspy) -> int:
    """Up to when the history is complete, once there is some; else 0."""
    until = int(time.time()) - POINT_S
    return until if history(raspy, until) else 0


def restored(raspy: Raspy, report: Report, kept: dict[str, Any]) -> None:
    """Rows on what was brought back."""
    raspy.wait_up(*RESIDENT)
    now = configuration(raspy)
    for what, before in kept.items():
        same = now[what] == before
        measured = "as before" if same else json.dumps({"before": before, "now": now[what]})
        report.add(f"restored: {what}", "as before", measured, same and bool(before))
    works = raspy.machine.wait(lambda: _heating(raspy), "the thermostat to work again", SETTLES_S)
    report.same("restored: the thermostat", "runs", "runs" if works else "does not")
    _visit(raspy, report, "restored: the login", "/login", f"name={NAME}", f"password={PASSWORD}")


def _logged(raspy: Raspy) -> bool:
    """Whether the values of the page have their histories."""
    keys = raspy.ask("HOST.logger.graph", "list_keys")
    return all(any(key.endswith(value) for key in keys) for value in ("tank/temperature", "heater/state"))


def _heating(raspy: Raspy) -> bool:
    """Whether the thermostat runs, and the tank has a temperature."""
    running = raspy.ask("HOST.core.scenario", "status", "thermostat")[:1] == ["running"]
    tank = [
        value for key, value in raspy.values("/device/").items() if key.endswith("/fake/tank/temperature")
    ]
    return running and any(value.get("quality") == "good" for value in tank)
