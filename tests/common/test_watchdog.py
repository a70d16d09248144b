# SPDX-License-Identifier: GPL-3.0-or-later
import threading

from raspy.common.watchdog import Watchdog


def test_a_thread_is_late_after_the_limit_and_not_before():
    now = [100.0]
    watchdog = Watchdog(10, clock=lambda: now[0])
    assert watchdog.late() == []
    watchdog.beat()
    now[0] += 10
    assert watchdog.late() == []
    now[0] += 0.5
    assert watchdog.late() == [(threading.current_thread().name, 10.5)]
    watchdog.beat()
    assert watchdog.late() == []


def test_each_thread_speaks_for_itself_and_may_end():
    now = [0.0]
    watchdog = Watchdog(1, clock=lambda: now[0])
    has_beaten, may_end = threading.Event(), threading.Event()

    def other():
        watchdog.beat()
        has_beaten.set()
        may_end.wait(10)

    watchdog.beat()
    silent = threading.Thread(target=other, name="other")
    silent.start()
    assert has_beaten.wait(10)
    now[0] += 2
    watchdog.beat()
    assert watchdog.late() == [("other", 2.0)]

    def ends():
        watchdog.beat()
        watchdog.forget()

    thread = threading.Thread(target=ends, name="ends")
    thread.start()
    thread.join()
    now[0] += 2
    watchdog.beat()
    assert [name for name, _ in watchdog.late()] == ["other"]
    may_end.set()
    silent.join()
    watchdog.forget()
    watchdog.forget()
