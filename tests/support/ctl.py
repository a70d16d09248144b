# SPDX-License-Identifier: GPL-3.0-or-later
"""raspyctl for a test: run in the test's own process, as a child, or as a child on a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from raspy.common.mdcliapi import MajorDomoClient
from raspy.ctl.__main__ import main

from .broker import HOSTNAME, RunningBroker
from .processes import Processes, child_env

WAIT_S = 30
_ESCAPES = re.compile(rb"\x1b(\[[0-9;?]*[a-zA-Z]|[()][A-Z0-9]|[=>])")

# Polled so seldom that on a busy machine its value does not turn stale between two polls.
TANK = {"oid": "sensor.temperature.tank", "name": "tank", "poll": 5, "config": {"speed": 60}}
HEATER = {"oid": "switch.relay", "name": "heater", "config": {"heats": "tank", "safe": False}}
LAMP = {"oid": "light.dimmer", "name": "lamp", "config": {"safe": 0}}


class Result(NamedTuple):
    """What came of a run."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        """Its output as JSON; it must have gone well."""
        assert self.status == 0, self
        return json.loads(self.out)

    def rows(self) -> list[list[str]]:
        """The cells of a plain table, without its head."""
        assert self.status == 0, self
        return [re.split(r"\s{2,}", line.strip()) for line in self.out.splitlines()[1:]]


class Ctl:
    """Runs raspyctl in this process: ``ctl("get", "tank")``.

    :param home: HOME and state folder, so that nothing of the machine is found.
    """

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, home: Path):
        self._capsys = capsys
        self.home = home
        for name, value in child_env(home).items():
            if name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
                monkeypatch.setenv(name, value)
        monkeypatch.delenv("RASPY_BROKER", raising=False)
        monkeypatch.setenv("TZ", "UTC")
        time.tzset()
        self.monkeypatch = monkeypatch

    def use(self, url: str) -> Ctl:
        """From now on on this broker."""
        self.monkeypatch.setenv("RASPY_BROKER", url)
        return self

    def __call__(self, *words: object) -> Result:
        self._capsys.readouterr()
        status = main(["--timeout", str(WAIT_S), *map(str, words)])
        out, err = self._capsys.readouterr()
        return Result(status, out, err)


class CtlStack:
    """A broker and some servers, for the tests of a module.

    :param home: a folder with a short path.
    :param servers: those that are started, titanic first if it is among them.
    :param devices: those that fake gets.
    """

    def __init__(self, home: Path, *servers: str, devices: tuple[Mapping[str, Any], ...] = ()):
        self.processes = Processes(home)
        try:
            self.broker = RunningBroker(self.processes)
            self.url = self.broker.url
            for name in servers:
                self.broker.server(name)
            for device in devices:
                self.ask(f"{HOSTNAME}.fake.devices", "add", json.dumps(device))
        except BaseException:
            # What has started would disturb the tests of other modules.
            self.processes.close()
            raise

    def ask(self, service: str, *frames: str | bytes) -> list[bytes]:
        """A request that must go well."""
        with MajorDomoClient(self.url) as client:
            client.timeout, client.retries = WAIT_S * 500, 2
            return client.call(service, *frames)

    def close(self) -> None:
        """End everything.

        :raises AssertionError: when a process did not end as it should.
        """
        wrong = self.processes.close()
        assert not wrong, wrong


class Terminal:
    """raspyctl as a child on a terminal of its own.

    :param url: of the broker.
    :param words: its command line.
    """

    def __init__(self, url: str, home: Path, *words: str, columns: int = 100, lines: int = 30):
        self._leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.seen = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "raspy.ctl", *words],
            env=child_env(home, {"RASPY_BROKER": url, "TERM": "xterm-256color"}),
            stdin=follower, stdout=follower, stderr=follower, cwd=home, start_new_session=True,
            # So that Ctrl-C on the terminal reaches it, as it would from a shell.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(follower)

    def type(self, text: str) -> None:
        """Type something; ``\\x03`` is Ctrl-C."""
        os.write(self._leader, text.encode())

    @property
    def text(self) -> str:
        """What it has shown, without colours and cursor movements."""
        return _ESCAPES.sub(b"", self.seen).decode(errors="replace").replace("\r", "")

    def read(self, until: str = "") -> str:
        """What it shows until there is `until` in it; without that, until it ends."""
        deadline = time.monotonic() + WAIT_S
        while not until or until not in self.text:
            assert time.monotonic() < deadline, f"waited in vain for {until!r}; it showed:\n{self.text}"
            if not select.select([self._leader], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(self._leader, 65536)
            except OSError:  # EIO: the other end is closed
                data = b""
            self.seen += data
            if not data:
                assert not until or until in self.text, f"it ended without {until!r}:\n{self.text}"
                break
        return self.text

    def close(self) -> int:
        """Wait for its end; its exit status."""
        try:
            return self.process.wait(WAIT_S)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            os.close(self._leader)
