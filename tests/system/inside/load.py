# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the container: keeps RasPy busy until its standard input is closed, then prints what came of it.

Two clients ask without a pause: one a server, by way of the broker, one titanic, which has to carry out every
request that it accepted. A third connects to the listening sockets all the time. What is printed is JSON:
`asked`, `answered`, `refused` (with an error: the server went while it worked on it), `unanswered`, and
`longest_ms`, how long the slowest answer took; `filed`, `carried_out`; `connected`, `not_listening`.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
import uuid
from collections import Counter
from pathlib import Path

from raspy.common.mdcliapi import MajorDomoClient
from raspy.common.MDP import GenericError
from raspy.common.titanic_client import TitanicClient

BROKER = "ipc:///run/raspy"
HOST = socket.gethostname()
WORK = f"{HOST}.host.mmi"
TIMEOUT_MS = 60000
PAUSE_S = 0.01
# A request that was accepted has to be answered within this time after the load's end.
LATE_S = 60.0

stop = threading.Event()
counts: Counter[str] = Counter()


def ask() -> None:
    with MajorDomoClient(BROKER, name="system-load") as client:
        client.timeout, client.retries = TIMEOUT_MS, 10
        while not stop.wait(PAUSE_S):
            counts["asked"] += 1
            started = time.monotonic()
            reply = client.send(WORK, "status")
            counts["longest_ms"] = max(counts["longest_ms"], int(1000 * (time.monotonic() - started)))
            counts["unanswered" if reply is None else "answered" if reply[-1] == b"200" else "refused"] += 1


def file() -> None:
    with TitanicClient(broker=BROKER) as client:
        filed = []
        while not stop.wait(5 * PAUSE_S):
            own = uuid.uuid4().hex
            while True:
                try:
                    # The same id each time: carried out once, however often it is sent.
                    filed.append(client.request("", WORK, ["status"], uuid=own))
                    break
                except GenericError:
                    continue
        counts["filed"] = len(filed)
        deadline = time.monotonic() + LATE_S
        while filed and time.monotonic() < deadline:
            filed = [one for one in filed if client.status(one)[0] in (b"300", b"500")]
        counts["carried_out"] = counts["filed"] - len(filed)


def knock() -> None:
    paths = sorted(str(path) for path in Path("/run/raspy").glob("*.sock") if path.name in sys.argv[1:])
    while not stop.wait(PAUSE_S):
        for path in paths:
            with socket.socket(socket.AF_UNIX) as one:
                try:
                    one.connect(path)
                    counts["connected"] += 1
                except OSError:
                    counts["not_listening"] += 1


if __name__ == "__main__":
    threads = [threading.Thread(target=target) for target in (ask, file, knock)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    print(json.dumps(counts))
