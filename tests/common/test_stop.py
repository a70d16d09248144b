# SPDX-License-Identifier: GPL-3.0-or-later
import select
import signal
import threading

import pytest

from raspy.common.stop import StopEvent


@pytest.fixture
def event():
    event = StopEvent()
    yield event
    event.close()


def test_not_set_until_set(event):
    assert not event.is_set()
    assert not event.wait(0)
    event.set()
    event.set()
    assert event.is_set()
    assert event.wait()


def test_every_waiting_thread_wakes(event):
    woken = []
    threads = [threading.Thread(target=lambda: woken.append(event.wait(10))) for _ in range(5)]
    for thread in threads:
        thread.start()
    event.set()
    for thread in threads:
        thread.join(30)
    assert woken == [True] * 5


def test_it_can_be_polled_and_stays_readable(event):
    poll = select.poll()
    poll.register(event.fileno(), select.POLLIN)
    assert poll.poll(0) == []
    event.set()
    assert poll.poll(0) and poll.poll(0)


def test_a_signal_handler_may_set_it_while_the_same_thread_waits(event):
    old = signal.signal(signal.SIGUSR1, lambda _number, _frame: event.set())
    timer = threading.Timer(0.05, lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1))
    try:
        timer.start()
        assert event.wait(10)
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, old)


def test_closed_counts_as_set():
    event = StopEvent()
    event.close()
    event.close()
    assert event.is_set()
    assert event.wait(0)
    event.set()
