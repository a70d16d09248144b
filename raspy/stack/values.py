# SPDX-License-Identifier: GPL-3.0-or-later
"""Show the live values of all devices as they change."""

from __future__ import annotations

import json
import threading
import time

from raspy.common.kvcliapi import KvSubscriberClient

# How often changed values are shown, in seconds.
SHOW_EVERY_S = 5.0

_SWITCHED = {"True": "on", "False": "off"}


class Values:
    """Follows ``/device/`` in a thread of its own, and tells what changed since it was last asked.

    Args:
        broker: the broker's URL.
    """

    def __init__(self, broker: str) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, dict[str, str]] = {}
        self._changed: set[str] = set()
        self._show_at = 0.0
        self._client = KvSubscriberClient(subtree="/device/", broker=broker, callback=self._take)
        self._thread = threading.Thread(target=self._client.run, name="values", daemon=True)
        self._thread.start()

    def _take(self, key: str, body: bytes) -> None:
        """One update; the key is ``/device/HOST/SERVER/DEVICE/COMMAND``."""
        parts = key.split("/")
        if len(parts) != 6:
            return
        device, command = "/".join(parts[3:5]), parts[5]
        with self._lock:
            commands = self._values.setdefault(device, {})
            text = in_words(body)
            if not text:
                commands.pop(command, None)
            elif commands.get(command) != text:
                commands[command] = text
                self._changed.add(device)

    def news(self) -> list[str]:
        """A line for each device that changed, at most every ``SHOW_EVERY_S``."""
        now = time.monotonic()
        if now < self._show_at:
            return []
        with self._lock:
            changed, self._changed = sorted(self._changed), set()
            if changed:
                self._show_at = now + SHOW_EVERY_S
            return [
                f"{device:<24} " + "   ".join(f"{name} {text}" for name, text in self._values[device].items())
                for device in changed
            ]

    def close(self) -> None:
        """End the thread."""
        self._client.shutdown()
        self._thread.join()
        self._client.destroy()


def in_words(body: bytes) -> str:
    """A device value for a person: ``21.5 °C``, ``fault: CRC error``; empty for what is none."""
    try:
        value = json.loads(body)
        quality = value["quality"]
        if quality == "fault":
            return f"fault: {value.get('error', 'no reason given')}"
        what = _SWITCHED.get(str(value["value"]), value["value"])
        text = f"{what} {value.get('unit') or ''}".strip()
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return text if quality == "good" else f"{text} ({quality})"
