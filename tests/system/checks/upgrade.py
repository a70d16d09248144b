# SPDX-License-Identifier: GPL-3.0-or-later
"""Back to an earlier build, and up again while everybody is at work."""

from __future__ import annotations

import json
import time

from tests.system.checks.install import installed
from tests.system.installed import PACKAGES, REPOSITORY, RESIDENT, Raspy
from tests.system.report import Report

FOLDER = "/var/tmp/earlier"
EARLIER = "0.0.9"
# The same files under an earlier version: how a package is replaced is what counts here.
REPACK = """
cd "$(mktemp -d)"
for deb in {repository}/pool/{suite}/*.deb; do
    case $(basename "$deb") in {packages}) ;; *) continue ;; esac
    dpkg-deb --raw-extract "$deb" tree
    version=$(sed -n "s/^Version: //p" tree/DEBIAN/control)
    sed -i -e "s/$version/{earlier}/g" tree/DEBIAN/control
    dpkg-deb -Znone --root-owner-group --build tree "{folder}/$(basename "$deb" | cut -d_ -f1).deb" >/dev/null
    rm -rf tree
done
"""
# The sockets that must listen all the time; a connection to scenario.sock would start a scenario.
LISTENING = ("mdp.sock", "snapshot.sock", "publisher.sock", "collector.sock")


def check(raspy: Raspy, report: Report) -> None:
    """Downgrade, then upgrade under load."""
    machine = raspy.machine
    raspy.forget_failures()
    # The dashboard may have ended for want of visits.
    machine.run("systemctl", "start", "raspy-web.service")
    device = {"oid": "switch.relay", "name": "kept", "config": {}}
    raspy.want("HOST.fake.devices", "add", json.dumps(device))
    machine.run("mkdir", "-p", FOLDER)
    names = "|".join(f"{name}_*" for name in PACKAGES)
    script = REPACK.format(
        repository=REPOSITORY, suite=report.suite, packages=names, earlier=EARLIER, folder=FOLDER
    )
    machine.run("/bin/bash", "-euc", script)
    debs = machine.says("/bin/sh", "-c", f"ls {FOLDER}/*.deb").split()
    machine.run("apt-get", "-q", "-y", "--allow-downgrades", "install", *debs)
    raspy.wait_up(*RESIDENT)
    installed(raspy, report, f"downgrade to {EARLIER}")
    kept = "kept" in raspy.want("HOST.fake.devices", "list")
    report.same(
        "  it runs, and the devices are there", "yes", "yes" if kept and raspy.answers(*RESIDENT) else "no"
    )
    _upgrade(raspy, report)
    kept = "kept" in raspy.want("HOST.fake.devices", "list")
    report.same("  the devices are there", "yes", "yes" if kept else "no")
    verified = machine.run("dpkg", "--verify", *PACKAGES, check=False).stdout.strip()
    report.add("  dpkg --verify", "silent", verified or "silent", not verified)
    raspy.want("HOST.fake.devices", "remove", "kept")


def _upgrade(raspy: Raspy, report: Report) -> None:
    machine = raspy.machine
    raspy.forget_failures()
    before = {name: raspy.pid(name) for name in RESIDENT}
    load = machine.start("/usr/bin/python3", "/srv/system/load.py", *LISTENING)
    try:
        started = time.monotonic()
        machine.run("apt-get", "-q", "-y", "install", *PACKAGES)
        raspy.wait_up(*RESIDENT)
        took = time.monotonic() - started
        said, _ = load.communicate(timeout=180)
    finally:
        load.kill()
    counts = json.loads(said.splitlines()[-1])
    installed(raspy, report, "upgrade under load")
    report.add("  it took", "reported", f"{took:.0f} s", True)
    new = [name for name in RESIDENT if raspy.pid(name) != before[name]]
    report.same("  daemons that run the new version", ", ".join(RESIDENT), ", ".join(new))
    report.add(
        "  requests without an answer",
        "0",
        f"{counts.get('unanswered', 0)} of {counts['asked']}",
        not counts.get("unanswered") and counts["asked"] > 0,
    )
    report.add("  the slowest answer", "reported", f"{counts['longest_ms'] / 1000:.1f} s", True)
    report.add(
        "  requests answered with an error",
        "may be asked again",
        f"{counts.get('refused', 0)} of {counts['asked']}",
        counts.get("refused", 0) < counts["asked"],
    )
    report.add(
        "  titanic's requests carried out",
        "all",
        f"{counts.get('carried_out', 0)} of {counts['filed']}",
        counts.get("carried_out") == counts["filed"] > 0,
    )
    report.add(
        "  connections refused by the broker's listeners",
        "0",
        f"{counts.get('not_listening', 0)} of {counts['connected']}",
        not counts.get("not_listening") and counts["connected"] > 0,
    )
