# SPDX-License-Identifier: GPL-3.0-or-later
"""Late replies, hung services, broken connections."""

from __future__ import annotations

import pytest
import zmq

from raspy.common import MDP
from raspy.servers.titanic import lanes
from raspy.servers.titanic.delivery import Outcome
from raspy.servers.titanic.presence import AGAIN_S, ANSWER_S
from raspy.servers.titanic.schema import DONE
from tests.servers.titanic.scene import hang


def test_a_late_reply_to_an_earlier_try_counts(scene):
    seq = scene.add("pi.a.x", b"1")
    late = hang(scene, "pi.a.x")
    scene.broker.reply(late, b"late", b"200")
    assert scene.outcome() == Outcome(seq, DONE, 1, [b"late", b"200"])


def test_a_late_reply_is_never_taken_for_that_of_the_next_request(scene):
    first, second = scene.add("pi.a.x", b"1"), scene.add("pi.a.x", b"2")
    scene.present("pi.a.x")
    late = scene.asked("pi.a.x")
    scene.add("pi.other.x", b"other")
    scene.present("pi.other.x")
    other = scene.asked("pi.other.x")
    scene.pass_time(5)
    scene.broker.reply(other, b"200")
    scene.outcome()
    scene.add("pi.other.x", b"keeps the connection in use")
    scene.asked("pi.other.x")
    scene.pass_time(5.1)
    assert scene.outcome() == Outcome(first, None, 1, [])
    scene.pass_time(0.2)
    scene.present("pi.a.x")
    again = scene.asked("pi.a.x")
    assert again.body == [b"1"]
    assert again.client != late.client
    scene.broker.reply(again, b"first", b"200")
    assert scene.outcome() == Outcome(first, DONE, 1, [b"first", b"200"])
    next_ = scene.asked("pi.a.x")
    assert next_.body == [b"2"]
    assert next_.client != late.client
    scene.broker.reply(late, b"late", b"200")
    scene.silence()
    assert not scene.delivery.outcomes
    scene.broker.reply(next_, b"second", b"200")
    assert scene.outcome() == Outcome(second, DONE, 0, [b"second", b"200"])


def test_a_service_that_hangs_holds_up_only_itself(scene):
    scene.add("pi.hung.x", b"1")
    scene.present("pi.hung.x")
    scene.asked("pi.hung.x")
    for number in range(20):
        scene.add("pi.a.x", b"%d" % number)
    scene.present("pi.a.x")
    for number in range(20):
        asked = scene.asked("pi.a.x")
        assert asked.body == [b"%d" % number]
        scene.broker.reply(asked, b"200")
        assert scene.outcome().state == DONE


def test_own_lanes_are_few_and_pass_from_one_hung_service_to_the_next(scene, monkeypatch):
    monkeypatch.setattr(lanes, "MAX_OWN_LANES", 1)
    for name in "ab":
        scene.add(f"pi.{name}.x", name.encode())
        scene.present(f"pi.{name}.x")
        scene.asked(f"pi.{name}.x")
    scene.pass_time(5)
    scene.add("pi.busy.x", b"keeps the common lane in use")
    scene.present("pi.busy.x")
    scene.asked("pi.busy.x")
    scene.pass_time(5.1)
    assert {scene.outcome().seq, scene.outcome().seq} == {1, 2}
    scene.pass_time(0.2)
    scene.present("pi.a.x")
    scene.present("pi.b.x")
    one = scene.until(scene.broker.take, "the one that gets the lane")
    scene.silence()
    scene.broker.reply(one, b"200")
    assert scene.outcome().state == DONE
    scene.pass_time(0.2)
    other = scene.until(scene.broker.take, "the other one")
    assert {one.service, other.service} == {"pi.a.x", "pi.b.x"}


def test_a_broker_that_dies_is_asked_again_as_soon_as_it_is_back(scene):
    seq = scene.add("pi.a.x", b"1")
    scene.present("pi.a.x")
    scene.asked("pi.a.x")
    scene.broker.restart()
    assert scene.outcome() == Outcome(seq, None, 1, [])
    scene.pass_time(0.11)
    scene.present("pi.a.x")
    scene.broker.reply(scene.asked("pi.a.x"), b"200")
    assert scene.outcome() == Outcome(seq, DONE, 1, [b"200"])


def test_a_question_that_is_lost_with_the_broker_is_asked_again_soon(scene):
    scene.add("pi.a.x", b"1")
    scene.asked("mmi.service")
    scene.broker.restart()
    scene.until(lambda: scene.delivery.due_s() < ANSWER_S, "the loss to be seen")
    assert scene.delivery.due_s() == pytest.approx(AGAIN_S)
    scene.silence()
    scene.pass_time(AGAIN_S + 0.01)
    scene.present("pi.a.x")
    scene.asked("pi.a.x")


def test_an_own_lane_that_breaks_is_replaced(scene):
    scene.add("pi.busy.x", b"b")
    scene.present("pi.busy.x")
    busy = scene.asked("pi.busy.x")
    seq = scene.add("pi.a.x", b"1")
    scene.present("pi.a.x")
    scene.asked("pi.a.x")
    scene.now += 5
    scene.broker.reply(busy, b"200")
    scene.outcome()
    scene.add("pi.busy.x", b"b")
    scene.asked("pi.busy.x")
    scene.pass_time(5.1)
    assert scene.outcome() == Outcome(seq, None, 1, [])
    scene.pass_time(0.2)
    scene.present("pi.a.x")
    scene.asked("pi.a.x")  # on a lane of its own
    scene.broker.restart()
    lost = {scene.outcome().seq, scene.outcome().seq}
    assert lost == {seq, 3}
    scene.pass_time(0.3)
    services = set()
    while len(services) < 2:
        one = scene.until(scene.broker.take, "the other question, and both requests")
        if one.service == "mmi.service":
            scene.broker.reply(one, MDP.T_OK)
        else:
            services.add(one.service)
    assert services == {"pi.a.x", "pi.busy.x"}


def test_a_broker_that_does_not_answer_is_asked_again(scene):
    scene.add("pi.a.x", b"1")
    first = scene.asked("mmi.service")
    assert 0 < scene.delivery.due_s() <= 1.0
    scene.pass_time(1.01)
    again = scene.asked("mmi.service")
    assert again.client != first.client
    scene.broker.reply(first, MDP.T_NOTFOUND)
    scene.broker.reply(again, MDP.T_OK)
    scene.broker.reply(scene.asked("pi.a.x"), b"200")
    assert scene.outcome().state == DONE


def test_a_question_that_was_asked_in_vain_is_answered_for_its_own_service(scene):
    """Several services are asked for in turn; each answer goes to the right one."""
    for name in "abc":
        scene.add(f"pi.{name}.x", name.encode())
    scene.present("pi.a.x", MDP.T_NOTFOUND)
    scene.present("pi.b.x")
    scene.present("pi.c.x", MDP.T_NOTFOUND)
    scene.broker.reply(scene.asked("pi.b.x"), b"200")
    assert scene.outcome().seq == 2
    scene.silence()


def test_replies_that_are_none_are_dropped(scene):
    scene.add("pi.a.x", b"1")
    scene.present("pi.a.x")
    asked = scene.asked("pi.a.x")
    for rubbish in (
        [b""],
        [b"x", MDP.C_CLIENT, b"pi.a.x", b"200"],
        [b"", b"MDPX", b"pi.a.x", b"200"],
        [b"", MDP.C_CLIENT, b"pi.a.x"],
        [b"", MDP.C_CLIENT, b"pi.b.x", b"200"],
    ):
        scene.broker.socket.send_multipart([asked.client, *rubbish])
    scene.silence()
    assert not scene.delivery.outcomes
    scene.broker.reply(asked, b"200")
    assert scene.outcome().reply == [b"200"]


def test_a_full_socket_only_means_later(scene, monkeypatch):
    scene.add("pi.a.x", b"1")
    scene.present("pi.a.x")

    def full(*_: object) -> None:
        raise zmq.Again

    monkeypatch.setattr(lanes.Lane, "send", full)
    scene.until(lambda: scene.delivery.due_s() == pytest.approx(0.1), "a pause")
    scene.add("pi.b.x", b"1")
    scene.turn()
    monkeypatch.undo()
    scene.pass_time(0.2)
    assert scene.asked("pi.a.x").body == [b"1"]
    scene.pass_time(1.1)
    scene.present("pi.b.x")
