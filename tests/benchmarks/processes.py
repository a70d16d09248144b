# SPDX-License-Identifier: GPL-3.0-or-later
"""Daemons under measurement: started in a folder of their own, ended with it; CPU time and memory from /proc.

    with Room(options.transport) as room:
        broker = room.daemon("raspy.servers.broker", "--broker", room.broker.url)   # returns when READY=1
        before = broker.cpu_s()
        ...
        print(broker.cpu_s() - before, broker.pss_mib(), broker.start_s)
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

from raspy.common.address import BrokerAddress
from tests.support.notify import NotifyReceiver
from tests.support.processes import FOREIGN

ROOT = Path(__file__).resolve().parents[2]
READY_S = 30
STOP_S = 10
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Process:
    """A running process: one of ours (`Room`), or any other by its id."""

    def __init__(self, pid: int, start_s: float = 0.0) -> None:
        """Look at process `pid`; `start_s` is how long it took to be ready."""
        self.pid = pid
        self.start_s = start_s

    def cpu_s(self) -> float:
        """CPU time of all its living threads, in seconds (to the nanosecond, unlike /proc/PID/stat)."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def user_and_system_s(self) -> tuple[float, float]:
        """CPU time in user mode and in the kernel, in seconds, in steps of 10 ms (proc(5), stat)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) * TICK_S, int(fields[12]) * TICK_S

    def pss_mib(self) -> float:
        """Its proportional set size: its own memory plus its share of what it shares with others, in MiB."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
        raise ValueError(f"no Pss in /proc/{self.pid}/smaps_rollup")

    def children(self) -> list[Process]:
        """The processes that it started."""
        found: list[Process] = []
        for path in Path(f"/proc/{self.pid}/task").glob("*/children"):
            found += [Process(int(pid)) for pid in path.read_text().split()]
        return found

    def command(self) -> str:
        """Its command line."""
        return Path(f"/proc/{self.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()


class Room:
    """A folder under /tmp with a short path (unix sockets), and the processes that run in it."""

    def __init__(self, transport: str = "ipc") -> None:
        """Make the folder; `transport` decides how the endpoints of `broker` and `endpoint()` look."""
        self.path = Path(tempfile.mkdtemp(prefix="bench-", dir="/tmp"))
        self.transport = transport
        self.broker = BrokerAddress.parse(
            f"ipc://{self.path}/run" if transport == "ipc" else f"tcp://127.0.0.1:{free_port(4)}")
        (self.path / "run").mkdir()
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Room:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        for process in reversed(self._started):
            stop(process)
        shutil.rmtree(self.path, ignore_errors=True)

    def endpoint(self, name: str) -> str:
        """A ZeroMQ endpoint that nobody uses yet."""
        return f"ipc://{self.path}/{name}" if self.transport == "ipc" else f"tcp://127.0.0.1:{free_port(1)}"

    def start(self, *command: str | Path, env: dict[str, str] | None = None) -> Process:
        """Start a command line, its output in a file of the room; it ends with the room."""
        return Process(self._popen([str(word) for word in command], env or {}).pid)

    def daemon(self, module: str, *arguments: str | Path, says: str = "") -> Process:
        """Start ``python3 -m module arguments`` and wait until it is ready.

        Args:
            says: what it prints when it is ready; by default it sends READY=1.

        Returns:
            The process, with the time from its start until it was ready in `start_s`.

        Raises:
            RuntimeError: it ended, or is not ready in 30 s; with what it printed.
        """
        receiver = NotifyReceiver(self.path / f"notify-{len(self._started)}")
        try:
            start = time.monotonic()
            command = [sys.executable, "-m", module, *(str(word) for word in arguments)]
            process = self._popen(command, receiver.env)
            while not (says in self.output(process) if says else "READY=1" in receiver.lines):
                receiver.receive(0.05)
                if process.poll() is not None or time.monotonic() - start > READY_S:
                    raise RuntimeError(f"{module} is not ready; it printed:\n{self.output(process)}")
            return Process(process.pid, time.monotonic() - start)
        finally:
            receiver.close()

    def stop(self, process: Process) -> None:
        """End one process before the room does."""
        for started in self._started:
            if started.pid == process.pid:
                stop(started)

    def output(self, process: subprocess.Popen[bytes]) -> str:
        """What a process of this room has printed."""
        return self._log(self._started.index(process)).read_text(errors="replace")

    def _log(self, index: int) -> Path:
        return self.path / f"output-{index}"

    def _popen(self, command: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
        whole = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        whole |= {"XDG_STATE_HOME": str(self.path), "XDG_RUNTIME_DIR": str(self.path), **env}
        with self._log(len(self._started)).open("wb") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=whole, stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=subprocess.STDOUT)
        self._started.append(process)
        return process


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process: SIGTERM, and SIGKILL after ten seconds."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port(count: int) -> int:
    """A TCP port of loopback that is free, with the count - 1 after it."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            if port + count < 65536 and all(bindable(port + offset) for offset in range(1, count)):
                return port


def bindable(port: int) -> bool:
    """Whether a TCP port of loopback is free."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def wait_for_socket(path: Path) -> None:
    """Wait until a unix socket takes connections.

    Raises:
        RuntimeError: it doesn't within ten seconds.
    """
    deadline = time.monotonic() + STOP_S
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
                return
            except OSError:
                time.sleep(0.01)
    raise RuntimeError(f"nobody listens on {path}")
