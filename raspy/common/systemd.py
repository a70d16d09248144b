# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd gives a daemon: notification, passed sockets, the watchdog's interval, the journal.

Outside systemd every function here does nothing, and python3-systemd is not even imported.

Source: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3), systemd.exec(5) on JOURNAL_STREAM.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# How long READY=1 may wait for the service manager to read, in seconds. Nothing else waits: it is said again,
# or not needed.
NOTIFY_S = 1.0


def notify(**fields: str) -> bool:
    """Tell the service manager, as ``notify(READY="1", STATUS="4 services")``.

    Args:
        fields: assignments of sd_notify(3); line breaks in a value become spaces.

    Returns:
        Whether there is a service manager that was told.
    """
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return False
    message = "\n".join(f"{name}={' '.join(value.splitlines())}" for name, value in fields.items())
    # Not python3-systemd's notify: that waits without end, and holds the interpreter, when nobody reads.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.settimeout(NOTIFY_S if "READY" in fields else 0)
        try:
            # Connected, or poll(2) calls it writable while the queue is full, and a wait would spin.
            sender.connect("\0" + path[1:] if path.startswith("@") else path)
            sender.send(message.encode())
        except OSError:
            # The service manager's socket has gone: no reason for a daemon to stop its work.
            return False
    return True


def passed_sockets() -> dict[str, int]:
    """The listening sockets that this process was started with; each part of a daemon may ask for its own.

    Returns:
        Descriptor by name (``FileDescriptorName=`` of the socket unit); empty when started by hand.
    """
    if not os.environ.get("LISTEN_FDS"):
        return {}
    from systemd import daemon

    return {name: fd for fd, name in daemon.listen_fds_with_names(unset_environment=False).items()}


def passed_as(name: str) -> list[int]:
    """The listening sockets of one socket unit, which share its ``FileDescriptorName=``, in its order."""
    if not os.environ.get("LISTEN_FDS"):
        return []
    from systemd import daemon

    listening = daemon.listen_fds_with_names(unset_environment=False)
    return sorted(fd for fd, passed in listening.items() if passed == name)


def watchdog_s() -> float | None:
    """The time within which the service manager wants ``WATCHDOG=1``, in seconds; None if it does not."""
    usec = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", "")
    if not usec.isdigit() or int(usec) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(usec) / 1e6


def boot_id(path: Path = BOOT_ID) -> str:
    """Which boot of the machine this is, random(4); an empty text where nobody says.

    A confined unit does not see the kernel's file (``ProcSubset=pid``), so it is told:
    ``Environment=RASPY_BOOT_ID=%b`` (systemd.unit(5)), which has no dashes.
    """
    told = os.environ.get("RASPY_BOOT_ID", "")
    if told:
        return told
    try:
        return path.read_text(encoding="ascii").strip().replace("-", "")
    except (OSError, ValueError):
        return ""


def under_journal() -> bool:
    """Whether standard error goes to the journal, so that lines can carry fields there."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    if not (device.isdigit() and inode.isdigit()):
        return False
    try:
        stderr = os.fstat(2)
    except OSError:
        return False
    return (stderr.st_dev, stderr.st_ino) == (int(device), int(inode))
