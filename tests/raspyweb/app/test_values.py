# SPDX-License-Identifier: GPL-3.0-or-later
"""The mirror of the key/value map."""

import json
import threading

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from raspy.common.address import BrokerAddress
from raspy.common.kvcliapi import KvPublisherClient
from raspyweb.app import values
from raspyweb.app.ajax.models import Follower
from raspyweb.app.values import Values
from tests.conftest import wait_for

WAIT_S = 30


@pytest.fixture
def mirror(run_dir):
    """A mirror that the test fills itself."""
    ctx = zmq.Context()
    made = Values(BrokerAddress.parse(f"ipc://{run_dir}"), "test", ctx)
    yield made
    made.close()
    ctx.destroy(linger=0)


@pytest.fixture
def live(broker):
    """A mirror that follows a real broker."""
    ctx = zmq.Context()
    made = Values(broker.address, "test", ctx)
    beats = []
    thread = threading.Thread(target=made.run, args=(lambda: beats.append(1),))
    thread.start()
    wait_for(lambda: made.present and beats, WAIT_S, "the mirror")
    yield made
    made.shutdown()
    thread.join(WAIT_S)
    made.close()
    ctx.destroy(linger=0)


def test_it_has_what_the_broker_has(broker, live):
    publisher = KvPublisherClient(broker=broker.url)
    try:
        publisher.send("/device/", "pi/fake/tank/temperature", '{"value": 21.5}')
        publisher.send("/event/", "cron/feed", '"fired"')
        wait_for(lambda: len(live.snapshot()) == 2, WAIT_S)
        assert live.snapshot("/event/") == {"/event/cron/feed": "fired"}
        publisher.send("/event/", "cron/feed", b"")
        wait_for(lambda: len(live.snapshot()) == 1, WAIT_S)
    finally:
        publisher.destroy()
    broker.kill()
    broker.child.wait()
    wait_for(lambda: not live.present, WAIT_S, "the news that the broker is gone")
    assert live.snapshot() == {"/device/pi/fake/tank/temperature": {"value": 21.5}}
    broker.start()
    wait_for(lambda: live.present, WAIT_S, "the broker")


def test_whoever_follows_gets_the_last_value_of_what_has_changed(mirror):
    mirror._take("/device/a", b"1")
    mirror._take("/device/b", b"2")
    number, changed = mirror.since(0)
    assert json.loads(changed) == {"/device/a": 1, "/device/b": 2}
    assert mirror.since(number) == (number, "")
    mirror._take("/device/a", b"3")
    mirror._take("/device/a", b"4")
    mirror._take("/event/x", b'"y"')
    after, changed = mirror.since(number, "/device/")
    assert json.loads(changed) == {"/device/a": 4} and after == mirror.number
    assert list(json.loads(mirror.since(0)[1])) == ["/device/b", "/device/a", "/event/x"]


def test_a_deleted_key_is_told_once(mirror):
    mirror._take("/device/a", b"1")
    number, _ = mirror.since(0)
    mirror._take("/device/a", b"")
    mirror._take("/device/never", b"")
    after, changed = mirror.since(number)
    assert json.loads(changed) == {"/device/a": None} and mirror.snapshot() == {}
    mirror._take("/device/a", b"2")
    assert json.loads(mirror.since(after)[1]) == {"/device/a": 2}


def test_deleted_keys_do_not_pile_up(mirror, monkeypatch):
    monkeypatch.setattr(values, "GONE_MAX", 10)
    for number in range(1000):
        mirror._take(f"/device/{number}", b"1")
        mirror._take(f"/device/{number}", b"")
    assert len(mirror._entries) <= 11
    mirror._take("/device/999", b"1")
    assert mirror.snapshot() == {"/device/999": 1}


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.binary(max_size=8) | st.sampled_from([b"1", b"", b'"x"'])))
)
def test_following_and_looking_agree_whatever_is_published(changes):
    ctx = zmq.Context()
    mirror = Values(BrokerAddress.parse("ipc:///tmp/none"), "test", ctx)
    try:
        known, number = {}, 0
        for key, body in changes:
            mirror._take(key, body)
            number, changed = mirror.since(number)
            known.update(json.loads(changed or "{}"))
            assert {key: one for key, one in known.items() if one is not None} == mirror.snapshot()
        assert json.loads(mirror.since(0)[1] or "{}").items() >= mirror.snapshot().items()
    finally:
        mirror.close()
        ctx.destroy(linger=0)


@pytest.mark.parametrize("body", [b"{", b"NaN", b"\xff", b"[" * 5000, b'"' + b"x" * values.BODY_MAX + b'"'])
def test_what_can_not_be_shown_is_left_out(mirror, body):
    mirror._take("/device/a", body)
    assert mirror.snapshot().get("/device/a") is None
    assert json.loads(mirror.since(0)[1] or "{}").get("/device/a") is None


def test_a_window_is_told_of_all_at_first_then_of_what_changes(mirror):
    mirror._take("/device/a", b'{"value":1}')
    follower = Follower(mirror, "/device/")
    assert follower() == b'event: values\ndata: {"/device/a":{"value":1}}\n\nevent: broker\ndata: false\n\n'
    assert follower() == b""
    mirror._take("/event/x", b"1")
    assert follower() == b""
    mirror.present = True
    assert follower() == b"event: broker\ndata: true\n\n"
    # A line break in a value must not end the event.
    mirror._take("/device/a", b'"x\\ny"')
    assert follower().count(b"\n") == 3
