# SPDX-License-Identifier: GPL-3.0-or-later
"""rrdcached's line protocol over its unix socket, and the daemon as a child process.

Source: rrdcached(1), version 1.7.2. Two things the page does not say, seen in that version: an
error may be longer than the line it announces (the connection is dropped then), and the time that
LAST answers counts values that the file has refused, so the file's own is read by INFO.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

SOCKET_PATH_MAX = 107
"""Bytes of a unix socket's path, unix(7)."""

TIMEOUT_S = 20.0
"""An answer may wait for the disk: FLUSH and FETCH write the file first."""

START_S = 1.0
STOP_S = 10.0

LINE_MAX = 4000
"""rrdcached reads at most 4096 bytes a command, rrd_client.h."""

OWN_WRITES_S = 86400
"""The logger says when a file is to be written; rrdcached's own timers stay behind that."""

WRITE_THREADS = 1


class RrdError(Exception):
    """rrdcached or rrdtool refused a command; the text is theirs."""


class RrdCached:
    """One connection to rrdcached. Not thread safe.

    Arguments:
        path: the daemon's unix socket.
        timeout_s: how long one answer may take, in seconds (default 20).

    Raises:
        OSError: it can't be reached.
    """

    def __init__(self, path: str | Path, timeout_s: float = TIMEOUT_S) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._buffer = bytearray()
        try:
            self._socket.settimeout(timeout_s)
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise

    def close(self) -> None:
        """Hang up; idempotent."""
        self._socket.close()

    def command(self, *words: str | Path | int | float) -> list[str]:
        """Send one command.

        Returns:
            The lines that follow the status line; if there is none, the status line's own text.

        Raises:
            RrdError: the command was refused.
            OSError: the connection broke, or no answer came in time.
        """
        line = " ".join(escape(str(word)) for word in words)
        self._socket.sendall(line.encode() + b"\n")
        count, text = self._status()
        if count < 0:
            raise RrdError(text)
        return [self._line() for _ in range(count)] or [text]

    def update(self, updates: Iterable[bytes]) -> list[tuple[int, str]]:
        """Queue values, in one batch.

        Arguments:
            updates: ``FILE TIME:VALUE`` each, FILE escaped (see `escape`).

        Returns:
            The refused ones: place in *updates* (from 0), and why.

        Raises:
            OSError: the connection broke: how much was taken is unknown.
        """
        batch = b"UPDATE " + b"\nUPDATE ".join(updates) + b"\n.\n"
        self._socket.sendall(b"BATCH\n")
        count, text = self._status()
        if count != 0:
            raise ConnectionError(f"rrdcached did not accept a batch: {text}")
        self._socket.sendall(batch)
        count, text = self._status()
        if count < 0:
            raise ConnectionError(f"rrdcached did not end a batch: {text}")
        refused = []
        for _ in range(count):
            place, _, why = self._line().partition(" ")
            refused.append((_number(place) - 1, why))
        return refused

    def flush(self, path: Path) -> None:
        """Write what is queued for a file, and wait for it."""
        self.command("FLUSH", path)

    def forget(self, path: Path) -> None:
        """Drop what is queued for a file, before the file is replaced."""
        try:
            self.command("FORGET", path)
        except RrdError:
            pass  # nothing is queued for it

    def info(self, path: Path) -> dict[str, str]:
        """What stands in the file's header: value by name, such as ``last_update``."""
        found = {}
        for line in self.command("INFO", path):
            name, _, rest = line.partition(" ")
            found[name] = rest.partition(" ")[2]
        return found

    def create(self, path: Path, step_s: int, start: int, definitions: Sequence[str]) -> None:
        """Make an RRD; one that exists stays, and is an error."""
        self.command("CREATE", path, "-s", step_s, "-b", start, "-O", *definitions)

    def fetch(self, path: Path, function: str, start: int, end: int) -> tuple[int, list[tuple[int, float]]]:
        """The rows of the finest archive that covers a range.

        Returns:
            Its step in seconds, and the rows: end of each interval, and the value (NaN: unknown).
        """
        return parse_fetch(self.command("FETCH", path, function, start, end))

    def _status(self) -> tuple[int, str]:
        number, _, text = self._line().partition(" ")
        return _number(number), text

    def _line(self) -> str:
        while (end := self._buffer.find(b"\n")) < 0:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("rrdcached hung up")
            self._buffer += data
        line = self._buffer[:end].decode(errors="replace")
        del self._buffer[: end + 1]
        return line


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ConnectionError(f"rrdcached answered {text[:40]!r} where a number belongs") from None


def parse_fetch(lines: Iterable[str]) -> tuple[int, list[tuple[int, float]]]:
    """Read rows as FETCH of rrdcached and `rrdtool fetch` print them: ``TIME: VALUE``.

    Returns:
        The step in seconds (0 with less than two rows), and the rows.
    """
    rows = []
    for line in lines:
        moment, colon, value = line.strip().partition(": ")
        if colon and moment.isdigit():
            rows.append((int(moment), float(value)))
    step = rows[1][0] - rows[0][0] if len(rows) > 1 else 0
    return step, rows


def escape(word: str) -> str:
    """A word of a command, with the bytes escaped that would end it."""
    return word.replace("\\", "\\\\").replace(" ", "\\ ")


class RrdCachedChild:
    """rrdcached as our child process, where systemd does not run it.

    It dies with the thread that started it (PR_SET_PDEATHSIG, by setpriv(1)), so not even a SIGKILL leaves
    one behind; on SIGTERM it writes everything first.

    Arguments:
        folder: where the RRDs are; it writes nowhere else.

    Attributes:
        socket: its unix socket.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._process: subprocess.Popen[bytes] | None = None
        self._run_dir: Path | None = None
        self.socket = self.folder.parent / "rrdcached.sock"
        if len(os.fsencode(self.socket)) > SOCKET_PATH_MAX:
            self._run_dir = Path(tempfile.mkdtemp(prefix="raspy-rrdcached-"))
            self.socket = self._run_dir / "rrdcached.sock"

    @staticmethod
    def installed() -> bool:
        """Whether there is an rrdcached to start."""
        return shutil.which("rrdcached") is not None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start it, and return at once; to be called in the thread that lives longest, it dies with that.

        Raises:
            OSError: it can't be started.
        """
        self.stop_process()
        self._remove_files()
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(
            self._command(), stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
        )

    def connect(self) -> RrdCached:
        """Connect, as soon as it listens.

        Raises:
            OSError: it does not run, or does not listen after a second.
        """
        deadline = time.monotonic() + START_S
        while True:
            try:
                return RrdCached(self.socket)
            except OSError:
                if self.pid is None:
                    raise ConnectionError("it does not run") from None
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.01)

    def _command(self) -> list[str]:
        command = [
            "rrdcached",
            "-g",
            "-l",
            f"unix:{self.socket}",
            "-m",
            "0600",
            "-b",
            str(self.folder),
            "-B",
            "-w",
            str(OWN_WRITES_S),
            "-f",
            str(OWN_WRITES_S),
            "-t",
            str(WRITE_THREADS),
            "-p",
            str(self.socket.with_suffix(".pid")),
            "-V",
            "LOG_WARNING",
        ]
        if shutil.which("setpriv"):
            command = ["setpriv", "--pdeathsig", "TERM", *command]
        return command

    def stop_process(self) -> None:
        """End the process, letting it write what it holds; idempotent."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _remove_files(self) -> None:
        # A process id that was left behind may be another process's by now; rrdcached would not start then.
        self.socket.unlink(missing_ok=True)
        self.socket.with_suffix(".pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """End the process and remove its socket; idempotent."""
        self.stop_process()
        self._remove_files()
        if self._run_dir is not None:
            shutil.rmtree(self._run_dir, ignore_errors=True)
