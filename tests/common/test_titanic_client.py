# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import pytest
import zmq

from raspy.common import MDP, mdcliapi, titanic_client
from raspy.common.MDP import ClientError, ServerError
from raspy.common.titanic_client import TitanicClient
from tests.conftest import wait_for
from tests.support.titanic import TitanicStack, echo, recorder

POLL_MS = 20


@pytest.fixture(scope="module")
def stack() -> Iterator[TitanicStack]:
    with tempfile.TemporaryDirectory(prefix="raspy-", dir="/tmp") as home:
        running = TitanicStack(Path(home))
        yield running
        running.close()


@pytest.fixture
def client(stack) -> Iterator[TitanicClient]:
    with TitanicClient(broker=stack.url, poll=POLL_MS) as opened:
        yield opened


@contextmanager
def running(client: TitanicClient) -> Iterator[None]:
    """``client.run()`` in a thread."""
    thread = threading.Thread(target=client.run)
    thread.start()
    try:
        yield
    finally:
        client.shutdown()
        thread.join()


def test_it_is_part_of_mdcliapi_as_in_the_manual():
    assert mdcliapi.TitanicClient is TitanicClient
    with TitanicClient("localhost", 5514, 1500, 900) as client:
        assert str(client.broker) == "tcp://localhost:5514"
        assert (client.poll, client.ttl) == (1500, 900)


def test_a_callback_gets_the_reply_and_its_arguments_once(stack, client):
    calls = SimpleQueue()

    def callback(reply, *args, **kwargs):
        calls.put((reply, args, kwargs))

    with stack.worker("test.called.x", echo), running(client):
        uuid = client.request("test", "called.x", ["on", b"\0"], callback, args=(1, 2), kwargs={"three": 3})
        assert calls.get(timeout=10) == ([b"200", b"on", b"\0", b"200"], (1, 2), {"three": 3})
        wait_for(lambda: client.outstanding() == [], what="the request to be closed")
    assert client.status(uuid)[0] == b"400"
    assert calls.empty()


def test_status_follows_a_request_and_close_ends_it(stack, client):
    uuid = client.request(hostname="", service="test.status.x", data=["on"])
    assert client.status(uuid) == [b"300"]
    with stack.worker("test.status.x", echo):
        wait_for(lambda: client.status(uuid) != [b"300"], what="the reply")
    assert client.status(uuid) == client.status(uuid) == [b"200", b"on", b"200"]
    assert client.outstanding() == [uuid]
    assert client.close(uuid) is True
    assert client.outstanding() == []
    assert client.status(uuid)[0] == b"400"
    assert client.status("no id")[0] == b"400"


def test_close_cancels_what_was_not_carried_out(stack, client):
    seen = []
    cancelled = client.request("test", "cancel.x", ["cancelled"])
    client.close(cancelled)
    kept = client.request("test", "cancel.x", ["kept"])
    with stack.worker("test.cancel.x", recorder(seen)):
        wait_for(lambda: client.status(kept)[0] == b"200", what="the reply")
    assert seen == [[b"kept"]]


def test_send_asks_a_worker_directly(stack, client):
    with stack.worker("test.direct.x", echo):
        assert client.send("test.direct.x", ["on"]) == [b"on", b"200"]


def test_a_request_under_an_own_id_may_be_repeated(stack, client):
    seen = []
    uuid = "0123456789abcdef" * 2
    for _ in range(2):
        assert client.request("test", "own.x", ["on"], uuid=uuid) == uuid
    with stack.worker("test.own.x", recorder(seen)):
        wait_for(lambda: client.status(uuid)[0] == b"200", what="the reply")
        client.close(uuid)
    assert seen == [[b"on"]]


def test_what_titanic_refuses_is_not_outstanding(client):
    with pytest.raises(ClientError, match="printable"):
        client.request("test", "no\nname", ["on"])
    assert client.outstanding() == []


def test_without_titanic_a_request_fails_in_time_and_status_says_so(run_dir, monkeypatch):
    monkeypatch.setattr(titanic_client, "SUBMIT_TRIES", 2)
    monkeypatch.setattr(titanic_client.MajorDomoClient, "timeout", 20)
    with TitanicClient(broker=f"ipc://{run_dir}", outstanding=run_dir / "memory") as client:
        with pytest.raises(ServerError, match="did not confirm request"):
            client.request("test", "a.x", ["on"])
        assert client.outstanding() == []
        assert client.status("0" * 32)[0] == b"500"
        assert client.close("0" * 32) is False


def test_a_titanic_that_dies_over_a_question_has_not_answered_it(broker):
    """What the broker says then is not titanic's word: the request is asked for again."""
    calls = SimpleQueue()
    seen = []
    stop = threading.Event()

    def die_over_each() -> None:
        while not stop.is_set():
            with zmq.Context() as ctx, ctx.socket(zmq.DEALER) as worker:
                worker.connect(broker.address.mdp)
                worker.send_multipart([b"", MDP.W_WORKER, MDP.W_READY, b"titanic.reply"])
                if worker.poll(200):
                    seen.append(worker.recv_multipart()[-1])
                worker.send_multipart([b"", MDP.W_WORKER, MDP.W_DISCONNECT])

    thread = threading.Thread(target=die_over_each)
    thread.start()
    with TitanicClient(broker=broker.url, poll=POLL_MS) as client:
        with running(client):
            client.watch("a" * 32, calls.put)
            wait_for(lambda: len(seen) > 2, what="questions")
        assert client.outstanding() == ["a" * 32]
        assert calls.empty()
        assert client.status("a" * 32) == [b"500", b"titanic does not answer; is it running?"]
    stop.set()
    thread.join()


def test_a_bad_callback_is_logged_and_the_others_go_on(stack, client, caplog):
    calls = SimpleQueue()

    def bad(_):
        raise RuntimeError("not today")

    with stack.worker("test.bad.x", echo), running(client):
        client.request("test", "bad.x", ["1"], bad)
        client.request("test", "bad.x", ["2"], calls.put)
        assert calls.get(timeout=10) == [b"200", b"2", b"200"]
        wait_for(lambda: client.outstanding() == [], what="both to be closed")
    assert "not today" in caplog.text


def test_a_request_that_titanic_does_not_know_is_called_back_as_400(client):
    calls = SimpleQueue()
    with running(client):
        client.watch("f" * 32, calls.put)
        assert calls.get(timeout=10)[0] == b"400"
        wait_for(lambda: client.outstanding() == [], what="it to be forgotten")


def test_a_reply_without_callback_is_kept_for_status_as_long_as_ttl(stack):
    with TitanicClient(broker=stack.url, poll=POLL_MS, ttl=60) as client, stack.worker("test.ttl.x", echo):
        with running(client):
            uuid = client.request("test", "ttl.x", ["on"])
            wait_for(lambda: client.status(uuid)[0] == b"200", what="the reply")
            marker = SimpleQueue()
            client.request("test", "ttl.x", ["later"], marker.put)
            marker.get(timeout=10)
        assert client.status(uuid)[0] == b"200"
        assert client.outstanding() == [uuid]
    with TitanicClient(broker=stack.url, poll=POLL_MS, ttl=0) as client:
        client.watch(uuid)
        with running(client):
            wait_for(lambda: client.outstanding() == [], what="the reply to be closed")
        assert client.status(uuid)[0] == b"400"


# The memory of a client that is started again.


def test_a_client_that_restarts_picks_up_its_outstanding_ids(stack, tmp_path):
    memory = tmp_path / "state" / "outstanding"
    with TitanicClient(broker=stack.url, outstanding=memory) as client:
        closed = client.request("test", "again.x", ["closed"])
        uuids = [client.request("test", "again.x", [str(number)]) for number in range(3)]
        client.close(closed)
    calls = SimpleQueue()
    with TitanicClient(broker=stack.url, poll=POLL_MS, outstanding=memory) as client:
        assert client.outstanding() == uuids
        for uuid in uuids:
            client.watch(uuid, calls.put)
        with stack.worker("test.again.x", echo), running(client):
            replies = [calls.get(timeout=10) for _ in uuids]
            wait_for(lambda: client.outstanding() == [], what="all to be closed")
    # Each is asked for on its own, so the one that was not answered yet comes after those that were.
    assert sorted(replies) == [[b"200", b"%d" % number, b"200"] for number in range(3)]
    with TitanicClient(broker=stack.url, outstanding=memory) as client:
        assert client.outstanding() == []


def test_an_id_is_remembered_before_the_request_is_sent(run_dir, monkeypatch):
    """A crash between the two loses nothing: titanic is asked for an id that it does not know."""
    memory = run_dir / "outstanding"
    remembered = []
    monkeypatch.setattr(TitanicClient, "_submit", lambda *_: remembered.append(memory.read_text()))
    with TitanicClient(broker=f"ipc://{run_dir}", outstanding=memory) as client:
        uuid = client.request("test", "a.x", ["on"])
    entry = json.loads(remembered[0])
    assert (entry["id"], entry["service"]) == (uuid, "test.a.x")


def test_a_memory_cut_short_keeps_what_is_whole(run_dir, monkeypatch, caplog):
    memory = run_dir / "outstanding"
    monkeypatch.setattr(TitanicClient, "_submit", lambda *_: None)
    with TitanicClient(broker=f"ipc://{run_dir}", outstanding=memory) as client:
        uuids = [client.request("test", "a.x", ["on"]) for _ in range(3)]
    text = memory.read_text()
    for size in range(len(text) - 60, len(text)):
        memory.write_text(text[:size])
        with TitanicClient(broker=f"ipc://{run_dir}", outstanding=memory) as client:
            assert client.outstanding()[:2] == uuids[:2]
    assert "damaged and was left out" in caplog.text


def test_the_memory_does_not_grow_with_what_is_closed(run_dir, monkeypatch):
    memory = run_dir / "outstanding"
    monkeypatch.setattr(TitanicClient, "_submit", lambda *_: None)
    monkeypatch.setattr(titanic_client._Memory, "FEW", 20)
    entries = []
    with TitanicClient(broker=f"ipc://{run_dir}", outstanding=memory) as client:
        kept = client.request("test", "a.x", ["on"])
        for _ in range(50):
            client._forget(client.request("test", "a.x", ["on"]))
            entries.append(len(memory.read_text().splitlines()))
        assert max(entries) == max(entries[:25])
    with TitanicClient(broker=f"ipc://{run_dir}", outstanding=memory) as client:
        assert client.outstanding() == [kept]
