# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from raspy.servers.titanic import requests as module
from raspy.servers.titanic.age import AgeClock
from raspy.servers.titanic.requests import Requests
from raspy.servers.titanic.schema import DONE, FAILED, WAITING

DAY_S = 86400.0


def id_of(number: int) -> bytes:
    return number.to_bytes(16, "big")


class Clock:
    """Titanic's clock at a second that the test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.started_from: tuple[float, float] | None = None

    def make(self, running_s: float, wall_s: float) -> AgeClock:
        self.started_from = (running_s, wall_s)
        return AgeClock(running_s, monotonic=lambda: self.now_s, wall=lambda: 1e9 + self.now_s)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def requests(database, clock) -> Requests:
    return Requests(database, clock.make)


def test_a_request_waits_then_has_its_reply_then_is_closed(requests):
    requests.add_as(id_of(1), "pi.a.x", [b"on", b"\0\xff"])
    assert requests.reply(id_of(1)) == [b"300"]
    waiting = requests.next("pi.a.x", 0)
    assert (waiting.tries, waiting.body) == (0, [b"on", b"\0\xff"])
    requests.finish(waiting.seq, DONE, [b"done", b"200"])
    assert requests.reply(id_of(1)) == [b"200", b"done", b"200"]
    assert requests.reply(id_of(1)) == [b"200", b"done", b"200"]
    assert requests.close(id_of(1)) == [b"200"]
    assert requests.reply(id_of(1))[0] == b"400"
    assert requests.close(id_of(1)) == [b"200"]


def test_a_failed_request_is_500_with_the_reason(requests):
    requests.add_as(id_of(1), "pi.a.x", [b"on"])
    requests.finish(1, FAILED, [b"nobody came"])
    assert requests.reply(id_of(1)) == [b"500", b"nobody came"]


def test_an_id_of_ours_is_found_by_its_number_and_only_whole(requests):
    first, second = requests.add("pi.a.x", [b"1"]), requests.add("pi.a.x", [b"2"])
    assert requests.find(first) == (1, "pi.a.x", [b"1"])
    assert requests.find(second) == (2, "pi.a.x", [b"2"])
    assert requests.find(first[:6] + second[6:]) is None
    requests.finish(1, DONE, [b"done"])
    assert requests.reply(first) == [b"200", b"done"]
    requests.close(first)
    assert requests.reply(first)[0] == b"400"
    assert requests.reply(second) == [b"300"]


def test_an_id_that_a_client_chose_may_look_like_ours(requests):
    ours = requests.add("pi.a.x", [b"ours"])
    alike = ours[:-1] + bytes([ours[-1] ^ 1])
    requests.add_as(alike, "pi.a.x", [b"theirs"])
    assert requests.find(ours)[2] == [b"ours"]
    assert requests.find(alike)[2] == [b"theirs"]
    requests.close(alike)
    assert requests.find(ours)[2] == [b"ours"]
    assert requests.find(alike) is None


def test_the_same_id_is_stored_once(requests):
    requests.add_as(id_of(1), "pi.a.x", [b"first"])
    requests.add_as(id_of(1), "pi.b.x", [b"second"])
    assert requests.total() == requests.added == 1
    assert requests.next("pi.a.x", 0).body == [b"first"]
    assert requests.services() == ["pi.a.x"]


def test_requests_of_a_service_come_in_order(requests):
    for number in range(1, 6):
        requests.add_as(id_of(number), "pi.a.x" if number % 2 else "pi.b.x", [b"%d" % number])
    seen, after = [], 0
    while (waiting := requests.next("pi.a.x", after)) is not None:
        seen.append(waiting.body)
        after = waiting.seq
    assert seen == [[b"1"], [b"3"], [b"5"]]
    assert sorted(requests.services()) == ["pi.a.x", "pi.b.x"]


def test_a_seq_is_never_given_twice(requests):
    """A late reply to a request that was closed must not be stored as that of the next one."""
    requests.add_as(id_of(1), "pi.a.x", [b"1"])
    first = requests.next("pi.a.x", 0).seq
    requests.close(id_of(1))
    requests.add_as(id_of(2), "pi.a.x", [b"2"])
    assert requests.next("pi.a.x", first).body == [b"2"]
    requests.finish(first, DONE, [b"late"])
    assert requests.reply(id_of(2)) == [b"300"]


def test_only_the_first_reply_counts(requests):
    requests.add_as(id_of(1), "pi.a.x", [b"1"])
    requests.finish(1, DONE, [b"first"])
    requests.finish(1, FAILED, [b"second"])
    assert requests.reply(id_of(1)) == [b"200", b"first"]
    assert requests.finished == 1
    assert requests.counts == {WAITING: 0, DONE: 1, FAILED: 0}


def test_tries_are_kept(requests):
    requests.add_as(id_of(1), "pi.a.x", [b"1"])
    requests.tried(1, 3)
    assert requests.next("pi.a.x", 0).tries == 3


def test_find_gives_what_waits(requests):
    requests.add_as(id_of(1), "pi.a.x", [b"1"])
    assert requests.find(id_of(1)) == (1, "pi.a.x", [b"1"])
    requests.finish(1, DONE, [])
    assert requests.find(id_of(1)) is None
    assert requests.find(id_of(2)) is None


def test_counts_follow_and_can_be_made_anew(requests):
    for number in range(1, 5):
        requests.add_as(id_of(number), "pi.a.x", [b""])
    requests.finish(1, DONE, [b""])
    requests.finish(2, FAILED, [b""])
    requests.close(id_of(3))
    counted = dict(requests.counts)
    assert counted == {WAITING: 1, DONE: 1, FAILED: 1}
    requests.recount()
    assert requests.counts == counted
    assert requests.total() == 3


def test_the_oldest_age_is_that_of_waiting_requests(requests, clock):
    assert requests.oldest_s() == 0.0
    requests.add_as(id_of(1), "pi.a.x", [b""])
    clock.now_s = 10
    requests.add_as(id_of(2), "pi.b.x", [b""])
    clock.now_s = 15
    assert requests.oldest_s() == 15.0
    requests.finish(1, DONE, [b""])
    assert requests.oldest_s() == 5.0


def test_what_waited_too_long_fails_and_says_why(requests, clock):
    requests.add_as(id_of(1), "pi.absent.x", [b""])
    requests.add_as(id_of(2), "pi.hung.x", [b""])
    requests.tried(2, 4)
    clock.now_s = 5
    requests.add_as(id_of(3), "pi.absent.x", [b""])
    clock.now_s = 11
    assert requests.sweep(max_age_s=10, keep_s=100) == (2, 0)
    assert requests.reply(id_of(1)) == [
        b"500",
        b"no server has offered pi.absent.x within 10 s; see whether it runs",
    ]
    assert b"left 4 tries unanswered" in requests.reply(id_of(2))[1]
    assert requests.reply(id_of(3)) == [b"300"]


def test_replies_that_nobody_closes_are_removed(requests, clock):
    requests.add_as(id_of(1), "pi.a.x", [b""])
    requests.add_as(id_of(2), "pi.a.x", [b""])
    requests.add_as(id_of(3), "pi.a.x", [b""])
    clock.now_s = 50
    requests.finish(1, DONE, [b""])
    clock.now_s = 60
    requests.finish(2, FAILED, [b""])
    clock.now_s = 155
    assert requests.sweep(max_age_s=1000, keep_s=100) == (0, 1)
    assert requests.reply(id_of(1))[0] == b"400"
    assert requests.reply(id_of(2))[0] == b"500"
    assert requests.counts == {WAITING: 1, DONE: 0, FAILED: 1}


def test_a_sweep_is_bounded_and_goes_on_where_it_stopped(requests, clock, monkeypatch):
    monkeypatch.setattr(module, "_ROUND_ROWS", 2)
    for number in range(1, 6):
        requests.add_as(id_of(number), "pi.a.x", [b""])
    requests.finish(1, DONE, [b""])
    clock.now_s = 50
    assert requests.sweep(10, 100) == (1, 0)
    assert requests.sweeping
    assert requests.sweep(10, 100) == (2, 0)
    assert requests.sweep(10, 100) == (1, 0)
    assert not requests.sweeping
    assert requests.counts[FAILED] == 4


def test_ages_go_on_over_a_restart(requests, database, clock):
    requests.add_as(id_of(1), "pi.a.x", [b""])
    clock.now_s = 100
    requests.save_clock()
    later = Clock()
    Requests(database, later.make)
    assert later.started_from == (100.0, 1e9 + 100)


def test_the_clock_never_runs_behind_the_newest_request(requests, database, clock):
    """The clock is saved seldom; a crash must not let new requests look older than those before them."""
    requests.save_clock()
    clock.now_s = 100
    requests.add_as(id_of(1), "pi.a.x", [b""])
    later = Clock()
    Requests(database, later.make)
    assert later.started_from[0] == 100.0
