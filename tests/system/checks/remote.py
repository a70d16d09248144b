# SPDX-License-Identifier: GPL-3.0-or-later
"""The way in for other machines: closed as installed, opened with the first key, closed again."""

from __future__ import annotations

import json

from tests.system.installed import Raspy
from tests.system.report import Report

UNIT = "raspy-broker-tcp.socket"
HOST = ("--host", "127.0.0.1", "--timeout", "5")


def check(raspy: Raspy, report: Report) -> None:
    """Come in over TCP, from the machine itself: it has no other network."""
    machine = raspy.machine
    report.same("where others come in, as installed", [], raspy.want("HOST.broker.mmi", "info")["remote"])
    refused = ctl(raspy, "--broker", "tcp://127.0.0.1:5514", "services")
    report.same("  a client there: raspyctl's exit status", 4, refused)
    own = json.loads(machine.says("raspyctl", "key", "--json"))["public_key"]
    core = raspy.pid("core")
    command = ["raspyctl", "key", "authorize", "desktop", own, "--listen", "--json"]
    opened = json.loads(machine.says(*command))
    report.same("opened with the first key", ["tcp://*:5514"], opened["remote"])
    report.same("  core went on", core, raspy.pid("core"))
    raspy.machine.wait(lambda: not ctl(raspy, "status"), "all servers to be well")
    report.same("with the key", 0, ctl(raspy, *HOST, "--host-key", opened["public_key"], "services"))
    report.same(
        "without a key", 4, ctl(raspy, "--broker", "tcp://127.0.0.1:5514", "--timeout", "2", "services")
    )
    raspy.forget_failures()
    machine.run("systemctl", "restart", "raspy.target")
    raspy.wait_up("broker", "core", "titanic")
    machine.wait(lambda: not ctl(raspy, *HOST, "services"), "the way in after a restart of all")
    report.add("after a restart of everything", "open", "open", True)
    doctor = json.loads(machine.run("raspyctl", "doctor", "--json", check=False).stdout)
    problems = [f"{one['where']}: {one['what']}" for one in doctor if one["state"] == "problem"]
    report.same("problems that raspyctl doctor finds", [], problems)
    machine.run("raspyctl", "key", "revoke", "desktop")
    report.same("with the key, taken back", 4, ctl(raspy, *HOST, "services"))
    machine.run("systemctl", "disable", "--now", UNIT)
    raspy.forget_failures()
    machine.run("systemctl", "restart", "raspy-broker.service")
    raspy.wait_up("broker")
    report.same("closed again", [], raspy.want("HOST.broker.mmi", "info")["remote"])


def ctl(raspy: Raspy, *words: str) -> int:
    """The exit status of raspyctl."""
    return int(raspy.machine.run("raspyctl", *words, check=False).returncode)
