# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenario's end of the connection to core: requests and answers, entries as they change, the stop."""

from __future__ import annotations

import os
import select
import signal
import socket
import time

from raspy.servers.core.sandbox.wire import Lines, encode

TYPE_CHECKING = False  # mypy knows it by its name; typing takes longer to import than all else here
if TYPE_CHECKING:
    from typing import Any

PIECE_BYTES = 65536
# After the limit on computing the code has so much longer to come to it by itself, in processor time.
SECOND_S = 2.0


class RequestError(Exception):
    """Core could not do what was asked; the text says why."""


class ProcessorLimit(BaseException):
    """The code computed for too long without waiting. No Exception: `except Exception` must not take it."""


class Link:
    """One connection to core.

    Args:
        connection: a stream socket, connected.
        cpu_s: how long the code may compute between two waits, in seconds of processor time; 0 for no limit.

    Attributes:
        entries: what each entry is now, by friendly name.
        changed: names of the entries that changed since they were last waited for.
        stop: why core wants the scenario to end; "" while it does not.
    """

    def __init__(self, connection: socket.socket, cpu_s: float = 0.0) -> None:
        self.entries: dict[str, dict[str, Any]] = {}
        self.changed: set[str] = set()
        self.stop = ""
        self._cpu_s = cpu_s
        self._connection = connection
        self._lines = Lines()
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self._answers: dict[int, dict[str, Any]] = {}
        self._number = 0

    def send(self, message: dict[str, Any]) -> None:
        """Send a message; waits while core has no room for it."""
        self._connection.sendall(encode(message))

    def ask(self, do: str, **arguments: Any) -> Any:
        """Ask core to do something, and wait for its answer.

        Raises:
            RequestError: core can't do it.
            ValueError, TypeError: the arguments hold what JSON can't.
        """
        self._number += 1
        number = self._number
        self.send({"id": number, "do": do, **arguments})
        while number not in self._answers:
            self.take(None)
        answer = self._answers.pop(number)
        if "error" in answer:
            raise RequestError(answer["error"])
        return answer.get("result")

    def wait(self, seconds: float | None) -> None:
        """Wait until an entry has changed, core wants the end, or *seconds* have passed (None: for ever)."""
        deadline = None if seconds is None else time.monotonic() + seconds
        self.rearm()
        self.take(0)
        while not self.changed and not self.stop:
            left_s = None if deadline is None else deadline - time.monotonic()
            if left_s is not None and left_s <= 0:
                return
            self.take(left_s)
            self.rearm()

    def take(self, timeout_s: float | None) -> None:
        """Take what core has sent, waiting up to *timeout_s* for it (None: for ever)."""
        # Three weeks at most, poll(2) has 32 bits of milliseconds; rounded up, so as not to spin at the end.
        timeout_ms = None if timeout_s is None else min(2_000_000_000, int(timeout_s * 1000 + 0.999))
        if not self._poll.poll(timeout_ms):
            return
        data = self._connection.recv(PIECE_BYTES)
        if not data:
            # Core is gone, and so is everything this process could do.
            os._exit(0)
        for message in self._lines.feed(data):
            self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        if "entries" in message:
            self.entries.update(message["entries"])
            self.changed.update(message["entries"])
        elif "stop" in message:
            self.stop = str(message["stop"]) or "stopped"
        elif "id" in message:
            self._answers[message["id"]] = message

    def rearm(self) -> None:
        """Begin anew to count how long the code computes: it waits, so it is alive.

        First ProcessorLimit is raised where the code stands; code that does not even come to that (one long
        operation inside Python) is ended by the second timer's signal. Source: setitimer(2).
        """
        if self._cpu_s:
            signal.setitimer(signal.ITIMER_PROF, self._cpu_s)
            signal.setitimer(signal.ITIMER_VIRTUAL, self._cpu_s + SECOND_S)

    def rest(self) -> None:
        """The code has ended: count no more."""
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)


def watch_processor() -> None:
    """Turn the first timer's signal into ProcessorLimit; the second one's ends the process by itself."""

    def late(number: int, frame: object) -> None:
        raise ProcessorLimit

    signal.signal(signal.SIGPROF, late)
