# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a scenario's code in a real, confined process, with the test in core's place."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from raspy.servers.core.runner.launch import launch
from raspy.servers.core.runner.run import Outcome, Run
from raspy.servers.core.sandbox.wire import encode

END_S = 60.0


class Played:
    """One run.

    Attributes:
        messages: what the scenario has sent.
        outcome: how it ended, once it has.
    """

    def __init__(self, code: str, path: Path | None = None, limit_s: float = 0.0, **job: Any) -> None:
        message = encode(
            {
                "job": {
                    "name": "try",
                    "code": code,
                    "reason": {"by": "hand"},
                    "entries": {},
                    "memory_mb": 64,
                    "cpu_s": 10,
                    **job,
                }
            }
        )
        self.launched = launch(path, message)
        self.run = Run(1, {}, message, self.launched, time.monotonic(), limit_s)
        self.messages: list[dict[str, Any]] = []
        self.outcome: Outcome | None = None

    def step(self, wait_s: float = 0.02) -> bool:
        """Once around; False when it has ended."""
        if self.outcome is not None:
            return False
        if self.run.fileno() >= 0:
            select.select([self.run.fileno()], [], [], wait_s)
            self.run.flush()
            self.messages += self.run.read()
        else:
            time.sleep(0.005)
        if self.run.tick(time.monotonic()):
            self.outcome = self.run.outcome()
        return self.outcome is None

    def until(self, condition: Callable[[], object], timeout_s: float = END_S) -> None:
        """Go around until it holds."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain; it sent {self.messages}"
            assert self.step(), f"it has ended: {self.outcome}; it sent {self.messages}"

    def end(self, timeout_s: float = END_S) -> Outcome:
        """Go around until it has ended."""
        deadline = time.monotonic() + timeout_s
        while self.step():
            assert time.monotonic() < deadline, f"it has not ended; it sent {self.messages}"
        assert self.outcome is not None
        return self.outcome

    def said(self) -> list[str]:
        """The lines of its log."""
        return [message["log"] for message in self.messages if "log" in message]


@contextmanager
def played(code: str, **job: Any) -> Iterator[Played]:
    """A run that is over when the block is."""
    one = Played(code, **job)
    try:
        yield one
    finally:
        if one.outcome is None:
            one.run.kill()
            one.run.await_end()
