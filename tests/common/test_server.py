# SPDX-License-Identifier: GPL-3.0-or-later
"""A server answers on the bus and on its control socket; bad requests get a sentence, and harm nothing."""

import json
import logging
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

from raspy.common import MDP, journal
from raspy.common.config import Settings
from raspy.common.kvcliapi import KvSubscriberClient
from raspy.common.mdcliapi import MajorDomoClient
from raspy.common.server import Server
from tests.conftest import Processes, wait_for
from tests.support.broker import RunningBroker


class Kettle(Server):
    """A server as an author writes it."""

    SERVICE = "kettle"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.may_go_on = threading.Event()
        self.in_work = threading.Event()
        self.working = False

    def busy(self):
        return self.working

    def worker_water(self):
        self.serve("water", {
            "nothing": lambda: None,
            "text": lambda: "hot",
            "bytes": lambda: b"\x00",
            "keys": lambda: ("a", b"b"),
            "json": lambda: {"°C": [21.5, None]},
            "echo": self.echo,
            "optional": self.optional,
            "any": lambda *arguments: str(len(arguments)),
            "client": self.client_error,
            "missing": self.missing,
            "server": self.server_error,
            "bug": lambda: 1 / 0,
            "who": self.requester,
            "slow": self.slow,
            "numbers": lambda: (1, 2),
            "none within": lambda: ("a", None),
            "surrogate": lambda: "\udcff",
            "file name": lambda: {"name": "caf\udce9"},
            "what": lambda: object(),
            "exit": lambda: sys.exit(3),
            "file error": self.file_error,
        })  # fmt: skip

    def echo(self, value):
        return value

    def optional(self, one, two=b"2"):
        return one + two

    def client_error(self):
        raise MDP.ClientError("too much water")

    def missing(self):
        raise MDP.NotFoundError("no such kettle")

    def file_error(self):
        raise MDP.ClientError("no file caf\udce9")

    def server_error(self):
        raise MDP.ServerError("the fuse blew")

    def slow(self):
        self.in_work.set()
        self.may_go_on.wait(20)
        return "done"


@contextmanager
def boiling(url):
    """A kettle that runs in a thread, and a client of its broker."""
    server = Kettle("test", "kettle", broker=url)
    thread = threading.Thread(target=server.run, name="kettle")
    thread.start()
    with MajorDomoClient(url) as client:
        wait_for(lambda: client.send("mmi.workers", "test.kettle.water") == [b"1", b"200"])
        server.client = client
        yield server
    server.may_go_on.set()
    server.shutdown()
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def kettle(broker):
    """A kettle and a broker of the test's own."""
    with boiling(broker.url) as server:
        yield server


@pytest.fixture(scope="module")
def standing():
    """A kettle for all tests that do nothing to it but ask."""
    with tempfile.TemporaryDirectory(prefix="raspy-", dir="/tmp") as home:
        processes = Processes(Path(home))
        broker = RunningBroker(processes)
        with boiling(broker.url) as server:
            for suffix in ("mmi", "statistics"):
                name = f"test.kettle.{suffix}"
                wait_for(lambda name=name: server.client.send("mmi.service", name) == [b"200"])
            yield server
        assert broker.child.stop() == 0
        assert processes.close() == []


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (["nothing"], [b"200"]),
        (["text"], [b"hot", b"200"]),
        (["bytes"], [b"\x00", b"200"]),
        (["keys"], [b"a", b"b", b"200"]),
        (["json"], ['{"°C": [21.5, null]}'.encode(), b"200"]),
        (["echo", b"\xff"], [b"\xff", b"200"]),
        (["optional", "1"], [b"12", b"200"]),
        (["optional", "1", "3"], [b"13", b"200"]),
        (["any"], [b"0", b"200"]),
        (["any", *"abcdef"], [b"6", b"200"]),
        (["client"], [b"too much water", b"400"]),
        (["missing"], [b"no such kettle", b"404"]),
        (["server"], [b"the fuse blew", b"500"]),
        (["echo"], [b"'echo' takes 1 arguments, not 0", b"400"]),
        (["optional"], [b"'optional' takes 1 to 2 arguments, not 0", b"400"]),
        (["echo", "a", "b"], [b"'echo' takes 1 arguments, not 2", b"400"]),
        (["file error"], [b"no file caf?", b"400"]),
        (["file name"], [b'{"name": "caf?"}', b"200"]),
        (["numbers"], [b"internal error in test.kettle: TypeError; see its journal", b"500"]),
        (["none within"], [b"internal error in test.kettle: TypeError; see its journal", b"500"]),
        (["surrogate"], [b"internal error in test.kettle: UnicodeEncodeError; see its journal", b"500"]),
        (["what"], [b"internal error in test.kettle: TypeError; see its journal", b"500"]),
        (["exit"], [b"internal error in test.kettle: SystemExit; see its journal", b"500"]),
        (["bug"], [b"internal error in test.kettle: ZeroDivisionError; see its journal", b"500"]),
    ],
)
def test_what_handlers_return_and_raise(standing, request_, reply):
    assert standing.client.send("test.kettle.water", request_) == reply
    assert standing.client.send("test.kettle.water", "text") == [b"hot", b"200"]


def test_an_action_that_is_not_there_is_answered_with_those_that_are(standing):
    reason, status = standing.client.send("test.kettle.water", ["boil\xff"])
    assert status == b"501"
    assert reason.startswith("test.kettle.water has no action 'boil\xff'; it has: any, bug, ".encode())
    assert standing.client.send("test.kettle.water", [""])[-1] == b"501"


def test_a_bug_is_logged_with_its_traceback_and_counted(kettle, caplog):
    kettle.client.send("test.kettle.water", "bug")
    assert "a request to test.kettle.water failed" in caplog.text
    assert "ZeroDivisionError: division by zero" in caplog.text
    assert kettle.statistics["server.errors"].value == 1


def test_who_asks_is_known_inside_a_handler_only(kettle, broker):
    with MajorDomoClient(broker.url, name="dashboard") as client:
        (name,) = client.call("test.kettle.water", "who")
        assert name.startswith(b"dashboard-")
    assert kettle.requester() == ""


def test_a_foreign_asker_is_named_in_hexadecimal(kettle, broker):
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.linger, socket.rcvtimeo = 0, 20_000
    socket.setsockopt(zmq.IDENTITY, b"\x01\xff")
    socket.connect(broker.address.mdp)
    socket.send_multipart([b"", b"MDPC01", b"test.kettle.water", b"who"])
    try:
        assert socket.recv_multipart()[3:] == [b"0x01ff", b"200"]
    finally:
        context.destroy(linger=0)


def test_mmi(standing):
    (status,) = standing.client.call("test.kettle.mmi", "status")
    assert status == b"running"
    info = json.loads(standing.client.call("test.kettle.mmi", "info")[0])
    assert info["name"] == "test.kettle"
    assert info["workers"] == ["mmi", "statistics", "water"]
    assert info["uptime_s"] >= 0
    assert 1 << 20 < info["memory"] < 1 << 32


def test_what_may_be_asked_is_listed(standing):
    actions = json.loads(standing.client.call("test.kettle.mmi", "actions")[0])
    assert list(actions) == ["mmi", "statistics", "water"]
    assert actions["mmi"]["loglevel"]["least"] == 0 and actions["mmi"]["loglevel"]["most"] == 1
    assert actions["statistics"]["get"]["info"] == "get OID: one statistic."
    assert actions["water"]["any"]["most"] >= 1000 and actions["water"]["text"]["info"] == ""


def test_loglevel(standing):
    root = logging.getLogger()
    before = root.level
    try:
        assert standing.client.call("test.kettle.mmi", "loglevel", "error") == [b"error"]
        assert standing.client.call("test.kettle.mmi", "loglevel") == [b"error"]
        assert journal.get_level() == "error"
        assert standing.client.send("test.kettle.mmi", ["loglevel", "loud"])[-1] == b"400"
    finally:
        root.setLevel(before)


def test_statistics(standing):
    keys = standing.client.call("test.kettle.statistics", "list_keys")
    assert keys == [oid.encode() for oid in sorted(standing.statistics)]
    asked = standing.statistics["server.requests"].value
    one = json.loads(standing.client.call("test.kettle.statistics", "get", "server.requests")[0])
    assert one["value"] == asked + 1
    everything = json.loads(standing.client.call("test.kettle.statistics", "all")[0])
    assert set(everything) == set(standing.statistics)
    assert standing.client.send("test.kettle.statistics", ["get", "x"])[-1] == b"404"


def test_the_control_socket_answers_the_same_also_without_a_broker(kettle, broker):
    broker.kill()
    with MajorDomoClient(f"ipc://{broker.folder}/kettle.sock") as client:
        assert client.call("test.kettle.water", "echo", "x") == [b"x"]
        assert client.call("test.kettle.mmi", "status") == [b"running"]
        assert client.send("test.kettle.tea", "x") == [b"test.kettle has no service 'tea'", b"404"]
        assert client.send("test.other.mmi", "x")[-1] == b"404"


def test_the_control_socket_drops_what_is_not_mdp(kettle, broker):
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.linger, socket.rcvtimeo = 0, 20_000
    socket.connect(f"ipc://{broker.folder}/kettle.sock")
    for frames in (
        [b""],
        [b"", b"MDPC01"],
        [b"x", b"MDPC01", b"test.kettle.mmi", b"status"],
        [b"", b"MDPW01", b"\x01", b"x"],
    ):
        socket.send_multipart(frames)
    socket.send_multipart([b"", b"MDPC01", b"test.kettle.mmi", b"status"])
    try:
        assert socket.recv_multipart()[3:] == [b"running", b"200"]
    finally:
        context.destroy(linger=0)


def test_one_request_of_a_service_at_a_time(kettle, broker, monkeypatch):
    monkeypatch.setattr("raspy.common.server.LOCK_S", 0.1)
    replies = []

    def ask():
        with MajorDomoClient(broker.url) as client:
            client.retries = 40
            replies.append(client.send("test.kettle.water", "slow"))

    asker = threading.Thread(target=ask)
    asker.start()
    assert kettle.in_work.wait(10)
    with MajorDomoClient(f"ipc://{broker.folder}/kettle.sock") as client:
        reason, status = client.send("test.kettle.water", "text")
        assert (reason, status) == (
            b"test.kettle.water is busy with another request; try again later",
            b"500",
        )
        assert client.call("test.kettle.mmi", "status") == [b"running"], "the other services go on"
    kettle.may_go_on.set()
    asker.join(10)
    assert replies == [[b"done", b"200"]]


def test_published_values_arrive_from_any_thread(kettle, broker):
    subscriber = KvSubscriberClient(subtree="/event/", broker=broker.url)
    thread = threading.Thread(target=subscriber.run)
    thread.start()
    try:
        kettle.publish("/event/", "kettle/boiled", b"1")
        wait_for(lambda: subscriber.kvmap == {"/event/kettle/boiled": b"1"})
    finally:
        subscriber.shutdown()
        thread.join(10)
        subscriber.destroy()


def test_after_the_end_nothing_is_published_and_nothing_breaks(broker):
    server = Kettle("test", "kettle", broker=broker.url)
    server.destroy()
    server.publish("/event/", "kettle/boiled", b"1")


def test_an_idle_server_ends_and_a_busy_one_does_not(broker, caplog):
    caplog.set_level("INFO")
    settings = Settings.defaults(Kettle.SETTINGS, idle_exit_s=0.2)
    server = Kettle("test", "kettle", broker=broker.url, settings=settings)
    server.working = True
    thread = threading.Thread(target=server.run)
    thread.start()
    with MajorDomoClient(broker.url) as client:
        wait_for(lambda: client.send("mmi.workers", "test.kettle.water") == [b"1", b"200"])
        wait_for(lambda: server.uptime_s() > 1.2)
        assert thread.is_alive()
    server.working = False
    thread.join(10)
    assert not thread.is_alive()
    assert "nothing to do for 0 s; ending until a request comes" in caplog.text


def test_no_control_socket_without_a_local_broker(run_dir):
    server = Kettle("test", "kettle", "127.0.0.1", 5514)
    server.worker_control()
    server.destroy()
