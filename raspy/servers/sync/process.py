# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one program, watching it: bounded output, a time limit, and ended whole when nobody wants it."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

TICK_S = 0.5  # the caller's tick runs at least this often
LINES = 20  # so many last lines of standard error are kept
LINE_MAX = 500  # characters
OUTPUT_MAX = 65536  # bytes of standard output that are kept, the last ones
TERM_S = 2.0  # from SIGTERM to SIGKILL; rsync waits longer for a remote that may never answer

#: What the programs see; PATH since none of them may come from elsewhere.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


class Stopped(Exception):
    """Raised by a tick to end the program."""


class Finished(NamedTuple):
    """How a program ended.

    Attributes:
        status: exit status; negative: the signal that killed it.
        output: the last of its standard output.
        errors: the last lines of its standard error.
        timed_out: the time limit ended it.
    """

    status: int
    output: str
    errors: list[str]
    timed_out: bool


class _Lines:
    """The last lines of a stream of bytes."""

    def __init__(self) -> None:
        self._kept: deque[str] = deque(maxlen=LINES)
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-LINE_MAX:]
        for line in lines:
            self._keep(line)

    def _keep(self, line: bytes) -> None:
        text = "".join(c if c.isprintable() else "?" for c in line.decode("utf-8", "replace").strip())
        if text:
            self._kept.append(text[:LINE_MAX])

    def all(self) -> list[str]:
        self._keep(self._rest)
        self._rest = b""
        return list(self._kept)


def run(
    command: Sequence[str],
    *,
    limit_s: float,
    tick: Callable[[], None] = lambda: None,
    on_output: Callable[[bytes], None] = lambda data: None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Finished:
    """Run a program to its end, without a shell and in a session of its own.

    Args:
        command: the program and its arguments.
        limit_s: it is ended after so many seconds.
        tick: called at least every half second; an exception from it ends the program and passes on.
        on_output: called with each piece of its standard output.
        cwd: the folder it runs in.
        env: added to `ENVIRONMENT`.

    Raises:
        OSError: it could not be started.
        Stopped: from *tick*.
    """
    deadline = time.monotonic() + limit_s
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        cwd=cwd, env={**ENVIRONMENT, **(env or {})}, start_new_session=True,
    )  # fmt: skip
    output = bytearray()
    errors = _Lines()
    timed_out = False

    def take(data: bytes) -> None:
        output.extend(data)
        del output[:-OUTPUT_MAX]
        on_output(data)

    assert process.stdout is not None and process.stderr is not None
    with process.stdout as stdout, process.stderr as stderr, selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ, take)
        selector.register(stderr, selectors.EVENT_READ, errors.feed)
        try:
            while selector.get_map():
                tick()
                if time.monotonic() > deadline:
                    timed_out = True
                    break
                for key, _ in selector.select(TICK_S):
                    data = os.read(key.fd, 65536)
                    if data:
                        key.data(data)
                    else:
                        selector.unregister(key.fileobj)
        finally:
            status = _end(process, not selector.get_map())
    return Finished(status, output.decode("utf-8", "replace"), errors.all(), timed_out)


def _end(process: subprocess.Popen[bytes], done: bool) -> int:
    """Collect the process; one that is not done is ended with all that it started."""
    if done:
        try:
            return process.wait(TICK_S)
        except subprocess.TimeoutExpired:
            pass  # it closed its output, and goes on
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            pass
        try:
            return process.wait(TERM_S)
        except subprocess.TimeoutExpired:
            continue
    return process.wait()
