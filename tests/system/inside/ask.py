# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the container: ``ask.py SERVICE FRAME...`` prints the reply's frames, ``ask.py PREFIX`` values.

A service's HOST is this machine. What is printed is JSON, null when nobody answered.
"""

from __future__ import annotations

import json
import socket
import sys

from raspy.common.kvcliapi import KvSubscriberClient
from raspy.common.mdcliapi import MajorDomoClient

BROKER = "ipc:///run/raspy"
TIMEOUT_MS = 20000


def values(prefix: str) -> dict[str, str] | None:
    subscriber = KvSubscriberClient("system-test", (prefix,), broker=BROKER)
    try:
        found = subscriber.fetch()
    finally:
        subscriber.destroy()
    return None if found is None else {key: body.decode() for key, body in found.items()}


def request(service: str, *frames: str) -> list[str] | None:
    with MajorDomoClient(BROKER, name="system-test") as client:
        client.timeout, client.retries = TIMEOUT_MS, 1
        reply = client.send(service.replace("HOST", socket.gethostname()), frames)
    return None if reply is None else [frame.decode(errors="replace") for frame in reply]


if __name__ == "__main__":
    target, *rest = sys.argv[1:]
    print(json.dumps(values(target) if target.startswith("/") else request(target, *rest)))
