# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian that is booted with systemd in a container, on a throw-away copy of a cached root.

What is written goes to a tmpfs over the root (overlayfs), so a start costs no copying, and a reboot keeps it.
The container has no network, and a cgroup of its own, so that several run at a time.

Source: systemd-nspawn(1), nsenter(1), Linux Documentation/filesystems/overlayfs.rst, cgroups(7).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from tests.support.waiting import wait_for

# Inside, a command knows nothing of the environment outside.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "SYSTEMD_COLORS": "0",
    "SYSTEMD_PAGER": "",
}
# For IPAddressDeny= and PrivateNetwork= to be in force in the container, as they are on a real machine.
POWERS = ("--capability=CAP_NET_ADMIN,CAP_BPF", "--system-call-filter=bpf")

BOOT_S = 120.0
# How systemd-nspawn --keep-unit ends when the container reboots: whoever started it shall do so again.
REBOOT = 133
COMMAND_S = 120.0
# Looking into the container is a process each time.
LOOK_S = 0.2

T = TypeVar("T")


class CommandFailed(AssertionError):
    """A command in the container ended with a status that is not 0."""


def cgroup_mount() -> Path:
    """Where the unified hierarchy of control groups is mounted."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, source = line.partition(" - ")
        if source.startswith("cgroup2 "):
            return Path(fields.split()[4])
    raise RuntimeError("this machine has no unified cgroup hierarchy (cgroup2), which a booted Debian needs")


class Machine:
    """One container.

    Args:
        name: of the suite, for messages.
        root: the cached root, which is only read.
        work: an empty folder on a tmpfs, for what is written.
        binds: folders to show inside, read-only: place inside -> place outside.
    """

    def __init__(self, name: str, root: Path, work: Path, binds: Mapping[str, Path]) -> None:
        self.name = name
        self.work = work
        self.console = work / "console"
        self._root = root
        self._binds = binds
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._cgroup = cgroup_mount() / f"raspy-system-{name}-{os.getpid()}"

    def __enter__(self) -> Machine:
        for folder in ("upper", "overlay", "root"):
            (self.work / folder).mkdir()
        options = f"lowerdir={self._root},upperdir={self.work}/upper,workdir={self.work}/overlay"
        subprocess.run(["mount", "-t", "overlay", "raspy", "-o", options, self.work / "root"], check=True)
        self._cgroup.mkdir()
        try:
            self._start()
            self.wait_booted()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        command = [
            "systemd-nspawn",
            "-q",
            "-b",
            "-D",
            str(self.work / "root"),
            f"--machine={self._cgroup.name}",
            f"--hostname={self.name}",
            "--register=no",
            "--keep-unit",
            "--private-network",
            "--resolv-conf=off",
            "--console=pipe",
            "--suppress-sync=yes",
            *POWERS,
            *(f"--bind-ro={outside}:{inside}" for inside, outside in self._binds.items()),
        ]
        # setpriv: should this process be killed, the container goes with it.
        join = f'echo $$ > {self._cgroup}/cgroup.procs && exec setpriv --pdeathsig KILL "$@"'
        environment = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        with self.console.open("ab") as console:
            self._nspawn = subprocess.Popen(
                ["/bin/sh", "-c", join, "sh", *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )

    def __exit__(self, *_: object) -> None:
        # All of its processes at once: nobody waits for an orderly end of what is thrown away.
        (self._cgroup / "cgroup.kill").write_text("1")
        if self._nspawn is not None:
            self._nspawn.wait(30)
        wait_for(
            lambda: "populated 0" in (self._cgroup / "cgroup.events").read_text(), 30, "the container's end"
        )
        for folder in sorted((f for f in self._cgroup.rglob("*") if f.is_dir()), reverse=True):
            folder.rmdir()
        self._cgroup.rmdir()
        subprocess.run(["umount", "--lazy", self.work / "root"], check=True)
        # What systemd-nspawn leaves where /run is no tmpfs.
        shutil.rmtree(f"/run/systemd/nspawn/propagate/{self._cgroup.name}", ignore_errors=True)

    def _leader(self) -> int | None:
        """The container's first process, as seen from outside."""
        assert self._nspawn is not None
        if self._nspawn.poll() is not None:
            raise AssertionError(
                f"the container has ended:\n{self.console.read_text(errors='replace')[-3000:]}"
            )
        pid = self._nspawn.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else None

    def entered(self) -> bool:
        """Whether a command can be run in it: some moments after its start."""
        if self._leader() is None:
            return False
        return self.run("systemctl", "is-system-running", check=False).stdout.strip() not in ("", "offline")

    def wait_booted(self) -> None:
        """Wait until systemd has started everything."""

        def booted() -> bool:
            if self._leader() is None:
                return False
            state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
            return state in ("running", "degraded")

        self.wait(booted, "the boot", BOOT_S)

    def reboot(self) -> None:
        """Restart the machine, as its user would; returns when it is down and starts again."""
        assert self._nspawn is not None
        self.run("systemctl", "reboot", check=False)
        status = self._nspawn.wait(BOOT_S)
        if status != REBOOT:
            raise AssertionError(f"{self.name} ended with status {status} instead of a reboot")
        self._start()

    def run(
        self, *command: str, check: bool = True, stdin: str | None = None, timeout_s: float = COMMAND_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the container, as root.

        Raises:
            CommandFailed: its status is not 0, unless `check` is false.
        """
        leader = self._leader()
        arguments = ["nsenter", "-t", str(leader), "-a", "--", *command]
        try:
            done = subprocess.run(
                arguments,
                env=ENVIRONMENT,
                input=stdin,
                text=True,
                capture_output=True,
                errors="replace",
                timeout=timeout_s,
                stdin=subprocess.DEVNULL if stdin is None else None,
            )
        except subprocess.TimeoutExpired as late:
            raise CommandFailed(f"{' '.join(command)[:300]}: not done within {timeout_s:g} s") from late
        if check and done.returncode:
            said = (done.stdout + done.stderr).strip()[-3000:]
            raise CommandFailed(f"{' '.join(command)[:300]}: status {done.returncode}\n{said}")
        return done

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command in the container that goes on beside what follows; the caller ends it."""
        arguments = ["nsenter", "-t", str(self._leader()), "-a", "--", *command]
        return subprocess.Popen(
            arguments,
            env=ENVIRONMENT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    @property
    def hostname(self) -> str:
        """The machine's own name, which is its name on the bus."""
        return self.says("hostname")

    def says(self, *command: str) -> str:
        """What a command prints, without the last line's end."""
        return self.run(*command).stdout.strip()

    def write(self, path: str, text: str) -> None:
        """Write a file in the container."""
        self.run("/bin/sh", "-c", 'mkdir -p "$(dirname "$0")" && cat > "$0"', path, stdin=text)

    def wait(self, predicate: Callable[[], T], what: str, timeout_s: float = 60) -> T:
        """Wait for something in the container.

        Raises:
            AssertionError: it did not come within `timeout_s`.
        """

        def patient() -> T:
            result = predicate()
            if not result:
                time.sleep(LOOK_S)
            return result

        return wait_for(patient, timeout_s, f"{what} ({self.name})")

    def journal(self, *arguments: str) -> list[str]:
        """The lines that journalctl finds."""
        return self.run("journalctl", "--no-pager", "-q", *arguments, check=False).stdout.splitlines()

    def kill(self, name: str, number: signal.Signals) -> None:
        """Send a signal to the main process of a unit."""
        # It may have ended by itself meanwhile.
        self.run("systemctl", "kill", f"--signal={number.name}", "--kill-whom=main", name, check=False)
