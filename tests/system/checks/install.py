# SPDX-License-Identifier: GPL-3.0-or-later
"""`apt install raspy` on a fresh Debian: what a person sees in the first minute."""

from __future__ import annotations

import re
import time

from tests.system.installed import PACKAGES, REPOSITORY, RESIDENT, Raspy
from tests.system.report import Report

# The least number of values that any machine has of itself.
LEAST = 4
KEY = "/etc/apt/keyrings/raspy.asc"
SOURCE = """Types: deb
URIs: file:{repository}
Suites: {suite}
Components: main
Signed-By: {key}
"""
# The mirrors can't be reached from here, and what RasPy depends on is installed.
MIRRORS = ("/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources", "/etc/apt/apt.conf.d/raspy")


def check(raspy: Raspy, report: Report) -> None:
    """Install it, and see that everything runs."""
    machine = raspy.machine
    machine.run("rm", "-f", *MIRRORS)
    source = SOURCE.format(repository=REPOSITORY, suite=report.suite, key=KEY)
    machine.write("/etc/apt/sources.list.d/raspy.sources", source)
    refused = machine.run("apt-get", "-q", "update", check=False)
    said = "refused" if refused.returncode else "accepted"
    report.same("the repository, before its key is trusted", "refused", said)
    machine.run("install", "-D", "-m", "644", f"{REPOSITORY}/raspy.asc", KEY)
    machine.run("apt-get", "-q", "update")
    started = time.monotonic()
    machine.run("apt-get", "-q", "-y", "install", "raspy")
    raspy.wait_up(*RESIDENT)
    report.add("apt install raspy, until all run", "they run", f"{time.monotonic() - started:.1f} s", True)
    installed(raspy, report, "packages")
    answering = raspy.answers(*RESIDENT)
    report.same("daemons that answer", ", ".join(RESIDENT), ", ".join(answering))
    states = machine.run("systemctl", "--failed", "--no-legend", "--plain", check=False).stdout.strip()
    report.add("failed units", "none", states or "none", not states)
    verified = machine.run("dpkg", "--verify", *PACKAGES, check=False).stdout.strip()
    report.add("dpkg --verify", "silent", verified or "silent", not verified)
    machine.wait(lambda: _good(raspy) >= LEAST, "values of this machine's own sensors")
    report.add(
        "values of the machine itself, nothing wired", f">= {LEAST} good", f"{_good(raspy)} good", True
    )
    owner = machine.says("stat", "--format=%U:%G %a", "/run/raspy", "/var/lib/raspy").splitlines()
    report.same("/run/raspy, /var/lib/raspy", "root:raspy 770, raspy:raspy 750", ", ".join(owner))
    page = raspy.page()
    report.add("the dashboard's first page", "200", page, " 200 " in page)
    token = machine.wait(lambda: _token(raspy), "the first visitor's token in the journal")
    report.add("the journal has the first visitor's token", "yes", token[-1], True)


def installed(raspy: Raspy, report: Report, what: str) -> None:
    """A row on the packages that are there, and their one version."""
    shown = raspy.machine.run(
        "dpkg-query", "--show", "--showformat=${Package} ${Version}\\n", *PACKAGES, check=False
    )
    names, versions = zip(*(line.split() for line in shown.stdout.splitlines()), strict=True)
    report.add(
        what,
        ", ".join(sorted(PACKAGES)),
        f"{', '.join(names)} {versions[0]}",
        sorted(names) == sorted(PACKAGES) and len(set(versions)) == 1,
    )


def _good(raspy: Raspy) -> int:
    return sum(value.get("quality") == "good" for value in raspy.values("/device/").values())


def _token(raspy: Raspy) -> list[str]:
    return [line for line in raspy.lines("-u", "raspy-web") if re.search("token", line, re.IGNORECASE)]
