# SPDX-License-Identifier: GPL-3.0-or-later
"""A call that waits, made in a thread of its own while the test plays the other end."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

WAIT_S = 15

T = TypeVar("T")


class Asking(Generic[T]):
    """Start `call()`; `done()` is what it returned, or raises what it raised."""

    def __init__(self, call: Callable[[], T]):
        self._executor = ThreadPoolExecutor(1)
        self._future = self._executor.submit(call)

    @property
    def running(self) -> bool:
        """Whether it has not returned yet."""
        return not self._future.done()

    def done(self) -> T:
        """Wait for its end.

        :raises TimeoutError: it does not end within `WAIT_S`.
        """
        try:
            return self._future.result(WAIT_S)
        finally:
            self._executor.shutdown(wait=self._future.done())
