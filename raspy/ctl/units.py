# SPDX-License-Identifier: GPL-3.0-or-later
"""The units of RasPy, as systemd sees them; known also while the broker is down.

Source: systemctl(1) show, org.freedesktop.systemd1(5) for the properties.
"""

from __future__ import annotations

import os
import subprocess
from typing import NamedTuple

BOOTED = "/run/systemd/system"
PROPERTIES = (
    "Id", "LoadState", "ActiveState", "SubState", "Result", "MainPID", "MemoryCurrent", "NRestarts",
    "StatusText", "ExecMainStatus",
)  # fmt: skip
# What systemd says of a figure that it does not have: the largest number.
NOT_COUNTED = 2**64 - 1
# How long systemd may take to tell, in seconds.
ASK_S = 5.0
PATTERN = "raspy-*.service"
# Units that come and go with their work; that they do not run means nothing.
_PASSING = ("raspy-clock@", "raspy-failed@", "raspy-scenario@")


class Unit(NamedTuple):
    """A service of systemd.

    Args:
        name: with ``.service``.
        active: ``active``, ``inactive``, ``failed``, ``activating``...
        sub: more exactly: ``running``, ``auto-restart``...
        result: how it ended last, ``success`` when well.
        pid: its main process; 0 for none.
        memory: what its processes take together, in bytes; None if systemd does not count it.
        restarts: how often systemd started it again by itself.
        text: its status line.
        exit_status: that of its last main process.
    """

    name: str
    active: str
    sub: str
    result: str
    pid: int
    memory: int | None
    restarts: int
    text: str
    exit_status: int

    @property
    def server(self) -> str:
        """The server's name: ``core`` of ``raspy-core.service``."""
        return self.name.removeprefix("raspy-").removesuffix(".service")

    @property
    def problem(self) -> str:
        """What is wrong with it, and what to do; empty when nothing is."""
        unit = self.name.removesuffix(".service")
        if self.active == "failed":
            if self.exit_status == 78:
                return (
                    f"{unit} has failed: its configuration is wrong. 'journalctl -u {unit} -n 20' says where;"
                    f" then: systemctl restart {unit}"
                )
            return (
                f"{unit} has failed ({self.result}). See 'journalctl -x -u {unit} -n 50', then:"
                f" systemctl restart {unit}"
            )
        if self.sub == "auto-restart":
            return (
                f"{unit} ended with status {self.exit_status} and is being started again:"
                f" 'journalctl -x -u {unit} -n 50' says why"
            )
        return ""


def available() -> bool:
    """Whether this machine was booted with systemd (sd_booted(3))."""
    return os.path.isdir(BOOTED)


def all_units() -> list[Unit]:
    """RasPy's services that are loaded, by name; none where systemd does not answer."""
    command = ["systemctl", "show", "--all", PATTERN, "--property=" + ",".join(PROPERTIES)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=ASK_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return read(done.stdout.decode(errors="replace"))


def read(text: str) -> list[Unit]:
    """What ``systemctl show`` printed: blocks of ``Property=value``, an empty line between them."""
    units = []
    for block in text.split("\n\n"):
        lines = (line.partition("=") for line in block.splitlines())
        fields = {name: value for name, separator, value in lines if separator}
        if fields.get("LoadState") != "loaded" or fields.get("Id", "").startswith(_PASSING):
            continue
        memory: int | None = _number(fields, "MemoryCurrent", NOT_COUNTED)
        if memory == NOT_COUNTED:
            memory = None
        units.append(Unit(
            fields["Id"], fields.get("ActiveState", ""), fields.get("SubState", ""), fields.get("Result", ""),
            _number(fields, "MainPID"), memory, _number(fields, "NRestarts"),
            fields.get("StatusText", ""), _number(fields, "ExecMainStatus"),
        ))  # fmt: skip
    return sorted(units)


def _number(fields: dict[str, str], name: str, default: int = 0) -> int:
    text = fields.get(name, "")
    return int(text) if text.isdigit() else default
