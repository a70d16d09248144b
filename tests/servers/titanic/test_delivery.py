# SPDX-License-Identifier: GPL-3.0-or-later
"""What delivery sends, when, and what comes of it."""

from __future__ import annotations

import math

import pytest

from raspy.common import MDP
from raspy.servers.titanic import checks
from raspy.servers.titanic import delivery as module
from raspy.servers.titanic.delivery import Outcome, Policy
from raspy.servers.titanic.presence import ANSWER_S
from raspy.servers.titanic.schema import DONE, FAILED


def test_a_request_is_sent_when_its_service_is_there_and_its_reply_kept(scene):
    seq = scene.add("pi.a.x", b"on", b"\0")
    scene.present("pi.a.x")
    asked = scene.asked("pi.a.x")
    assert asked.body == [b"on", b"\0"]
    assert scene.delivery.in_work() == 1
    scene.broker.reply(asked, b"done", b"200")
    assert scene.outcome() == Outcome(seq, DONE, 0, [b"done", b"200"])
    assert scene.delivery.in_work() == 0


def test_requests_of_a_service_go_one_after_the_other(scene):
    for number in range(3):
        scene.add("pi.a.x", b"%d" % number)
    scene.present("pi.a.x")
    for number in range(3):
        asked = scene.asked("pi.a.x")
        assert asked.body == [b"%d" % number]
        scene.silence()
        scene.broker.reply(asked, b"200")
    assert [scene.outcome().seq for _ in range(3)] == [1, 2, 3]


def test_while_nobody_offers_the_service_nothing_is_sent_and_no_try_counted(scene):
    scene.add("pi.a.x", b"on")
    pauses = []
    for _ in range(6):
        scene.present("pi.a.x", MDP.T_NOTFOUND)
        scene.until(lambda: 0 < scene.delivery.due_s() < ANSWER_S, "a pause")
        pauses.append(round(scene.delivery.due_s(), 3))
        scene.pass_time(pauses[-1] - 0.01)
        scene.silence()
        scene.pass_time(0.02)
    assert pauses == [0.1, 0.2, 0.4, 0.8, 0.9, 0.9]
    assert not scene.delivery.outcomes
    scene.present("pi.a.x")
    scene.broker.reply(scene.asked("pi.a.x"), b"200")
    assert scene.outcome().tries == 0


def test_a_request_without_a_reply_is_sent_again_after_growing_pauses_then_fails(scene):
    first, second = scene.add("pi.a.x", b"1"), scene.add("pi.a.x", b"2")
    for tries in (1, 2):
        scene.present("pi.a.x")
        assert scene.asked("pi.a.x").body == [b"1"]
        scene.pass_time(9.9)
        assert not scene.delivery.outcomes
        scene.pass_time(0.2)
        assert scene.outcome() == Outcome(first, None, tries, [])
        pause_s = 0.1 * 2 ** (tries - 1)
        assert scene.delivery.due_s() == pytest.approx(pause_s)
        scene.pass_time(pause_s + 0.01)
    scene.present("pi.a.x")
    scene.asked("pi.a.x")
    scene.pass_time(10.1)
    failed = scene.outcome()
    assert (failed.seq, failed.state) == (first, FAILED)
    assert failed.reply == [
        b"pi.a.x did not answer in 3 tries (the last: no reply came within 10 s); see its journal"
    ]
    scene.present("pi.a.x")
    assert scene.asked("pi.a.x").body == [b"2"]
    assert scene.requests.find(second.to_bytes(16, "big")) is not None


def test_when_the_broker_says_that_nobody_answered_it_is_tried_again(scene):
    seq = scene.add("pi.a.x", b"1")
    scene.present("pi.a.x")
    reason = f"{MDP.UNANSWERED}the worker of pi.a.x ended first".encode()
    scene.broker.reply(scene.asked("pi.a.x"), reason, MDP.T_ERROR)
    assert scene.outcome() == Outcome(seq, None, 1, [])
    scene.pass_time(0.11)
    scene.present("pi.a.x")
    scene.broker.reply(scene.asked("pi.a.x"), b"200")
    assert scene.outcome() == Outcome(seq, DONE, 1, [b"200"])


def test_the_reason_of_the_broker_is_told_in_the_end(scene):
    scene.delivery.close()
    scene.start(Policy(tries=1))
    scene.add("titanic.store", b"set")
    scene.present("titanic.store")
    reason = f"{MDP.UNANSWERED}no server offered titanic.store within 30 s".encode()
    scene.broker.reply(scene.asked("titanic.store"), MDP.T_NOTFOUND, reason)
    assert scene.outcome().reply == [
        b"titanic.store did not answer in 1 tries (the last: no server offered titanic.store within 30 s);"
        b" see its journal"
    ]


def test_a_workers_own_refusal_is_its_reply(scene):
    scene.add("pi.a.x", b"1")
    scene.present("pi.a.x")
    scene.broker.reply(scene.asked("pi.a.x"), b"no such device", b"404")
    assert scene.outcome().reply == [b"no such device", b"404"]


def test_a_reply_that_is_too_large_fails_the_request(scene):
    scene.add("pi.a.x", b"1")
    scene.present("pi.a.x")
    scene.broker.reply(scene.asked("pi.a.x"), bytes(checks.MAX_BODY_BYTES), b"200")
    outcome = scene.outcome()
    assert outcome.state == FAILED
    assert b"1048579 bytes" in outcome.reply[0]


def test_nothing_more_is_sent_while_outcomes_wait_for_the_disk(scene, monkeypatch):
    monkeypatch.setattr(module, "MAX_OUTCOMES", 2)
    for number in range(4):
        scene.add("pi.a.x", b"%d" % number)
    scene.present("pi.a.x")
    for _ in range(2):
        scene.broker.reply(scene.asked("pi.a.x"), b"200")
    scene.until(lambda: len(scene.delivery.outcomes) == 2, "two outcomes")
    scene.silence()
    assert scene.delivery.due_s() > 0
    scene.outcome()
    assert scene.delivery.due_s() == 0
    assert scene.asked("pi.a.x").body == [b"2"]


def test_a_request_that_was_closed_meanwhile_is_not_sent_again(scene):
    first = scene.add("pi.a.x", b"1")
    scene.add("pi.a.x", b"2")
    scene.present("pi.a.x")
    scene.asked("pi.a.x")
    scene.requests.close(first.to_bytes(16, "big"))
    scene.pass_time(10.1)
    scene.outcome()
    scene.pass_time(0.2)
    scene.present("pi.a.x")
    assert scene.asked("pi.a.x").body == [b"2"]


def test_what_waits_at_the_start_is_delivered(scene):
    scene.requests.add("pi.a.x", [b"from before"])
    scene.requests.tried(1, 2)
    scene.delivery.close()
    scene.start()
    scene.present("pi.a.x")
    asked = scene.asked("pi.a.x")
    assert asked.body == [b"from before"]
    scene.pass_time(10.1)
    assert scene.outcome().state == FAILED  # two tries before, and this one


def test_a_service_is_forgotten_when_it_has_been_idle(scene, monkeypatch):
    monkeypatch.setattr(module, "MAX_SERVICES", 1)
    scene.add("pi.a.x", b"1")
    assert scene.delivery.knows("pi.a.x")
    assert not scene.delivery.knows("pi.b.x")
    scene.present("pi.a.x")
    scene.broker.reply(scene.asked("pi.a.x"), b"200")
    scene.until(lambda: scene.delivery.outcomes, "an outcome")
    scene.pass_time(module.FORGET_S + 1)
    assert not scene.delivery.knows("pi.b.x"), "its outcome is not stored yet"
    scene.outcome()
    scene.pass_time(module.FORGET_S + 1)
    assert scene.delivery.knows("pi.b.x")
    assert scene.delivery.due_s() == math.inf
    scene.add("pi.a.x", b"2")
    scene.present("pi.a.x")
