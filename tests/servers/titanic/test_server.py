# SPDX-License-Identifier: GPL-3.0-or-later
"""Titanic as a process, on a real broker."""

from __future__ import annotations

import json
import threading
import uuid

import pytest
import zmq

from raspy.common import MDP
from raspy.common.mdcliapi import MajorDomoClient
from raspy.servers.titanic import Titanic, checks
from tests.conftest import wait_for
from tests.support.titanic import TitanicStack, echo, recorder

NOWHERE = b"0" * 32


def figure(stack: TitanicStack, name: str) -> float:
    return json.loads(stack.ask("test.titanic.statistics", "get", f"titanic.{name}")[0])["value"]


# RFC 9.


def test_a_request_is_kept_until_a_worker_comes_and_its_reply_until_it_is_closed(stack):
    uuid = stack.request("test.a.x", "on", b"\0\xff")
    assert len(uuid) == 32
    assert int(uuid, 16)
    assert stack.ask("titanic.reply", uuid) == [b"300"]
    with stack.worker("test.a.x", echo):
        assert stack.reply(uuid) == [b"200", b"on", b"\0\xff", b"200"]
    assert stack.ask("titanic.reply", uuid.upper()) == [b"200", b"on", b"\0\xff", b"200"]
    assert stack.ask("titanic.close", uuid) == [b"200"]
    assert stack.ask("titanic.reply", uuid)[0] == b"400"
    assert stack.ask("titanic.close", uuid) == [b"200"]


def test_each_request_has_its_own_id(stack):
    ids = {stack.request("test.absent.x", "on") for _ in range(50)}
    assert len(ids) == 50
    assert all(uuid.UUID(id.decode()).version == 8 for id in ids)
    for id in ids:
        assert stack.ask("titanic.close", id) == [b"200"]


@pytest.mark.parametrize(
    ("service", "frames"),
    [
        ("titanic.request", [""]),
        ("titanic.request", ["test.a.x"]),
        ("titanic.request", ["no\nname", "on"]),
        ("titanic.request", ["test.a.x", bytes(checks.MAX_BODY_BYTES + 1)]),
        ("titanic.submit", ["", "test.a.x", "on"]),
        ("titanic.submit", [NOWHERE]),
        ("titanic.submit", [NOWHERE, "test.a.x"]),
        ("titanic.reply", ["../../etc/passwd"]),
        ("titanic.reply", [NOWHERE, NOWHERE]),
        ("titanic.close", ["no id"]),
        ("titanic.reply", [NOWHERE]),
    ],
)
def test_a_wrong_request_is_400_with_a_reason(stack, service, frames):
    status, reason = stack.ask(service, *frames)
    assert status == b"400"
    assert len(reason) > 20


def test_what_is_submitted_twice_is_carried_out_once(stack):
    id = uuid.uuid4().hex.encode()
    seen = []
    assert stack.ask("titanic.submit", id, "test.once.x", "on") == [b"200", id]
    assert stack.ask("titanic.submit", id, "test.once.x", "on") == [b"200", id]
    with stack.worker("test.once.x", recorder(seen)):
        stack.reply(id)
        assert stack.ask("titanic.submit", id, "test.once.x", "on") == [b"200", id]
        after = stack.request("test.once.x", "after")
        stack.reply(after)
    assert seen == [[b"on"], [b"after"]]


def test_requests_of_a_service_are_carried_out_in_order(stack):
    seen = []
    ids = [stack.request("test.order.x", str(number)) for number in range(30)]
    with stack.worker("test.order.x", recorder(seen)):
        for number, id in enumerate(ids):
            assert stack.reply(id) == [b"200", b"%d" % number, b"200"]
    assert seen == [[b"%d" % number] for number in range(30)]


def test_a_workers_error_is_its_reply(stack):
    with stack.worker("test.refuses.x", lambda _: [b"no such device", b"404"]):
        assert stack.reply(stack.request("test.refuses.x", "on")) == [b"200", b"no such device", b"404"]


def test_a_worker_that_dies_leaves_the_request_to_the_next(stack):
    worker = zmq.Context.instance().socket(zmq.DEALER)
    worker.connect(stack.broker.address.mdp)
    worker.send_multipart([b"", MDP.W_WORKER, MDP.W_READY, b"test.dies.x"])
    id = stack.request("test.dies.x", "on")
    assert worker.poll(5000)
    assert worker.recv_multipart()[-1] == b"on"
    worker.send_multipart([b"", MDP.W_WORKER, MDP.W_DISCONNECT])
    seen = []
    with stack.worker("test.dies.x", recorder(seen)):
        assert stack.reply(id) == [b"200", b"on", b"200"]
    worker.close(linger=0)
    zmq.Context.instance().term()
    assert seen == [[b"on"]]


def test_a_request_that_is_never_answered_ends_as_a_stored_500(own_stack):
    own_stack.titanic.stop()
    own_stack.start("tries=2", "reply_s=0.2")
    released = threading.Event()

    def hang(request: list[bytes]) -> list[bytes]:
        released.wait(20)
        return echo(request)

    with own_stack.worker("test.hangs.x", hang):
        id = own_stack.request("test.hangs.x", "on")
        status, reason = own_stack.reply(id)
        released.set()
    assert status == b"500"
    assert b"test.hangs.x did not answer in 2 tries (the last: no reply came within 0.2 s)" in reason
    assert own_stack.ask("titanic.reply", id) == [status, reason]
    wait_for(lambda: figure(own_stack, "failed") == 1, what="the figure")


def test_what_waits_or_is_kept_too_long_goes(own_stack):
    own_stack.titanic.stop()
    own_stack.start("max_age_s=1", "keep_s=2")
    id = own_stack.request("test.absent.x", "on")
    status, reason = own_stack.reply(id)
    assert status == b"500"
    assert reason.startswith(b"no server has offered test.absent.x within 1 s")
    wait_for(lambda: own_stack.ask("titanic.reply", id)[0] == b"400", what="its removal")
    assert "1 requests failed" in own_stack.titanic.output
    assert "1 old replies were removed" in own_stack.titanic.output


def test_limits_are_said_and_lifted_by_closing(own_stack):
    own_stack.titanic.stop()
    own_stack.start("max_requests=2")
    ids = [own_stack.request("test.absent.x", "on") for _ in range(2)]
    status, reason = own_stack.ask("titanic.request", "test.absent.x", "on")
    assert (status, b"max_requests" in reason) == (b"500", True)
    own_stack.ask("titanic.close", ids[0])
    own_stack.request("test.absent.x", "on")


def test_a_database_of_bounded_size_keeps_room_for_replies_and_configuration(own_stack):
    own_stack.titanic.stop()
    own_stack.start("max_database_mib=4", "pause_s=0.2")
    ids = []

    def full() -> bytes | None:
        reply = own_stack.ask("titanic.request", "test.big.x", bytes(200_000))
        if reply[0] == b"200":
            ids.append(reply[1])
            return None
        return reply[1]

    reason = wait_for(full, what="the database to be full")
    assert b"full (max_database_mib)" in reason
    assert own_stack.ask("titanic.store", "set", "s", "x", "k", "v") == [b"200"]
    with own_stack.worker("test.big.x", lambda _: [b"200"]):
        for id in ids:
            assert own_stack.reply(id)[0] == b"200"
            assert own_stack.ask("titanic.close", id) == [b"200"]
    wait_for(lambda: own_stack.ask("titanic.request", "test.big.x", bytes(200_000))[0] == b"200", what="room")


def test_the_database_shrinks_when_requests_are_closed(own_stack):
    own_stack.titanic.stop()
    own_stack.start("max_age_s=100", "keep_s=2")
    ids = [own_stack.request("test.absent.x", bytes(50_000)) for _ in range(60)]
    wait_for(lambda: figure(own_stack, "database_bytes") > 3_000_000, what="a large database")
    for id in ids:
        own_stack.ask("titanic.close", id)
    wait_for(lambda: figure(own_stack, "database_bytes") < 1_000_000, what="a small database")


# The key/value store.


def test_the_store_on_the_bus(stack):
    assert stack.ask("titanic.store", "set", "s", "x", "a", "1", "b", b"\xff") == [b"200"]
    assert stack.ask("titanic.store", "get", "s", "x", "b") == [b"200", b"\xff"]
    assert stack.ask("titanic.store", "get", "s", "x") == [b"200", b"a", b"1", b"b", b"\xff"]
    assert stack.ask("titanic.store", "list", "s") == [b"200", b"x"]
    assert stack.ask("titanic.store", "delete", "s", "x") == [b"200"]
    assert stack.ask("titanic.store", "get", "s", "x", "b")[0] == b"404"


def test_the_store_on_the_control_socket_when_the_broker_is_down(own_stack):
    own_stack.ask("titanic.store", "set", "s", "x", "a", "1")
    own_stack.broker.kill()
    with MajorDomoClient(f"{own_stack.url}/titanic.sock") as client:
        assert client.call("test.titanic.store", "get", "s", "x") == [b"a", b"1"]
        client.call("test.titanic.store", "set", "s", "x", "a", "2")
        with pytest.raises(MDP.NotFoundError, match="no key 'b'"):
            client.call("test.titanic.store", "get", "s", "x", "b")
        assert client.call("test.titanic.store", "list") == [b"s"]
    own_stack.broker.start()
    wait_for(
        lambda: own_stack.client.send("mmi.service", "titanic.store") == [b"200"], what="titanic to be back"
    )
    assert own_stack.ask("titanic.store", "get", "s", "x", "a") == [b"200", b"2"]


# What the manual names.


def test_the_constructor_of_the_manual(run_dir):
    titanic = Titanic(
        hostname="localhost",
        service="titanic",
        broker_ip="127.0.0.1",
        broker_port=5514,
        data_dir=str(run_dir),
    )
    assert str(titanic.broker) == "tcp://127.0.0.1:5514"
    assert titanic.data_dir == run_dir
    titanic.destroy()


def test_service_success_tries_one_request_now(broker, run_dir):
    titanic = Titanic("test", broker=broker.url, data_dir=run_dir / "state")
    titanic.setup()
    stored = bytes(15) + b"\1"
    titanic.requests.add_as(stored, "test.a.x", [b"on"])
    with MajorDomoClient(broker.url) as client:
        assert titanic.service_success(client, NOWHERE) is True
        with pytest.raises(MDP.ClientError):
            titanic.service_success(client, "no id")
        assert titanic.service_success(client, stored.hex()) is False
        assert titanic.requests.reply(stored) == [b"300"]
        worker = titanic.ctx.socket(zmq.DEALER)
        worker.connect(broker.address.mdp)
        worker.send_multipart([b"", MDP.W_WORKER, MDP.W_READY, b"test.a.x"])
        wait_for(lambda: client.send("mmi.service", "test.a.x") == [b"200"], what="the worker")

        def answer() -> None:
            _, _, _, asker, _, *body = worker.recv_multipart()
            worker.send_multipart([b"", MDP.W_WORKER, MDP.W_REPLY, asker, b"", *body, b"200"])

        thread = threading.Thread(target=answer)
        thread.start()
        assert titanic.service_success(client, stored.hex()) is True
        thread.join()
        worker.close(linger=0)
    assert titanic.requests.reply(stored) == [b"200", b"on", b"200"]
    titanic.destroy()
