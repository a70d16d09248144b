# SPDX-License-Identifier: GPL-3.0-or-later
"""How often somebody may try."""

from raspyweb import limiter
from raspyweb.limiter import Limiter


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_some_tries_at_once_then_one_each_time_span():
    clock = Clock()
    limit = Limiter(3, 10, clock)
    for _ in range(3):
        assert limit.wait_s("a") == 0
        limit.note("a")
    assert limit.wait_s("a") == 10
    assert limit.wait_s("b") == 0
    clock.now += 4
    assert limit.wait_s("a") == 6
    clock.now += 6
    assert limit.wait_s("a") == 0
    limit.note("a")
    assert limit.wait_s("a") == 10


def test_who_goes_on_trying_waits_no_longer_than_one_time_span():
    clock = Clock()
    limit = Limiter(2, 10, clock)
    for _ in range(50):
        limit.note("a")
    assert limit.wait_s("a") == 10


def test_success_is_forgotten():
    limit = Limiter(1, 10, Clock())
    limit.note("a")
    assert limit.wait_s("a") > 0
    limit.forget("a")
    limit.forget("a")
    assert limit.wait_s("a") == 0


def test_it_remembers_only_so_many_and_forgets_who_tried_longest_ago(monkeypatch):
    monkeypatch.setattr(limiter, "KEYS_MAX", 3)
    limit = Limiter(1, 10, Clock())
    for key in "abcad":
        limit.note(key)
    assert [key for key in "abcd" if limit.wait_s(key) > 0] == ["a", "c", "d"]
