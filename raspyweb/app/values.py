# SPDX-License-Identifier: GPL-3.0-or-later
"""A live mirror of the key/value map, that many browsers can follow at little cost."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import zmq

from raspy.common.address import BrokerAddress
from raspy.common.kvcliapi import KvSubscriberClient

SUBTREES = ("/device/", "/event/", "/scenario/")

BODY_MAX = 65536
"""The longest body that is shown, in bytes."""

GONE_MAX = 10_000
"""Deleted keys that are remembered, to tell those who follow."""


class Values:
    """The map as it is now, and what has changed since a moment.

    Every change gets a number; whoever follows asks for what has changed since the number that it was last
    told, and gets of each key the last value only.

    Args:
        broker: where the broker is.
        hostname: this machine's name on the bus.
        ctx: a ZeroMQ context to share.

    Attributes:
        present: whether the broker is there: the mirror is up to date.
    """

    def __init__(self, broker: BrokerAddress, hostname: str, ctx: zmq.Context[zmq.Socket[bytes]]) -> None:
        self.present = False
        self._alive: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._number = 0
        # By key, the number of its last change and its body as compact JSON ("null": deleted), in the order
        # of the numbers: the last changes are found from the end.
        self._entries: dict[str, tuple[int, str]] = {}
        self._gone = 0
        self._client = KvSubscriberClient(
            hostname, SUBTREES, broker=broker, ctx=ctx, callback=self._take, on_idle=self._idle
        )

    # -- in the thread of ``run`` -------------------------------------------------------------------

    def run(self, alive: Callable[[], None]) -> None:
        """Follow the map until ``shutdown``.

        Args:
            alive: called as it makes progress.
        """
        self._alive = alive
        self._client.run()

    def _take(self, key: str, body: bytes) -> None:
        text = "null"
        if body:
            try:
                value = json.loads(body) if len(body) <= BODY_MAX else None
                text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            except (ValueError, RecursionError):
                return
        with self._lock:
            self._number += 1
            old = self._entries.pop(key, None)
            if old is not None and old[1] == "null":
                self._gone -= 1
            if body:
                self._entries[key] = (self._number, text)
            elif old is not None:
                self._entries[key] = (self._number, "null")
                self._gone += 1
                if self._gone > GONE_MAX:
                    self._forget()

    def _forget(self) -> None:
        """Those who follow get deletions within a second, so the oldest half is of no use to anybody."""
        gone = [key for key, (_number, text) in self._entries.items() if text == "null"]
        for key in gone[: GONE_MAX // 2]:
            del self._entries[key]
        self._gone -= min(len(gone), GONE_MAX // 2)

    def _idle(self) -> None:
        self._alive()
        present = self._client.synchronised
        with self._news:
            if present != self.present:
                self.present = present
                self._number += 1
            self._news.notify_all()

    def shutdown(self) -> None:
        """End ``run``, from any thread."""
        self._client.shutdown()

    def close(self) -> None:
        """Give everything back, after ``run`` has returned."""
        self._client.destroy()

    # -- for the pages, in any thread ----------------------------------------------------------------

    @property
    def number(self) -> int:
        """The number of the last change."""
        return self._number

    def snapshot(self, prefix: str = "") -> dict[str, Any]:
        """The values by key, of the keys that begin with *prefix*."""
        with self._lock:
            found = [(key, text) for key, (_number, text) in self._entries.items() if key.startswith(prefix)]
        return {key: json.loads(text) for key, text in found if text != "null"}

    def since(self, number: int, prefix: str = "") -> tuple[int, str]:
        """What has changed since *number*.

        Args:
            number: what an earlier call returned; 0 for everything.
            prefix: which keys.

        Returns:
            The number to ask with next time, and a JSON object of the values by key, null for a deleted one;
            an empty text when nothing has changed.
        """
        changed: list[str] = []
        with self._lock:
            now = self._number
            for key in reversed(self._entries):
                at, text = self._entries[key]
                if at <= number:
                    break
                if key.startswith(prefix):
                    changed.append(f"{json.dumps(key, ensure_ascii=False)}:{text}")
        return now, "{" + ",".join(reversed(changed)) + "}" if changed else ""
