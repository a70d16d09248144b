# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the whole stack in the foreground, in one process tree, with its state in one folder."""

from __future__ import annotations

import argparse
import fcntl
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TextIO

import raspy
from raspy.common import config
from raspy.common.address import BrokerAddress
from raspy.common.config import ConfigError
from raspy.common.daemon import EX_CONFIG, user_state_folder
from raspy.common.journal import LEVELS
from raspy.common.stop import StopEvent
from raspy.stack.child import Child
from raspy.stack.notifications import Notifications
from raspy.stack.values import Values

# In the order of their start; each needs at most those before it.
SERVERS = ("broker", "titanic", "host", "fake", "onewire", "logger", "core", "sync", "web")
# The module that runs a server, where it is not raspy.servers.NAME.
MODULES = {"web": "raspyweb.run"}
# How long the stack waits for one server to become ready before it starts the next, in seconds.
READY_S = 20.0
# How long all servers together get to stop, in seconds.
STOP_S = 8.0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python3 -m raspy",
        description="Run RasPy in the foreground. Ctrl-C stops it.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"RasPy {raspy.__version__}")
    parser.add_argument(
        "--state", type=Path, metavar="DIR", help=f"folder of its state ({user_state_folder()})"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help=f"configuration ({config.DEFAULT_FILE})")
    parser.add_argument(
        "--listen",
        metavar="URL",
        help="also listen at tcp://127.0.0.1:5514, or with keys only at tcp://*:5514",
    )
    parser.add_argument("--only", metavar="A,B", help=f"only these servers, of {', '.join(available())}")
    parser.add_argument("--log-level", choices=LEVELS, help="least level that is logged")
    return parser.parse_args(argv)


def available() -> list[str]:
    """The servers that are installed, in the order of their start."""
    return [name for name in SERVERS if _is_installed(module_of(name))]


def module_of(name: str) -> str:
    """The module that runs a server."""
    return MODULES.get(name, f"raspy.servers.{name}")


def _is_installed(module: str) -> bool:
    # The dashboard is a Debian package of its own.
    return find_spec(module.partition(".")[0]) is not None and find_spec(module) is not None


class Stack:
    """The servers, and the loop that watches them.

    Args:
        names: which servers.
        state: the folder of their state.
        arguments: what every server gets on its command line.
        listen: a further address for the broker, or empty.
    """

    def __init__(self, names: Sequence[str], state: Path, arguments: Sequence[str], listen: str) -> None:
        self.state = state
        self.broker = f"ipc://{state}/run"
        self._stopping = StopEvent()
        self._values: Values | None = None
        self._notifications = Notifications(state / "run" / "notify.sock")
        self.children = [self._child(name, arguments, listen) for name in names]

    def _child(self, name: str, arguments: Sequence[str], listen: str) -> Child:
        command = ["--broker", self.broker, "--data-dir", str(self.state / name), *arguments]
        if name == "broker":
            command += ["--set", f"authorized_keys={self.state / 'authorized_keys.d'}"]
            command += ["--set", f"listen={listen}"] if listen else []
        return Child(name, module_of(name), command, self._notifications.path)

    def run(self) -> int:
        """Start, watch, stop; return the exit status."""
        try:
            return self._run()
        except BrokenPipeError:
            # Nobody reads any more ("make run | head"): the same as Ctrl-C, and nothing more is said.
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
            return 0
        finally:
            self._stop_all()

    def _run(self) -> int:
        for child in self.children:
            child.start()
            self._watch(child, READY_S)
            if self._stopping.is_set() or self._hopeless():
                break
        else:
            self._tell_where_to_go()
            self._values = Values(self.broker)
            self._watch(None, None)
        return self._hopeless()

    def _hopeless(self) -> int:
        """The exit status when it makes no sense to go on: the configuration is wrong, or the bus is gone."""
        for child in self.children:
            if child.failed and (child.misconfigured or child is self.children[0]):
                return EX_CONFIG if child.misconfigured else 1
        return 0

    def _watch(self, awaited: Child | None, timeout_s: float | None) -> None:
        """Look after the children until *awaited* is ready, the time is up, or the stack is to stop."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        poll = select.poll()
        poll.register(self._notifications.fileno(), select.POLLIN)
        poll.register(self._stopping.fileno(), select.POLLIN)
        while not self._stopping.is_set() and not self._hopeless():
            if awaited is not None and (awaited.ready or awaited.failed):
                return
            if deadline is not None and time.monotonic() > deadline:
                return
            poll.poll(200)
            self._listen()
            self._look()
            for line in self._values.news() if self._values else ():
                print(line, flush=True)

    def _listen(self) -> None:
        while (notification := self._notifications.receive()) is not None:
            pid, fields = notification
            for child in self.children:
                if child.pid == pid and child.heard(fields):
                    say(child.name, child.status or "running")
                    self._tell_first_visit(child)

    def _look(self) -> None:
        for child in self.children:
            news = child.look()
            if news:
                say(child.name, news)
            if child.restart_at is not None and time.monotonic() >= child.restart_at:
                child.start()

    def _tell_where_to_go(self) -> None:
        print(
            f"\nRasPy {raspy.__version__} runs. Ctrl-C stops it.\n"
            f"Its state is in {self.state}, its broker at {self.broker}.\n"
            "README.md says what to do next. The values of all devices, as they change:\n",
            flush=True,
        )

    def _tell_first_visit(self, child: Child) -> None:
        """Once the dashboard is up: what its first visitor has to know, as a link."""
        url = child.status.partition(" ")[0]
        if child.name != "web" or not url.startswith("http"):
            return
        from raspyweb.accounts import Accounts

        token = Accounts(self.state / "web").first_visit_token()
        if token is not None:
            say("", f"its first visitor needs the one-time token: {url}first-visit?token={token}")

    def shutdown(self) -> None:
        """End ``run``; from a signal handler or any thread."""
        self._stopping.set()

    def _stop_all(self) -> None:
        """Stop them in the reverse order of their start, all within ``STOP_S``."""
        print("stopping", flush=True)
        if self._values is not None:
            self._values.close()
        deadline = time.monotonic() + STOP_S
        for child in reversed(self.children):
            child.stop()
            if not child.wait(max(0.5, deadline - time.monotonic())):
                say(child.name, "did not end in time and was killed")

    def close(self) -> None:
        """Leave nothing behind but the state."""
        self._notifications.close()
        self._stopping.close()


def say(name: str, text: str) -> None:
    """A line about one server."""
    print(f"{name:>9}  {text}", flush=True)


def claim(state: Path) -> TextIO:
    """Make the state folder and claim it for this process.

    Raises:
        ConfigError: another stack has it, it can't be made, or its path is too long for unix sockets.
    """
    try:
        BrokerAddress.parse(f"ipc://{state}/run")
        state.mkdir(parents=True, exist_ok=True, mode=0o750)
        lock = open(state / "lock", "w")  # noqa: SIM115 - held open while the process lives
    except ValueError as error:
        raise ConfigError(str(error)) from error
    except OSError as error:
        raise ConfigError(
            f"state folder {state}: {error.strerror}; choose another one with --state"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise ConfigError(
            f"state folder {state}: another RasPy is running on it; stop that one,"
            " or choose another with --state"
        ) from None
    return lock


def choose(only: str | None) -> list[str]:
    """The servers to run, in the order of their start.

    Raises:
        ConfigError: there is no such server.
    """
    names = available()
    if only is None:
        return names
    wanted = {name.strip() for name in only.split(",") if name.strip()}
    unknown = sorted(wanted - set(names))
    if unknown or not wanted:
        raise ConfigError(f"--only {only}: no server {', '.join(unknown)}; there are {', '.join(names)}")
    return [name for name in names if name in wanted]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stack until Ctrl-C or SIGTERM.

    Returns:
        0 after a requested end, 1 when every server failed, 78 (EX_CONFIG) when the command line or the
        configuration is wrong.
    """
    arguments = parse(argv)
    state = (arguments.state or user_state_folder()).absolute()
    try:
        names = choose(arguments.only)
        if arguments.listen:
            BrokerAddress.parse(arguments.listen)
        lock = claim(state)
    except (ConfigError, ValueError) as error:
        sys.stderr.write(f"raspy: {error}\n")
        return EX_CONFIG
    with lock:
        return _run(names, state, arguments)


def _run(names: Sequence[str], state: Path, arguments: argparse.Namespace) -> int:
    run_folder = state / "run"
    run_folder.mkdir(mode=0o750, exist_ok=True)
    common = []
    if arguments.config:
        common += ["--config", str(arguments.config.absolute())]
    if arguments.log_level:
        common += ["--log-level", arguments.log_level]
    stack = Stack(names, state, common, arguments.listen or "")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stack.shutdown())
    try:
        return stack.run()
    finally:
        stack.close()
        for leftover in run_folder.glob("*.sock"):
            leftover.unlink()
