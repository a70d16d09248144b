# SPDX-License-Identifier: GPL-3.0-or-later
"""`apt install raspy` on a fresh Debian: what a person sees in the first minute."""

from __future__ import annotations

import time

from tests.system.installed import RESIDENT, Raspy
from tests.system.report import Report


def check(raspy: Raspy, report: Report) -> None:
    """Install it, and see that everything runs."""
    machine = raspy.machine
    started = time.monotonic()
    packages = machine.says("/bin/sh", "-c", "ls /srv/packages/*.deb").split()
    machine.run("apt-get", "-q", "-y", "install", *packages)
    raspy.wait_up(*RESIDENT)
    report.add(
        "apt install raspy, until all daemons run", "they run", f"{time.monotonic() - started:.1f} s", True
    )
    answering = raspy.answers(*RESIDENT)
    report.same("daemons that answer on the bus", ", ".join(RESIDENT), ", ".join(answering))
    states = machine.run("systemctl", "--failed", "--no-legend", "--plain", check=False).stdout.strip()
    report.add("failed units", "none", states or "none", not states)
    verified = machine.run("dpkg", "--verify", "raspy", "python3-raspy", check=False).stdout.strip()
    report.add("dpkg --verify", "silent", verified or "silent", not verified)
    machine.wait(lambda: _good(raspy), "values of this machine's own sensors")
    report.add(
        "values of the machine itself, nothing wired", ">= 4 good", f"{_good(raspy)} good", _good(raspy) >= 4
    )
    owner = machine.says("stat", "--format=%U:%G %a", "/run/raspy", "/var/lib/raspy").splitlines()
    report.same("/run/raspy, /var/lib/raspy", "root:raspy 770, raspy:raspy 750", ", ".join(owner))


def _good(raspy: Raspy) -> int:
    return sum(value.get("quality") == "good" for value in raspy.values("/device/").values())
