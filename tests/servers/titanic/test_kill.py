# SPDX-License-Identifier: GPL-3.0-or-later
"""Titanic and the broker killed at 200 random moments, under the load of 8 clients.

Half of the clients speak RFC 9, and put a request again that was not acknowledged; the others let titanic
store theirs under ids of their own. Every acknowledged request must be answered once, be carried out at
least once, and leave nothing behind.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from raspy.common import mdwrkapi
from raspy.common.mdcliapi import MajorDomoClient
from raspy.common.mdwrkapi import MajorDomoWorker
from raspy.servers.titanic import packing
from raspy.servers.titanic.database import Database
from raspy.servers.titanic.requests import Requests
from raspy.servers.titanic.schema import WAITING
from tests.conftest import alive, wait_for
from tests.servers.titanic.nursery import AGAIN_MS
from tests.support.processes import child_env

KILLS = 200
CLIENTS = 8
SERVICES = ("test.kill.a", "test.kill.b", "test.kill.c")
# Of a client, unanswered; it asks for replies while it goes on.
OUTSTANDING = 4
PACE_S = 0.005
LONGEST_S = 200


class Victims:
    """The broker and titanic, each killed and born again at once."""

    def __init__(self, home: Path) -> None:
        self.url = f"ipc://{home}"
        self.home = home
        (home / "raspy.conf").touch()
        self._log = (home / "log").open("w")
        env = child_env(home)
        # Processes that are killed leave no coverage data, and would be slower to be born for it.
        env.pop("COVERAGE_PROCESS_START", None)
        self._nursery = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.titanic.nursery"],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.pids = {name: self.start(name) for name in ("broker", "titanic")}

    def start(self, name: str) -> int:
        arguments = ["--config", self.home / "raspy.conf", "--broker", self.url, "--hostname", "test"]
        arguments += ["--data-dir", self.home / name]
        if name == "titanic":
            arguments += ["--set", "reply_s=0.5", "--set", "pause_s=0.2", "--set", "tries=1000"]
        print(
            json.dumps([f"raspy.servers.{name}", *map(str, arguments)]), file=self._nursery.stdin, flush=True
        )
        return int(self._nursery.stdout.readline())

    def kill(self, name: str) -> None:
        os.kill(self.pids[name], signal.SIGKILL)
        # Not `alive`: a process whose main thread is gone may still have one in fsync, and its files locked.
        wait_for(lambda: not Path(f"/proc/{self.pids[name]}").exists(), what=f"{name} to be gone")
        self.pids[name] = self.start(name)

    def stop(self, name: str) -> None:
        os.kill(self.pids[name], signal.SIGTERM)
        wait_for(lambda: not alive(self.pids[name]), what=f"{name} to end")

    def close(self) -> None:
        self._nursery.stdin.close()
        self._nursery.stdout.close()
        self._nursery.wait(10)
        wait_for(lambda: not any(map(alive, self.pids.values())), what="all to be gone")
        self._log.close()


class Executed:
    """Workers that count how often each request was carried out."""

    def __init__(self, url: str) -> None:
        self.times: Counter[bytes] = Counter()
        self._workers = [MajorDomoWorker(url, service) for service in SERVICES]
        self._threads = [threading.Thread(target=self._serve, args=(worker,)) for worker in self._workers]
        for thread in self._threads:
            thread.start()

    def _serve(self, worker: MajorDomoWorker) -> None:
        reply = None
        while (request := worker.recv(reply)) is not None:
            [body] = request
            self.times[body] += 1
            reply = [b"done", body, b"200"]

    def close(self) -> None:
        for worker, thread in zip(self._workers, self._threads, strict=True):
            worker.shutdown()
            thread.join()
            worker.destroy()


class Client:
    """Stores requests, fetches and closes their replies, whatever happens to titanic meanwhile."""

    def __init__(self, url: str, number: int, deadline: float) -> None:
        self.number = number
        self.by_rfc = number % 2 == 0
        self.acknowledged: dict[bytes, bytes] = {}
        """Body by id."""
        self.answered: Counter[bytes] = Counter()
        self.problems: list[str] = []
        self.draining = False
        self._deadline = deadline
        self._url = url
        self._open: dict[bytes, bytes] = {}
        self._pace = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        with MajorDomoClient(self._url) as client:
            client.timeout = 40
            sent = 0
            while (self._open or not self.draining) and time.monotonic() < self._deadline:
                if len(self._open) < OUTSTANDING and not self.draining:
                    sent += 1
                    self._store(client, b"%d/%d" % (self.number, sent), SERVICES[sent % len(SERVICES)])
                for id in list(self._open):
                    self._fetch(client, id)
                # Leave the processors to those who are born again: asking faster only slows that down.
                self._pace.wait(PACE_S)

    def _store(self, client: MajorDomoClient, body: bytes, service: str) -> None:
        id = uuid.uuid4().hex
        while time.monotonic() < self._deadline:
            if self.by_rfc:
                reply = client.send("titanic.request", [service, body])
            else:
                reply = client.send("titanic.submit", [id, service, body])
            if reply is not None and reply[0] == b"200":
                self.acknowledged[reply[1]] = self._open[reply[1]] = body
                return

    def _fetch(self, client: MajorDomoClient, id: bytes) -> None:
        reply = client.send("titanic.reply", id)
        if reply is None or reply[0] == b"300" or (reply[0] == b"500" and b"not answered" in reply[1]):
            return
        if reply != [b"200", b"done", self._open[id], b"200"]:
            self.problems.append(f"{id!r}, {self._open[id]!r}: {reply}")
        again = client.send("titanic.reply", id)
        if again is not None and again != reply and again[0] == b"200":
            self.problems.append(f"{id!r}: {reply}, then {again}")
        while time.monotonic() < self._deadline:
            closed = client.send("titanic.close", id)
            if closed == [b"200"]:
                self.answered[id] += 1
                del self._open[id]
                return


@contextmanager
def load(victims: Victims, deadline: float) -> Iterator[tuple[list[Client], Executed]]:
    executed = Executed(victims.url)
    clients = [Client(victims.url, number, deadline) for number in range(CLIENTS)]
    try:
        yield clients, executed
    finally:
        for client in clients:
            client.draining = True
        for client in clients:
            client.thread.join()
        executed.close()


@pytest.mark.timeout(240)
def test_nothing_acknowledged_is_lost_when_titanic_and_broker_are_killed(run_dir, monkeypatch):
    monkeypatch.setattr(mdwrkapi, "LOST_AGAIN", AGAIN_MS)
    monkeypatch.setattr(MajorDomoWorker, "reconnect", AGAIN_MS)
    chance = random.Random()
    victims = Victims(run_dir)
    try:
        with load(victims, time.monotonic() + LONGEST_S) as (clients, executed):
            for kill in range(KILLS):
                wait_for_progress(clients, f"the load to go on before kill {kill}")
                threading.Event().wait(chance.uniform(0, 0.05))
                victims.kill(chance.choice(("broker", "titanic")))
        victims.stop("titanic")
        victims.stop("broker")
    finally:
        victims.close()
    problems = [problem for client in clients for problem in client.problems]
    assert problems == []
    for client in clients:
        assert set(client.answered) == set(client.acknowledged), "an acknowledged request has no answer"
        assert set(client.answered.values()) == {1}
        assert [body for body in client.acknowledged.values() if not executed.times[body]] == []
    check_what_is_left(run_dir / "titanic", clients)


def wait_for_progress(clients: list[Client], what: str) -> None:
    """Until one more request was acknowledged."""

    def acknowledged() -> int:
        return sum(len(client.acknowledged) for client in clients)

    before = acknowledged()
    wait_for(lambda: acknowledged() > before, 20, what)


def check_what_is_left(folder: Path, clients: list[Client]) -> None:
    """Nothing but requests whose acknowledgement was lost, so that their client could not close them: of
    those who speak RFC 9 only. They were carried out as well, and expire."""
    database = Database(folder)
    requests = Requests(database)
    assert requests.counts[WAITING] == 0
    left = {
        bytes(id).hex().encode(): packing.unpack(body)[0]
        for id, body in database.connection.execute("SELECT id, body FROM requests")
    }
    acknowledged = {id for client in clients for id in client.acknowledged}
    assert left.keys() & acknowledged == set()
    by_rfc = {b"%d" % client.number for client in clients if client.by_rfc}
    assert {body.partition(b"/")[0] for body in left.values()} <= by_rfc
    print(f"{len(acknowledged)} acknowledged; {len(left)} without acknowledgement left")
    with database.transaction():
        requests.sweep(max_age_s=-1, keep_s=-1)
    assert requests.total() == 0
    database.close()
