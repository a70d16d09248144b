# SPDX-License-Identifier: GPL-3.0-or-later
"""Get a process for a scenario: from systemd through a socket where that is there, else a subprocess.

``/run/raspy/scenario.sock`` is a socket unit with Accept=yes: each connection starts one confined
``raspy-scenario@.service`` with the connection as its standard input (or descriptor 3). Without it, in
the foreground stack, the same program is a child of core, which confines itself.

Either way the process gets, with its first message, the reading end of a pipe, the lifeline: when core
closes the other end, or dies, the kernel kills the process.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import raspy

# -I: neither the environment nor the current folder have a say in what it imports.
PROGRAM = (
    "import os, sys; sys.path.insert(0, sys.argv[1]);"
    " from raspy.servers.core.sandbox.child import main; os._exit(main())"
)
ROOT = Path(raspy.__file__).resolve().parent.parent
# All it needs of the environment.
KEEP = ("LANG", "LC_ALL", "LC_CTYPE", "TZ")


class Launched(NamedTuple):
    """A process that was started.

    Args:
        connection: to it; does not block.
        lifeline: the writing end; closing it kills the process.
        process: the subprocess; None when systemd has it.
        unsent: how many bytes of the first message found no room yet.
    """

    connection: socket.socket
    lifeline: int
    process: subprocess.Popen[bytes] | None
    unsent: int


def launch(path: Path | None, job: bytes) -> Launched:
    """Start a process and send it its job.

    Args:
        path: the socket that starts one for each connection; a subprocess if it does not exist.
        job: the first message.

    Raises:
        OSError: it can't be started.
    """
    theirs, lifeline = os.pipe2(os.O_CLOEXEC)
    try:
        connection, process = _connect(path) if path is not None and path.exists() else _spawn()
        try:
            sent = socket.send_fds(connection, [job], [theirs])
        except OSError:
            connection.close()
            if process is not None:
                process.kill()
                _reap(process)
            raise
    except OSError:
        os.close(lifeline)
        raise
    finally:
        os.close(theirs)
    return Launched(connection, lifeline, process, len(job) - sent)


def _connect(path: Path) -> tuple[socket.socket, None]:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Not blocking: if systemd is so busy that its queue is full, the scenario waits, not core.
        connection.setblocking(False)
        connection.connect(str(path))
    except OSError:
        connection.close()
        raise
    return connection, None


def _spawn() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    ours, theirs = socket.socketpair()
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", PROGRAM, str(ROOT)],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            env={name: os.environ[name] for name in KEEP if name in os.environ},
            start_new_session=True,
        )
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    ours.setblocking(False)
    return ours, process


def _reap(process: subprocess.Popen[bytes]) -> None:
    process.wait()
    if process.stderr is not None:
        process.stderr.close()
