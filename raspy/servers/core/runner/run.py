# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of a scenario, from the start of its process to its end; called with the manager's lock held."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterable
from typing import Any, NamedTuple

from raspy.servers.core.runner.launch import Launched
from raspy.servers.core.sandbox.wire import DONE, ERROR, MEMORY, PROCESSOR, Lines, WireError, encode

# How it can end, besides what the scenario itself says (DONE, ERROR, MEMORY, PROCESSOR).
STOPPED, TIMEOUT, DIED = "stopped", "timeout", "died"
FAILURES = (ERROR, MEMORY, PROCESSOR, DIED)

# How long a scenario may take to leave things in order once it was told to stop; then it is killed.
STOP_S = 4.5
# A process that has closed its connection ends by itself within moments, or is killed.
LEAVE_S = 1.0
PIECE_BYTES = 65536
# Answers that a scenario does not read; more, and it is stopped.
UNREAD_BYTES = 2 * 1024 * 1024
STDERR_BYTES = 4000

# Messages a second, and at once, that a scenario may send; more waits in its own process.
RATE = 50.0
BURST = 200.0


class Outcome(NamedTuple):
    """How a run ended.

    Args:
        kind: DONE, ERROR, MEMORY, PROCESSOR, STOPPED, TIMEOUT or DIED.
        lines: the traceback, or what else is known; [] if nothing.
    """

    kind: str
    lines: list[str]


class Run:
    """A process that runs a scenario.

    Args:
        number: to tell the runs apart.
        reason: what started it.
        job: the first message, of which a part may not be sent yet.
        launched: the process.
        now: monotonic time, in seconds.
        limit_s: how long it may run; 0 for ever.

    Attributes:
        ready: whether its code has begun.
        open_requests: requests that were not answered yet.
    """

    def __init__(
        self, number: int, reason: dict[str, Any], job: bytes, launched: Launched, now: float, limit_s: float
    ) -> None:
        self.number = number
        self.reason = reason
        self.started = now
        self.ready = False
        self.open_requests = 0
        self.connection: socket.socket | None = launched.connection
        self._fd = launched.connection.fileno()
        self._process = launched.process
        self._lifeline = launched.lifeline
        self._out = bytearray(job[len(job) - launched.unsent :])
        self._updates: dict[str, Any] = {}
        self._lines = Lines()
        self._credit = BURST
        self._credit_at = now
        self._end: Outcome | None = None
        self._stop_why = ""
        self._timed_out = False
        self._kill_at: float | None = None
        self._limit_at = now + limit_s if limit_s else None

    # Talking.

    def fileno(self) -> int:
        """The connection's descriptor; -1 once it is closed."""
        return self._fd if self.connection is not None else -1

    @property
    def wants_room(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._out or self._updates)

    def may_speak(self, now: float) -> bool:
        """Whether its messages are read now; one that sends too many waits."""
        self._credit = min(BURST, self._credit + (now - self._credit_at) * RATE)
        self._credit_at = now
        return self._credit >= 1.0

    def send(self, message: dict[str, Any]) -> None:
        """Send it a message, now or when there is room."""
        self._out += encode(message)
        if len(self._out) > UNREAD_BYTES:
            self._end = Outcome(DIED, ["it did not read the answers to its requests"])
            self.kill()
            return
        self.flush()

    def answer(self, number: int, result: object = None, error: str = "") -> None:
        """Answer a request of the scenario."""
        self.open_requests -= 1
        if self.connection is None:
            return
        try:
            self.send({"id": number, "error": error} if error else {"id": number, "result": result})
        except (ValueError, RecursionError) as trouble:
            self.send({"id": number, "error": f"it was done, but the answer can't be sent: {trouble}"[:500]})

    def update(self, entries: dict[str, Any]) -> None:
        """Tell it how entries are now; of one that changes faster than it reads the last value is kept."""
        self._updates.update(entries)
        self.flush()

    def flush(self) -> None:
        """Send what there is room for."""
        if self.connection is None:
            return
        try:
            while self.wants_room:
                if not self._out:
                    self._out += encode({"entries": self._updates})
                    self._updates = {}
                del self._out[: self.connection.send(self._out)]
        except BlockingIOError:
            return
        except OSError:
            # It has gone; reading tells.
            self._out.clear()
            self._updates.clear()

    def read(self) -> Iterable[dict[str, Any]]:
        """The messages that have come; none once it has hung up, or sent what is no message."""
        if self.connection is None:
            return
        try:
            data = self.connection.recv(PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up()
            return
        try:
            for message in self._lines.feed(data):
                self._credit -= 1.0
                if "end" in message:
                    self._end = _outcome(message)
                elif "ready" in message:
                    self.ready = True
                else:
                    yield message
        except WireError as error:
            self._end = Outcome(DIED, [f"it sent what is no message: {error}"])
            self.kill()

    # Ending.

    def stop(self, why: str, now: float, timed_out: bool = False) -> None:
        """Tell it to end; it is killed if it has not within ``STOP_S``."""
        if self._stop_why:
            return
        self._stop_why = why
        self._timed_out = timed_out
        self._kill_at = now + STOP_S
        self.send({"stop": why})

    @property
    def stopping(self) -> bool:
        """Whether it was told to end."""
        return bool(self._stop_why)

    @property
    def stopped_by_us(self) -> bool:
        """Whether it was told to end, and not because its time was over: then it is not restarted."""
        return self.stopping and not self._timed_out

    def kill(self) -> None:
        """End it at once: the kernel does as soon as the lifeline is closed."""
        self._close_lifeline()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
        self._hang_up()

    def due_at(self) -> float | None:
        """When ``tick`` has something to do, monotonic; None for not without an event."""
        times = [
            at for at in (self._kill_at, self._limit_at if not self._stop_why else None) if at is not None
        ]
        return min(times, default=None)

    def tick(self, now: float) -> bool:
        """What time brings; True when it has ended, and ``outcome`` tells how."""
        if self.connection is None:
            return self._gone(now)
        if self._limit_at is not None and now >= self._limit_at and not self._stop_why:
            self.stop(
                f"it has run for its maximum of {self._limit_at - self.started:g} s", now, timed_out=True
            )
        elif self._kill_at is not None and now >= self._kill_at:
            self.kill()
        return False

    def outcome(self) -> Outcome:
        """How it ended; called once, after ``tick`` has returned True."""
        status, said = self._reap()
        lines = self._end.lines if self._end is not None else []
        if self._timed_out:
            return Outcome(TIMEOUT, lines)
        if self._end is not None and self._end.kind != DONE:
            return self._end
        if self._stop_why:
            return Outcome(
                STOPPED, [] if self._end else [f"it did not end within {STOP_S:g} s and was killed"]
            )
        if self._end is not None:
            return self._end
        if status in (-signal.SIGVTALRM, -signal.SIGPROF):
            return Outcome(PROCESSOR, ["it computed for too long in one operation, and was killed"])
        how = (
            "its process ended"
            if status is None
            else f"its process ended with status {status}"
            if status >= 0
            else f"its process was killed by signal {-status}"
        )
        return Outcome(DIED, [how, *said.splitlines()[-5:]])

    def await_end(self) -> None:
        """After ``kill``: wait for the process to be gone, which takes the kernel a moment."""
        if self._process is not None:
            self._process.wait()
        self._reap()

    def _hang_up(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None
            self._kill_at = None
            self._out.clear()
            self._updates.clear()

    def _gone(self, now: float) -> bool:
        """The connection is closed: whether its process has ended too, which gets a moment for it."""
        if self._process is None or self._process.poll() is not None:
            return True
        if self._kill_at is None:
            self._kill_at = now + LEAVE_S
        elif now >= self._kill_at:
            self.kill()
        return False

    def _close_lifeline(self) -> None:
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    def _reap(self) -> tuple[int | None, str]:
        """The exit status, and the last of what it wrote to standard error."""
        self._close_lifeline()
        if self._process is None:
            return None, ""
        said = b""
        if self._process.stderr is not None:
            with self._process.stderr as pipe:
                os.set_blocking(pipe.fileno(), False)
                said = (pipe.read(STDERR_BYTES) or b"") if self._end is None else b""
        return self._process.poll(), said.decode(errors="replace")


def _outcome(message: dict[str, Any]) -> Outcome:
    """What the scenario says of its end; it is not believed more than that."""
    kind, lines = message.get("end"), message.get("lines")
    if kind not in (DONE, ERROR, MEMORY, PROCESSOR) or not isinstance(lines, list):
        return Outcome(DIED, ["it ended with a message that means nothing"])
    return Outcome(kind, [line[:400] for line in lines[:50] if isinstance(line, str)])
