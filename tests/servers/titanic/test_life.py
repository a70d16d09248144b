# SPDX-License-Identifier: GPL-3.0-or-later
"""Titanic through restarts, full disks, damage, and with a broker of another kind."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sqlite3
import threading
from collections.abc import Iterator

import pytest
import zmq

from raspy.common import MDP
from raspy.servers.titanic import Titanic
from raspy.servers.titanic.database import FILE
from raspy.servers.titanic.server import CREDIT, STORE_CREDIT
from tests.conftest import wait_for
from tests.support.titanic import TitanicStack, echo, recorder


@contextlib.contextmanager
def full_disk(stack: TitanicStack) -> Iterator[None]:
    """Files may not grow beyond 64 KiB, which the log has passed: as near to a full disk as a test can bring
    a running process."""
    stack.ask("titanic.store", "set", "s", "x", "large", bytes(150_000))
    soft, hard = resource.prlimit(stack.titanic.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(stack.titanic.pid, resource.RLIMIT_FSIZE, (1 << 16, hard))
    yield
    resource.prlimit(stack.titanic.pid, resource.RLIMIT_FSIZE, (soft, hard))


def figure(stack: TitanicStack, name: str) -> float:
    return json.loads(stack.ask("test.titanic.statistics", "get", f"titanic.{name}")[0])["value"]


def test_statistics_and_status_line(own_stack):
    ids = [own_stack.request("test.absent.x", "on") for _ in range(3)]
    with own_stack.worker("test.a.x", echo):
        own_stack.reply(own_stack.request("test.a.x", "on"))
    wait_for(lambda: (figure(own_stack, "waiting"), figure(own_stack, "done")) == (3, 1), what="the figures")
    assert figure(own_stack, "stored") == 4
    assert figure(own_stack, "ended") == 1
    assert figure(own_stack, "in_work") == figure(own_stack, "failed") == 0
    assert figure(own_stack, "oldest_s") > 0
    assert figure(own_stack, "database_bytes") > 4096
    assert figure(own_stack, "commits") >= 5
    wait_for(
        lambda: own_stack.titanic.notify.status.startswith(
            "3 waiting (oldest under 1 min), 0 in work, 1 done, 0 failed, 0."
        ),
        what="the status line",
    )
    own_stack.ask("titanic.close", ids[0])


def test_everything_is_there_after_a_restart_of_everything(own_stack):
    """The same client goes on, with the ids that it has."""
    answered = own_stack.request("test.a.x", "answered")
    with own_stack.worker("test.a.x", echo):
        own_stack.reply(answered)
    waiting = own_stack.request("test.a.x", "waiting")
    own_stack.ask("titanic.store", "set", "s", "x", "a", "1")
    assert own_stack.titanic.stop() == 0
    assert own_stack.broker.child.stop() == 0
    own_stack.broker.start()
    own_stack.start()
    assert own_stack.ask("titanic.reply", answered) == [b"200", b"answered", b"200"]
    assert own_stack.ask("titanic.reply", waiting) == [b"300"]
    assert own_stack.ask("titanic.store", "get", "s", "x", "a") == [b"200", b"1"]
    with own_stack.worker("test.a.x", echo):
        assert own_stack.reply(waiting) == [b"200", b"waiting", b"200"]


def test_a_disk_that_is_full_for_a_while(own_stack):
    kept = own_stack.request("test.absent.x", "kept")
    with full_disk(own_stack):
        status, reason = own_stack.ask("titanic.request", "test.absent.x", "on")
        assert (status, b"the disk of" in reason) == (b"500", True)
        assert own_stack.ask("titanic.store", "set", "s", "x", "a", "1")[0] == b"500"
        assert own_stack.ask("titanic.reply", kept) == [b"300"]
        wait_for(lambda: "the disk of" in own_stack.titanic.notify.status, what="the status line to say so")
        own_stack.titanic.wait_output("requests are refused")
    with own_stack.worker("test.absent.x", echo):
        assert own_stack.reply(kept) == [b"200", b"kept", b"200"]
    own_stack.titanic.wait_output("can be written again")
    own_stack.request("test.absent.x", "on")


def test_a_reply_that_can_not_be_stored_at_once_is_stored_later(own_stack):
    seen = []
    id = own_stack.request("test.a.x", "on")
    with full_disk(own_stack):
        with own_stack.worker("test.a.x", recorder(seen)):
            own_stack.titanic.wait_output("requests are refused")
        assert own_stack.ask("titanic.reply", id) == [b"300"]
    with own_stack.worker("test.a.x", recorder(seen)):
        assert own_stack.reply(id) == [b"200", b"on", b"200"]
    assert seen == [[b"on"]]


def test_damage_ends_it_and_the_next_start_puts_the_file_aside(own_stack):
    for key in range(20):
        own_stack.ask("titanic.store", "set", "s", "x", f"k{key}", bytes([65 + key]) * 60_000)
    path = own_stack.folder / FILE
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))
    with contextlib.suppress(AssertionError):
        for key in range(20):
            own_stack.ask("titanic.store", "set", "s", "y", f"k{key}", b"1")
            own_stack.ask("titanic.store", "get", "s", "x")
    assert own_stack.titanic.wait() == 1
    assert "malformed" in own_stack.titanic.output
    own_stack.start()
    own_stack.titanic.wait_output("was put aside")
    assert own_stack.ask("titanic.store", "list") == [b"200"]


def test_a_newer_database_is_refused_with_one_line(own_stack):
    own_stack.titanic.stop()
    with contextlib.closing(sqlite3.connect(own_stack.folder / FILE)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(AssertionError, match="made by a newer RasPy"):
        own_stack.start()
    child = own_stack.processes.children[-1]
    assert child.wait() == 1
    assert "Traceback" not in child.output


def test_a_broker_without_credit_gets_one_reply_for_each_request(run_dir):
    """A plain MDP/0.1 broker, played here, with two workers of titanic.request for it to choose from."""
    address = f"ipc://{run_dir}/mdp.sock"
    with zmq.Context() as ctx, ctx.socket(zmq.ROUTER) as router:
        router.bind(address)
        titanic = Titanic("test", broker=f"ipc://{run_dir}", data_dir=run_dir / "state")
        titanic.settings.workers = 2
        thread = threading.Thread(target=titanic.run)
        thread.start()
        try:
            ready: dict[bytes, list[bytes]] = {}
            while sum(map(len, ready.values())) < 6:
                assert router.poll(5000)
                sender, empty, header, *rest = router.recv_multipart()
                if header == MDP.W_WORKER:
                    assert (empty, rest[0]) == (b"", MDP.W_READY)
                    # Only titanic's own take several at once; mmi and statistics are plain MDP/0.1.
                    credit = {b"titanic.request": CREDIT, b"titanic.store": STORE_CREDIT}.get(rest[1])
                    assert credit is None or rest[2:] == [b"%d" % credit]
                    assert rest[2:] or not rest[1].startswith(b"titanic.")
                    ready.setdefault(rest[1], []).append(sender)
                if len(ready.get(b"titanic.store", [])) and len(ready.get(b"titanic.request", [])) == 2:
                    break
            for number, worker in enumerate(ready[b"titanic.request"]):
                router.send_multipart(
                    [worker, b"", MDP.W_WORKER, MDP.W_REQUEST, b"client", b"", b"test.a.x", b"on"]
                )
                while (message := router.recv_multipart())[0] != worker:
                    assert number < 2
                assert message[1:6] == [b"", MDP.W_WORKER, MDP.W_REPLY, b"client", b""]
                assert message[6] == b"200"
        finally:
            titanic.shutdown()
            thread.join()
