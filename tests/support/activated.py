# SPDX-License-Identifier: GPL-3.0-or-later
"""The service manager's part of socket activation: listen, then become the daemon (sd_listen_fds(3))."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from .notify import NotifyReceiver
from .processes import Child, Processes

LAUNCHER = """
import fcntl, json, os, select, socket, sys

names, command = json.loads(sys.argv[1]), sys.argv[3:]
listening = []
for where in names.values():
    if where.startswith("/"):
        one = socket.socket(socket.AF_UNIX)
        one.bind(where)
    else:
        one = socket.create_server((where.rpartition(":")[0], int(where.rpartition(":")[2])))
    one.listen(16)
    listening.append(one)
print("listening", flush=True)
if sys.argv[2] == "first":
    select.select(listening, [], [])
    print("woken", flush=True)
high = [fcntl.fcntl(one.fileno(), fcntl.F_DUPFD_CLOEXEC, 100) for one in listening]
for number, descriptor in enumerate(high, 3):
    os.dup2(descriptor, number)
called = ":".join(name.split()[0] for name in names)
os.environ.update(LISTEN_FDS=str(len(high)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=called)
os.execv(command[0], command)
"""


def start(
    processes: Processes, sockets: Mapping[str, str], module: str, *arguments: object, at_first: bool = False
) -> Child:
    """Start a module with listening sockets that it did not make itself.

    :param sockets: where each listens (a path, or `host:port`), by its name (FileDescriptorName=; what stands
        after a blank in it is not passed on, so that several can have one name).
    :param at_first: start it only when somebody connects; the child has printed `listening` before.
    :return: the child, with a receiver of its notifications; it may not be ready yet.
    """
    notify = NotifyReceiver(processes.home / f"notify.{len(processes.children)}")
    when = "first" if at_first else "now"
    launch = [sys.executable, "-c", LAUNCHER, json.dumps(dict(sockets)), when]
    command = [*launch, sys.executable, "-m", module, *map(str, arguments)]
    return processes.start_command(module, command, notify=notify)
