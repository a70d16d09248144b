# SPDX-License-Identifier: GPL-3.0-or-later
"""RasPy as it is installed in a container: ask it, and ask systemd about it."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from tests.system.machine import Machine

INSIDE = "/srv/system"
"""Where the container sees tests/system/inside."""

REPOSITORY = "/srv/repo"
"""Where it sees the apt repository that 'make repo' made."""

DASHBOARD = "http://127.0.0.1:5520/"

PACKAGES = ("raspy", "python3-raspy", "raspyweb")

# The daemons that run all the time, and those that wait on their sockets.
RESIDENT = ("broker", "titanic", "core", "host", "logger", "web")
WAITING = ("fake", "onewire", "sync")

READY_S = 60.0


class Raspy:
    """The installed RasPy of a container."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def ask(self, service: str, *frames: str) -> list[str]:
        """Send a request; HOST in `service` is the machine's name.

        Returns:
            The reply's frames with the status last; empty when nobody answered.
        """
        done = self.machine.run("/usr/bin/python3", f"{INSIDE}/ask.py", service, *frames, check=False)
        if done.returncode:
            raise AssertionError(f"asking {service}: {done.stderr[-500:]}")
        return json.loads(done.stdout) or []

    def want(self, service: str, *frames: str) -> Any:
        """Send a request that has to be answered with 200; returns the first frame, read as JSON if it is."""
        reply = self.ask(service, *frames)
        if reply[-1:] != ["200"]:
            raise AssertionError(f"{service} {' '.join(frames)[:200]}: {reply or 'no answer'}")
        try:
            return json.loads(reply[0])
        except ValueError:
            return reply[0]

    def values(self, prefix: str) -> dict[str, Any]:
        """What the broker's key/value map has below a prefix."""
        found = self.ask(prefix)
        assert isinstance(found, dict) or not found
        return {key: json.loads(body) for key, body in dict(found).items()}

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """What systemd says about a unit."""
        said = self.machine.says("systemctl", "show", f"--property={','.join(properties)}", unit)
        return dict(line.partition("=")[::2] for line in said.splitlines())

    def state(self, unit: str) -> str:
        """Whether a unit is active, inactive, failed, or on its way there."""
        return self.show(unit, "ActiveState")["ActiveState"]

    def pid(self, name: str) -> int:
        """The main process of a daemon; 0 if it does not run."""
        return int(self.show(f"raspy-{name}.service", "MainPID")["MainPID"])

    def up(self, *names: str) -> bool:
        """Whether these daemons all run."""
        units = [f"raspy-{name}.service" for name in names]
        said = self.machine.run("systemctl", "is-active", *units, check=False).stdout.split()
        return said == ["active"] * len(names)

    def wait_up(self, *names: str, timeout_s: float = READY_S) -> float:
        """Wait until these daemons run; returns how long that took, in seconds."""
        started = time.monotonic()
        self.machine.wait(lambda: self.up(*names), f"{', '.join(names)} to run", timeout_s)
        return time.monotonic() - started

    def answers(self, *names: str) -> list[str]:
        """Those of the daemons that answer, on the bus or, the dashboard, a browser."""
        return [name for name in names if (self.page() if name == "web" else self._asked(name))]

    def _asked(self, name: str) -> bool:
        return self.ask(f"HOST.{name}.mmi", "status")[-1:] == ["200"]

    def page(self, url: str = DASHBOARD) -> str:
        """Address, status, type and title of the page that a browser ends at; empty without an answer."""
        return self.machine.run("/usr/bin/python3", f"{INSIDE}/page.py", url, check=False).stdout.strip()

    def forget_failures(self) -> None:
        """Let every unit be started afresh, as if it had never been started before."""
        self.machine.run("systemctl", "reset-failed", check=False)

    def lines(self, *arguments: str) -> list[str]:
        """The messages that journalctl finds."""
        return self.machine.journal("--output=cat", *arguments)


def figure(text: str, pattern: str) -> float:
    """The first number that a pattern finds in a text.

    Raises:
        ValueError: it finds none.
    """
    found = re.search(pattern, text)
    if not found:
        raise ValueError(f"no {pattern} in: {text[-300:]}")
    return float(found[1])
