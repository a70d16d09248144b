# SPDX-License-Identifier: GPL-3.0-or-later
"""Every unit: its state, how systemd supervises it, whose user it has, how exposed it is."""

from __future__ import annotations

from tests.system.installed import RESIDENT, WAITING, Raspy, figure
from tests.system.report import Report

# The most that `systemd-analyze security` may say, by unit; 0.2 for those that are not named.
EXPOSURE = {"host": 0.3, "web": 0.4, "sync": 1.2, "clock@": 2.0}
USUAL = 0.2
WATCHDOG_S = 15

ROOT = ("clock@",)
DYNAMIC = ("scenario@",)
# They end by themselves, or speak no sd_notify.
# Off until somebody switches them on.
OFF = ("raspy-broker-tcp.socket",)
UNWATCHED = ("clock@", "failed@", "scenario@", "rrdcached")
INSTANCES = {"clock@": "clock@systohc", "failed@": "failed@raspy-host", "scenario@": "scenario@1"}


def check(raspy: Raspy, report: Report) -> None:
    """Check all units that the package brings."""
    machine = raspy.machine
    files = [
        line.split()[0]
        for line in machine.says("systemctl", "list-unit-files", "--no-legend", "raspy-*").splitlines()
    ]
    services = [
        name.removeprefix("raspy-").removesuffix(".service") for name in files if name.endswith(".service")
    ]
    missing = {*RESIDENT, *WAITING} - set(services)
    report.add("units are there", "all daemons", missing or f"{len(files)} units", not missing)
    raspy.wait_up(*RESIDENT)
    for name in services:
        _service(raspy, report, name)
    for name in sorted(file for file in files if file.endswith(".socket")):
        _socket(raspy, report, name)
    for name, want in (("raspy.target", "active"), ("multi-user.target", "active")):
        report.same(name, want, raspy.show(name, "ActiveState")["ActiveState"])
    verified = machine.run(
        "systemd-analyze", "verify", *(_instance(name) for name in files), "raspy.target", check=False
    )
    said = verified.stderr.strip() + verified.stdout.strip()
    report.add("systemd-analyze verify", "silent", said or "silent", not said)


def _instance(unit: str) -> str:
    for template, instance in INSTANCES.items():
        unit = unit.replace(template, instance)
    return unit


def _service(raspy: Raspy, report: Report, name: str) -> None:
    shown = raspy.show(
        _instance(f"raspy-{name}.service"),
        "ActiveState",
        "Type",
        "WatchdogUSec",
        "User",
        "Restart",
        "DynamicUser",
        "OnFailure",
        "StartLimitBurst",
        "TriggeredBy",
    )
    state = "active" if name in (*RESIDENT, "rrdcached") else "inactive"
    watched = name not in UNWATCHED
    user = "root" if name in ROOT else "dynamic" if name in DYNAMIC else "raspy"
    real = "dynamic" if shown["DynamicUser"] == "yes" else shown["User"]
    asked = [state, user]
    measured = [shown["ActiveState"], real]
    if watched:
        # systemd tells the watchdog of what runs only.
        watchdog = f"{WATCHDOG_S}s" if state == "active" else "infinity"
        asked += ["notify", watchdog, "on-failure", "socket"]
        measured += [
            shown["Type"],
            shown["WatchdogUSec"],
            shown["Restart"],
            "socket" if f"raspy-{name}.socket" in shown["TriggeredBy"] else "no socket",
        ]
    report.same(f"raspy-{name}", " ".join(asked), " ".join(measured))
    said = raspy.machine.run(
        "systemd-analyze", "--no-pager", "security", _instance(f"raspy-{name}.service")
    ).stdout
    report.most(f"raspy-{name} exposure", EXPOSURE.get(name, USUAL), figure(said, r"level for \S+: ([\d.]+)"))


def _socket(raspy: Raspy, report: Report, unit: str) -> None:
    shown = raspy.show(unit, "ActiveState", "SubState", "SocketMode", "SocketGroup", "Listen")
    group = shown.get("SocketGroup", "")
    inet = ":" in shown["Listen"].replace("/run", "", 1).split()[0]
    state = "inactive" if unit in OFF else "active"
    asked = state if inet else f"{state} 0660 raspy"
    report.same(
        unit, asked, shown["ActiveState"] if inet else f"{shown['ActiveState']} {shown['SocketMode']} {group}"
    )
