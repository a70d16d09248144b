# SPDX-License-Identifier: GPL-3.0-or-later
"""Removed, the data stay; purged, nothing stays; and it can be installed again after both."""

from __future__ import annotations

import json

from tests.system.installed import PACKAGES, RESIDENT, Raspy
from tests.system.report import Report

PLACES = ("/etc/raspy", "/var/lib/raspy", "/var/lib/private/raspy", "/run/raspy", "/run/raspy-root")
TRACES = r"""
for place in {places}; do [ ! -e "$place" ] || echo "$place"; done
find /etc/systemd/system /usr/lib/systemd /lib/systemd /usr/lib/sysusers.d /usr/lib/tmpfiles.d \
    /usr/share/polkit-1 /usr/lib/python3 /usr/share/doc /usr/share/man /usr/bin \
    /var/lib/systemd/deb-systemd-helper-enabled \
    -iname '*raspy*' 2>/dev/null
getent passwd raspy || true
getent group raspy || true
systemctl list-units --all --plain --no-legend 'raspy*' | grep -v not-found | cut -d ' ' -f 1
ps -e -o args= 2>/dev/null | grep '[r]aspy' || true
"""


def check(raspy: Raspy, report: Report) -> None:
    """Remove, reinstall, purge, reinstall."""
    machine = raspy.machine
    device = {"oid": "switch.relay", "name": "survivor", "config": {}}
    raspy.want("HOST.fake.devices", "add", json.dumps(device))
    machine.run("apt-get", "-q", "-y", "remove", *PACKAGES)
    running = machine.run(
        "systemctl", "list-units", "--plain", "--no-legend", "raspy*", check=False
    ).stdout.strip()
    report.add("apt remove: units that are left", "none", running or "none", not running)
    kept = machine.says("/bin/sh", "-c", "ls -d /etc/raspy/raspy.conf /var/lib/raspy/titanic")
    report.same("  configuration and data are kept", "2", str(len(kept.split())))
    _reinstall(raspy, report, "apt install again")
    survived = "survivor" in raspy.want("HOST.fake.devices", "list")
    report.same("  the devices are there", "yes", "yes" if survived else "no")
    machine.run("apt-get", "-q", "-y", "purge", *PACKAGES)
    left = machine.says("/bin/bash", "-c", TRACES.format(places=" ".join(PLACES)))
    report.add("apt purge: what is left", "nothing", left or "nothing", not left)
    _reinstall(raspy, report, "apt install after a purge")
    fresh = raspy.want("HOST.fake.devices", "list")
    report.add("  it begins afresh", "no devices", ", ".join(fresh) or "no devices", not fresh)


def _reinstall(raspy: Raspy, report: Report, what: str) -> None:
    raspy.machine.run("apt-get", "-q", "-y", "install", *PACKAGES)
    raspy.wait_up(*RESIDENT)
    answering = raspy.answers(*RESIDENT)
    report.same(what, f"{len(RESIDENT)} daemons answer", f"{len(answering)} daemons answer")
