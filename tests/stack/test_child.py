# SPDX-License-Identifier: GPL-3.0-or-later
"""One server of the stack, played by a few lines of Python."""

import os

import pytest

from raspy.stack import child as child_module
from raspy.stack.child import Child
from tests.conftest import wait_for

PLAYER = """
import os, sys, time
what = sys.argv[1]
if what == "sleep":
    time.sleep(60)
elif what == "deaf":
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", flush=True)
    time.sleep(60)
elif what == "env":
    open(sys.argv[2], "w").write(repr({name: os.environ.get(name) for name in
        ("NOTIFY_SOCKET", "WATCHDOG_USEC", "STATE_DIRECTORY")}))
else:
    sys.exit(int(what))
"""


@pytest.fixture
def make(run_dir, monkeypatch):
    (run_dir / "player.py").write_text(PLAYER)
    monkeypatch.setenv("PYTHONPATH", f"{run_dir}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    made = []

    def make(*arguments):
        child = Child("player", "player", list(arguments), run_dir / "notify.sock")
        made.append(child)
        return child

    yield make
    for child in made:
        child.stop()
        child.wait(0)


def news(child):
    return wait_for(child.look, what="news of the child")


def test_it_gets_what_a_service_manager_gives(make, run_dir, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", "/somebody/elses")
    child = make("env", str(run_dir / "env"))
    child.start()
    assert news(child) == "ended"
    expected = {
        "NOTIFY_SOCKET": f"{run_dir}/notify.sock",
        "WATCHDOG_USEC": "10000000",
        "STATE_DIRECTORY": None,
    }
    assert (run_dir / "env").read_text() == repr(expected)


def test_it_is_ready_once_when_it_says_so(make):
    child = make("sleep")
    child.start()
    assert child.pid is not None
    assert not child.heard({"STATUS": "starting"})
    assert not child.ready
    assert child.heard({"READY": "1", "STATUS": "two devices"})
    assert not child.heard({"READY": "1"})
    assert child.ready
    assert child.status == "two devices"
    assert child.look() == ""


def test_one_that_dies_is_started_again_until_it_has_died_too_often(make, monkeypatch):
    monkeypatch.setattr(child_module, "RESTART_S", 0.0)
    child = make("3")
    for _ in range(child_module.START_LIMIT_BURST - 1):
        child.start()
        assert news(child) == "ended with status 3; it is started again"
        assert child.restart_at is not None
    child.start()
    assert news(child) == "ended with status 3, for the 5th time within a minute; it stays down"
    assert child.failed
    assert child.restart_at is None
    assert child.look() == ""


def test_one_that_was_killed_says_by_what(make):
    child = make("sleep")
    child.start()
    os.kill(child.pid, 9)
    assert news(child) == "was killed by SIGKILL; it is started again"


def test_a_wrong_configuration_is_not_tried_again(make):
    child = make("78")
    child.start()
    assert news(child) == "its configuration is wrong, see above"
    assert child.misconfigured
    assert child.restart_at is None


def test_one_without_progress_is_killed(make, monkeypatch):
    child = make("sleep")
    child.start()
    monkeypatch.setattr(child_module, "WATCHDOG_S", -1.0)
    assert child.look() == "", "one that is not ready yet is not under the watchdog"
    child.heard({"READY": "1"})
    assert child.look() == "makes no progress for -1 s; it is killed and started again"
    assert wait_for(child.look) == "was killed by SIGKILL; it is started again"


def test_stop_asks_and_then_kills(make, capfd):
    child = make("deaf")
    assert child.wait(0), "one that does not run has ended"
    child.start()
    wait_for(lambda: "deaf" in capfd.readouterr().out)
    child.stop()
    assert not child.wait(0.2)
    assert child.pid is None
    obedient = make("sleep")
    obedient.start()
    obedient.stop()
    assert obedient.wait(10)
