# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test must not leave behind: ZeroMQ contexts and sockets, threads, processes, open sockets."""

from __future__ import annotations

import ctypes
import os
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

PR_SET_CHILD_SUBREAPER = 36
GRACE_S = 3
"""What is on its way out (a thread after its last statement, a process after SIGTERM) gets this long."""

_contexts: weakref.WeakSet[Any] = weakref.WeakSet()
_sockets: weakref.WeakSet[Any] = weakref.WeakSet()


def _tracked(original: Callable[..., None], living: weakref.WeakSet[Any]) -> Callable[..., None]:
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        living.add(self)

    return init


def install() -> None:
    """Begin to track; called once, before any test module is imported.

    The orphans of a child become our own children, so that a grandchild that outlives its parent is seen.
    """
    zmq.Context.__init__ = _tracked(zmq.Context.__init__, _contexts)  # type: ignore[method-assign]
    zmq.Socket.__init__ = _tracked(zmq.Socket.__init__, _sockets)  # type: ignore[method-assign]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> set[int]:
    """The process ids of our children, orphans of theirs included."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        try:
            found.update(map(int, (task / "children").read_text().split()))
        except FileNotFoundError:
            continue  # a thread that ended while we looked
    return found


def alive(pid: int) -> bool:
    """Whether the process runs: an orphan of a killed parent that has ended counts as ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def open_sockets() -> set[str]:
    """The sockets among our file descriptors, as ``socket:[inode]``."""
    found: set[str] = set()
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except FileNotFoundError:
            continue  # the descriptor of the listing itself
        if target.startswith("socket:"):
            found.add(target)
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except FileNotFoundError:
        return ""


def _reap(pids: set[int]) -> set[int]:
    """Collect those that have ended (nobody else will: their parent is gone); return the others."""
    running: set[int] = set()
    for pid in pids:
        try:
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                running.add(pid)
        except ChildProcessError:
            continue
    return running


class Snapshot:
    """What was open at the start of a test."""

    def __init__(self) -> None:
        """Look around."""
        self.contexts = set(_contexts)
        self.zmq_sockets = set(_sockets)
        self.threads = set(threading.enumerate())
        self.children = children()
        self.descriptors = open_sockets()

    def leaks(self) -> list[str]:
        """What has come since and is still there after a short grace, a line each."""
        deadline = time.monotonic() + GRACE_S
        while (found := self._compare()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return found

    def _compare(self) -> list[str]:
        zmq_sockets = [s for s in set(_sockets) - self.zmq_sockets if not s.closed]
        contexts = [c for c in set(_contexts) - self.contexts if not c.closed]
        threads = [t for t in set(threading.enumerate()) - self.threads if t.is_alive()]
        found = [f"ZeroMQ socket {s!r}" for s in zmq_sockets]
        found += [f"ZeroMQ context {c!r}" for c in contexts]
        found += [f"thread {t.name}" for t in threads]
        found += [f"process {pid}: {_command(pid)}" for pid in sorted(_reap(children() - self.children))]
        if not found:
            found = [f"open {name}" for name in sorted(open_sockets() - self.descriptors)]
        return found
