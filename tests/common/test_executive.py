# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a daemon, with a broker in the same process."""

import threading

import pytest

from raspy.common.executive import Executive, ServerFailed
from raspy.servers.broker import Broker
from tests.conftest import wait_for


def run_in_thread(executive):
    """Run it; the thread's ``error`` is what ``run`` raised."""

    def life():
        try:
            executive.run()
        except ServerFailed as error:
            thread.error = error

    thread = threading.Thread(target=life, name="life")
    thread.error = None
    thread.start()
    return thread


@pytest.fixture
def url(run_dir):
    broker = Broker(broker=f"ipc://{run_dir}")
    thread = run_in_thread(broker)
    yield f"ipc://{run_dir}"
    broker.shutdown()
    thread.join(10)
    assert thread.error is None


class Steps(Executive):
    """Notes the steps of its life."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.steps = []

    def setup(self):
        super().setup()
        self.steps.append("setup")

    def worker_one(self):
        self.steps.append("worker")
        while not self.stopping.wait(0.1):
            self.alive()

    def teardown(self):
        super().teardown()
        self.steps.append("teardown")

    def status_line(self):
        return f"{len(self.steps)} steps"


def test_its_name_and_what_it_was_given(run_dir):
    executive = Executive("pi", "steps", "10.0.0.1", 6000, data_dir=str(run_dir))
    assert executive.get_instance_id() == "pi.steps"
    assert executive.broker.mdp == "tcp://10.0.0.1:6000"
    assert executive.data_dir == run_dir
    assert executive.uptime_s() >= 0
    executive.destroy()
    executive.destroy()


def test_setup_then_workers_then_ready_then_teardown(url, notify, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(notify.path))
    steps = Steps("pi", "steps", broker=url)
    thread = run_in_thread(steps)
    notify.wait("READY=1")
    notify.wait("STATUS=2 steps")
    steps.shutdown()
    thread.join(10)
    assert not thread.is_alive()
    notify.wait("STOPPING=1")
    assert steps.steps == ["setup", "worker", "teardown"]
    assert thread.error is None


def test_not_ready_until_the_broker_answers(run_dir, notify, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(notify.path))
    steps = Steps("pi", "steps", broker=f"ipc://{run_dir}")
    thread = run_in_thread(steps)
    notify.wait(f"STATUS=waiting for the broker at ipc://{run_dir}")
    assert "READY=1" not in notify.lines
    broker = Broker(broker=f"ipc://{run_dir}")
    broker_thread = run_in_thread(broker)
    try:
        notify.wait("READY=1")
    finally:
        steps.shutdown()
        broker.shutdown()
        thread.join(10)
        broker_thread.join(10)


def test_a_server_that_waits_for_its_broker_can_be_stopped(run_dir):
    steps = Steps("pi", "steps", broker=f"ipc://{run_dir}")
    thread = run_in_thread(steps)
    wait_for(lambda: "worker" in steps.steps)
    steps.shutdown()
    thread.join(10)
    assert not thread.is_alive()
    assert thread.error is None


class Fails(Executive):
    def worker_bad(self):
        raise OSError("the wire came off")


def test_a_thread_that_fails_ends_the_whole(url, caplog):
    thread = run_in_thread(Fails("pi", "fails", broker=url))
    thread.join(10)
    assert not thread.is_alive()
    assert "the wire came off" in str(thread.error)
    assert isinstance(thread.error.__cause__, OSError)
    assert "Traceback" in caplog.text and "thread bad failed" in caplog.text


class Stuck(Executive):
    """A worker that makes no progress until it is let go."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.let_go = threading.Event()

    def worker_stuck(self):
        self.alive()
        self.let_go.wait(30)


def test_the_watchdog_is_not_fed_while_a_thread_hangs(url, notify, monkeypatch, caplog):
    monkeypatch.setenv("NOTIFY_SOCKET", str(notify.path))
    monkeypatch.setenv("WATCHDOG_USEC", "1500000")
    stuck = Stuck("pi", "stuck", broker=url)
    thread = run_in_thread(stuck)
    try:
        notify.wait("WATCHDOG=1")
        wait_for(lambda: "thread pi" not in caplog.text and "made no progress" in caplog.text)
        assert "thread stuck-stuck has made no progress" in caplog.text
        notify.clear()
        # Two ticks of the main thread go by, and would have fed it.
        assert not notify.receive(2)
        stuck.let_go.set()
        notify.wait("WATCHDOG=1")
    finally:
        stuck.let_go.set()
        stuck.shutdown()
        thread.join(10)


def test_a_thread_that_does_not_stop_does_not_hold_up_the_end(run_dir, monkeypatch, caplog):
    monkeypatch.setattr("raspy.common.executive.JOIN_S", 0.2)
    stuck = Stuck("pi", "stuck", broker=f"ipc://{run_dir}")
    hung = stuck.spawn("stuck", stuck.worker_stuck)
    stuck.destroy()
    assert "which did not stop: stuck-stuck" in caplog.text
    stuck.let_go.set()
    hung.join(30)
    stuck.ctx.destroy(linger=0)
    stuck.stopping.close()
    stuck._wake.close()


def test_the_module_has_nothing_else():
    import raspy.common.executive

    with pytest.raises(AttributeError, match="Supervisor"):
        _ = raspy.common.executive.Supervisor
