# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounded waiting: a test waits for what it wants to see, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

POLL_S = 0.01

T = TypeVar("T")


def wait_for(predicate: Callable[[], T], timeout_s: float = 30, what: str = "") -> T:
    """Call `predicate` until it returns something true, and return that.

    :param what: what is waited for, for the message of the failure.
    :raises AssertionError: when it has not come true within `timeout_s` seconds.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        result = predicate()
        if result:
            return result
        if time.monotonic() >= deadline:
            wanted = what or getattr(predicate, "__name__", "the condition")
            raise AssertionError(f"waited {timeout_s:g} s in vain for {wanted} (last: {result!r})")
        time.sleep(POLL_S)
