# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads for devices that may hang."""

import threading
from collections.abc import Iterator

import pytest

from raspy.common.device_server import pool as pool_module
from raspy.common.device_server.pool import Pool
from tests.conftest import wait_for


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool("test", threads=2, idle_s=30)
    yield made
    assert made.close(5) == 0


def test_no_more_threads_than_it_may_have(pool: Pool) -> None:
    gate = threading.Event()
    done: list[int] = []
    for number in range(10):
        pool.submit(lambda number=number: (gate.wait(10), done.append(number)))  # type: ignore[misc]
    wait_for(lambda: pool.size == 2, what="two threads")
    gate.set()
    wait_for(lambda: len(done) == 10, what="all to be done")
    assert pool.size == 2


def test_one_thread_serves_what_comes_one_by_one(pool: Pool) -> None:
    names: set[str] = set()
    for _ in range(5):
        done = threading.Event()
        pool.submit(lambda done=done: (names.add(threading.current_thread().name), done.set()))  # type: ignore[misc]
        assert done.wait(30)
        wait_for(lambda: pool._idle == 1, what="the thread to be idle")
    assert names == {"test-1"}


def test_a_thread_that_hangs_is_replaced(pool: Pool) -> None:
    gate, done = threading.Event(), threading.Event()
    for _ in range(2):
        pool.submit(lambda: gate.wait(10) and None)
    pool.submit(done.set)
    assert not done.is_set()
    pool.lend()
    assert done.wait(30)
    assert pool.size == 3
    gate.set()
    pool.take_back()
    # With one more than it may have, the next to look for work goes.
    for _ in range(3):
        pool.submit(lambda: None)
    wait_for(lambda: pool.size == 2, what="the surplus thread to end")


def test_what_is_lent_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "LENT_MAX", 1)
    pool, gate = Pool("test", threads=1), threading.Event()
    for _ in range(4):
        pool.submit(lambda: gate.wait(10) and None)
        pool.lend()
    wait_for(lambda: pool.size == 2, what="two threads")
    gate.set()
    assert pool.close(5) == 0


def test_idle_threads_end() -> None:
    pool, done = Pool("test", idle_s=0.05), threading.Event()
    pool.submit(done.set)
    assert done.wait(30)
    wait_for(lambda: pool.size == 0, what="the idle thread to end")
    assert pool.close(1) == 0


def test_closing_drops_what_waits_and_leaves_what_hangs() -> None:
    pool, gate, done = Pool("test", threads=1), threading.Event(), threading.Event()
    begun = threading.Event()
    pool.submit(lambda: [begun.set(), gate.wait(10)].clear())
    pool.submit(done.set)
    assert begun.wait(30)
    assert pool.close(0.05) == 1
    pool.submit(done.set)
    gate.set()
    wait_for(lambda: pool.size == 0, what="the thread to end")
    assert not done.is_set()
