# SPDX-License-Identifier: GPL-3.0-or-later
"""The link to the bus."""

import threading

import pytest

from raspy.common.mdwrkapi import MajorDomoWorker
from raspyweb.app import bus as module
from raspyweb.app.bus import Bus, BusAway, Refused
from tests.conftest import wait_for

WAIT_S = 30


@pytest.fixture
def link(broker):
    made = Bus(broker.url, "test")
    thread = threading.Thread(target=made.follow, args=(lambda: None,))
    thread.start()
    wait_for(lambda: made.values.present, WAIT_S, "the mirror")
    yield made
    made.shutdown()
    thread.join(WAIT_S)
    made.close()


@pytest.fixture
def service(broker):
    """A function: serve a service with one reply to everything."""
    started = []

    def serve(name, *reply):
        worker = MajorDomoWorker(broker.url, name)

        def life():
            answer = None
            while worker.recv(answer) is not None:
                answer = list(reply)

        thread = threading.Thread(target=life)
        thread.start()
        started.append((worker, thread))

    yield serve
    for worker, thread in started:
        worker.shutdown()
        thread.join(WAIT_S)
        worker.destroy()


def test_a_reply_without_its_status_and_a_refusal_with_its_words(link, service):
    service("pi.x.good", b"one", b"two", b"200")
    service("pi.x.bad", b"not so", b"400")
    service("pi.x.json", b'{"a": 1}', b"200")
    wait_for(lambda: link.awake() >= {"pi.x.good", "pi.x.bad", "pi.x.json"}, WAIT_S)
    assert link.call("pi.x.good", "do", "é", b"\xff") == [b"one", b"two"]
    assert link.send("pi.x.good", ["do"]) == [b"one", b"two", b"200"]
    with pytest.raises(Refused, match="not so") as refused:
        link.call("pi.x.bad", "do")
    assert (refused.value.status, refused.value.why) == (400, "not so")
    assert link.json("pi.x.json", "do") == {"a": 1}
    with pytest.raises(Refused, match="answered 'do' with what is not JSON"):
        link.json("pi.x.good", b"do")


def test_services_and_hosts(link, service):
    service("attic.core.cron", b"200")
    service("test.core.cron", b"200")
    wait_for(lambda: link.awake() >= {"attic.core.cron", "test.core.cron"}, WAIT_S)
    assert {"attic.core.cron", "test.core.cron"} <= set(link.services())
    assert link.hosts() == ["attic", "test"]
    # One's own machine goes first; one that only another has is found; one that nobody has is the own.
    assert link.server("core") == "test.core"
    assert link.server("logger") == "test.logger"
    service("attic.logger.graph", b"200")
    wait_for(lambda: "attic.logger.graph" in link.awake(), WAIT_S)
    assert link.server("logger") == "attic.logger"


def test_kinds_are_asked_for_now_and_then(link, service, monkeypatch):
    service("pi.fake.devices", b'{"sensor.x": {}}', b"200")
    wait_for(lambda: "pi.fake.devices" in link.awake(), WAIT_S)
    assert link.kinds("pi.fake.devices") == {"sensor.x": {}}
    asked = []
    monkeypatch.setattr(link, "json", lambda *frames: asked.append(frames) or {"sensor.y": {}})
    assert link.kinds("pi.fake.devices") == {"sensor.x": {}} and not asked
    monkeypatch.setattr(module, "KINDS_S", -1.0)
    assert link.kinds("pi.fake.devices") == {"sensor.y": {}} and asked


def test_nobody_answers(link):
    with pytest.raises(BusAway, match=r"no answer from nobody\.there within 0\.2 s"):
        link.call("nobody.there", "do", timeout_s=0.2)
    # The next request does not get what came too late.
    assert link.services()


def test_a_broker_that_is_away_is_not_waited_for_long(run_dir, monkeypatch):
    monkeypatch.setattr(module, "AWAY_S", 0.1)
    link = Bus(f"ipc://{run_dir}", "test")
    with pytest.raises(BusAway, match=r"within 0\.1 s"):
        link.services()
    link.close()


def test_threads_do_not_share_a_connection(link, service):
    service("pi.x.good", b"one", b"200")
    wait_for(lambda: "pi.x.good" in link.awake(), WAIT_S)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.extend(link.call("pi.x.good", "do") for _ in range(20)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert answers == [[b"one"]] * 120
