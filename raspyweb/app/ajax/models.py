# SPDX-License-Identifier: GPL-3.0-or-later
"""What travels to the pages' scripts."""

from __future__ import annotations

from raspyweb.app.values import Values


def event(name: str, data: str) -> bytes:
    """One server-sent event.

    Args:
        name: its kind, which the script listens for.
        data: one line.

    Source: HTML Living Standard, 9.2.6.
    """
    return f"event: {name}\ndata: {data}\n\n".encode()


class Follower:
    """What one browser window is told of the values: all at first, then what changes.

    Args:
        values: the mirror.
        prefix: which keys.
    """

    def __init__(self, values: Values, prefix: str) -> None:
        self._values = values
        self._prefix = prefix
        self._number = 0
        self._present: bool | None = None

    def __call__(self) -> bytes:
        """What is new since the last call; empty for nothing."""
        news = b""
        present = self._values.present
        self._number, changed = self._values.since(self._number, self._prefix)
        if changed:
            news = event("values", changed)
        if present != self._present:
            self._present = present
            news += event("broker", "true" if present else "false")
        return news
