# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests under way: many at once, answered out of order, refused, given up; with a real broker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import zmq

from raspy.common import MDP
from raspy.common.mdwrkapi import MajorDomoWorker
from raspy.servers.core.runner import courier as module
from raspy.servers.core.runner.courier import Courier
from tests.conftest import Processes
from tests.support.broker import RunningBroker


class Office:
    """A courier, the loop that it wants, and workers that it can ask."""

    def __init__(self, broker: RunningBroker) -> None:
        self.broker = broker
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.rung = 0
        self.courier = Courier(broker.address, self.context, self.ring)
        self.answers: list[tuple[str, list[bytes], str]] = []
        self._workers: list[tuple[MajorDomoWorker, threading.Thread]] = []

    def ring(self) -> None:
        self.rung += 1

    def worker(self, service: str, handler: Callable[[list[bytes]], list[bytes]]) -> None:
        worker = MajorDomoWorker(self.broker.url, service)

        def serve() -> None:
            reply = None
            while (request := worker.recv(reply)) is not None:
                reply = handler(request)

        thread = threading.Thread(target=serve)
        thread.start()
        self._workers.append((worker, thread))

    def ask(self, service: str, *request: str, timeout_s: float = 10.0) -> None:
        def done(result: list[bytes], error: str) -> None:
            self.answers.append((service, result, error))

        self.courier.ask(service, request, done, timeout_s)

    def until(self, count: int, timeout_s: float = 15) -> None:
        """Go around until so many answers have come."""
        deadline = time.monotonic() + timeout_s
        while len(self.answers) < count:
            assert time.monotonic() < deadline, self.answers
            self.courier.pump(time.monotonic())
            for socket, _ in zmq.zmq_poll([(one, zmq.POLLIN) for one in self.courier.sockets()], 20):
                self.courier.receive(socket)

    def close(self) -> None:
        self.courier.close()
        for worker, thread in self._workers:
            worker.shutdown()
            thread.join(10)
            worker.destroy()
        self.context.term()


@pytest.fixture
def office(processes: Processes) -> Iterator[Office]:
    one = Office(RunningBroker(processes))
    yield one
    one.close()


def test_a_slow_service_holds_up_nobody_else(office: Office) -> None:
    go_on = threading.Event()

    def slow(request: list[bytes]) -> list[bytes]:
        go_on.wait(10)
        return [*request, MDP.T_OK]

    office.worker("slow", slow)
    office.worker("quick", lambda request: [*request, MDP.T_OK])
    office.ask("slow", "a")
    for number in range(30):
        office.ask("quick", str(number))
    office.until(30)
    assert {service for service, _, _ in office.answers} == {"quick"}
    assert sorted(int(result[0]) for _, result, _ in office.answers) == list(range(30))
    assert office.courier.due_at() is not None and office.rung == 31
    go_on.set()
    office.until(31)
    assert office.answers[-1] == ("slow", [b"a"], "")
    assert office.courier.sockets() == [] and office.courier.due_at() is None


def test_a_refusal_and_a_silence_come_as_words(office: Office) -> None:
    office.worker("strict", lambda request: [b"no such thing", MDP.T_NOTFOUND])
    silent = threading.Event()
    office.worker("silent", lambda request: [b"%d" % silent.wait(5), MDP.T_OK])
    office.ask("strict", "x")
    office.ask("silent", "x", timeout_s=0.3)
    office.until(2)
    silent.set()
    assert ("strict", [], "no such thing") in office.answers
    assert ("silent", [], "no answer from silent within 0.3 s") in office.answers


def test_there_is_an_end_to_waiting(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING", 2)
    for _ in range(3):
        office.ask("nobody", "x", timeout_s=0.2)
    assert "wait already" in office.answers[0][2]
    office.until(3)


def test_an_answer_of_somebody_else_is_dropped(office: Office) -> None:
    router = office.context.socket(zmq.ROUTER)
    router.bind(f"ipc://{office.broker.folder}/played.sock")
    try:
        office.courier._endpoint = f"ipc://{office.broker.folder}/played.sock"
        office.ask("mine", "x")
        office.courier.pump(time.monotonic())
        assert router.poll(5000)
        identity, empty, *_ = router.recv_multipart()
        for frames in (
            [b"", MDP.C_CLIENT, b"other", b"200"],
            [b"nonsense"],
            [b"", MDP.C_CLIENT, b"mine", b"y", b"200"],
        ):
            router.send_multipart([identity, *frames])
        office.until(1)
        assert office.answers == [("mine", [b"y"], "")] and empty == b""
    finally:
        router.close(linger=0)
