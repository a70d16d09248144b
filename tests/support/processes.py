# SPDX-License-Identifier: GPL-3.0-or-later
"""Daemons as child processes of a test: started with the measured interpreter, ended with the test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from .notify import NotifyReceiver
from .waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
COVERAGE_SITE = ROOT / "tests" / "coverage_site"
STOP_S = 15
"""How long a child may take to end after SIGTERM."""

START_S = 60
"""How long a child may take until READY=1 (two cores, a full test run and others beside it)."""

# A daemon of a test is not the one that a service manager around the test run is waiting for.
FOREIGN = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "JOURNAL_STREAM",
    "INVOCATION_ID",
    "STATE_DIRECTORY",
    "RUNTIME_DIRECTORY",
    "CONFIGURATION_DIRECTORY",
)


def child_env(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a child: the tree and the coverage hook on its path, its own home in `home`."""
    env = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    env["PYTHONPATH"] = f"{COVERAGE_SITE}:{ROOT}"
    env["PYTHONUNBUFFERED"] = "1"
    env["HOME"] = str(home)
    env["XDG_STATE_HOME"] = str(home / "state")
    env["XDG_RUNTIME_DIR"] = str(home)
    env.update(extra or {})
    return env


class Child:
    """One running Python module; its stdout and stderr go to one file."""

    def __init__(
        self,
        name: str,
        args: list[str],
        env: dict[str, str],
        cwd: Path,
        log: Path,
        notify: NotifyReceiver | None = None,
    ):
        """Start the command line `args`; `name` is for messages."""
        self.name = name
        self.log = log
        self.notify = notify
        self.examined = False
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                args, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        self.pid = self.process.pid

    @property
    def running(self) -> bool:
        """False once it has ended."""
        return self.process.poll() is None

    @property
    def output(self) -> str:
        """What it has printed so far, stdout and stderr together."""
        return self.log.read_text(errors="replace")

    def wait_output(self, text: str, timeout_s: float = 10) -> str:
        """Wait until it has printed `text`; return everything it printed."""
        wait_for(lambda: text in self.output or not self.running, timeout_s, f"{text!r} from {self.name}")
        output = self.output
        assert text in output, f"{self.name} ended without printing {text!r}:\n{output}"
        return output

    def wait_ready(self, timeout_s: float = START_S) -> Child:
        """Wait for its READY=1, failing at once with its output when it ends instead."""
        assert self.notify is not None, "started without a notify socket"
        deadline = time.monotonic() + timeout_s
        while "READY=1" not in self.notify.lines:
            self.notify.receive(0.05)
            ended = not self.running and "READY=1" not in self.notify.lines
            if ended or time.monotonic() > deadline:
                why = f"ended with {self.process.returncode}" if ended else f"not ready in {timeout_s:g} s"
                raise AssertionError(f"{self.name}: {why}; it printed:\n{self.output}")
        return self

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self, timeout_s: float = STOP_S) -> int:
        """Wait until it ends by itself; return its exit status (negative: the signal)."""
        self.examined = True
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} has not ended in {timeout_s:g} s:\n{self.output}") from None

    def stop(self, timeout_s: float = STOP_S) -> int:
        """Send SIGTERM and wait; return the exit status."""
        if self.running:
            self.signal(signal.SIGTERM)
        return self.wait(timeout_s)

    def kill(self) -> None:
        """SIGKILL it, as the kernel would for want of memory."""
        self.examined = True
        self.process.kill()
        self.process.wait()


class Processes:
    """The children of one test."""

    def __init__(self, home: Path):
        """Keep their outputs and sockets in `home`."""
        self.home = home
        self.children: list[Child] = []

    def start(
        self,
        module: str,
        *args: object,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        notify: NotifyReceiver | None = None,
    ) -> Child:
        """Start ``python3 -m module args...`` and return at once.

        :param env: added to its environment.
        :param notify: the receiver of its notifications; see also `start_ready()`.
        """
        command = [sys.executable, "-m", module, *map(str, args)]
        return self.start_command(module, command, env=env, cwd=cwd, notify=notify)

    def start_command(
        self,
        name: str,
        command: list[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        notify: NotifyReceiver | None = None,
    ) -> Child:
        """Start any command line, otherwise like `start()`."""
        full = child_env(self.home, {**(notify.env if notify else {}), **(env or {})})
        log = self.home / f"out.{len(self.children)}"
        child = Child(name, command, full, cwd or self.home, log, notify)
        self.children.append(child)
        return child

    def start_ready(
        self,
        module: str,
        *args: object,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout_s: float = START_S,
    ) -> Child:
        """Like `start()`, with a notify socket of its own (`child.notify`); return when it is ready."""
        notify = NotifyReceiver(self.home / f"notify.{len(self.children)}")
        return self.start(module, *args, env=env, cwd=cwd, notify=notify).wait_ready(timeout_s)

    def close(self) -> list[str]:
        """End what still runs, the last started first; return what was wrong, a line each.

        Wrong is: a child that needs SIGKILL, and one that the test has not waited for and that ended
        with anything but 0 or by our SIGTERM (which may reach it before its handler is there).
        """
        wrong: list[str] = []
        for child in reversed(self.children):
            if child.running:
                child.signal(signal.SIGTERM)
            try:
                status = child.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                wrong.append(f"{child.name} did not end within {STOP_S} s of SIGTERM")
                child.kill()
            else:
                if not child.examined and status not in (0, -signal.SIGTERM):
                    wrong.append(f"{child.name} ended with status {status}")
            if child.notify is not None:
                child.notify.close()
            output = child.output
            if output:
                print(f"----- {child.name} (pid {child.pid}) printed:\n{output}")
        return wrong
