# SPDX-License-Identifier: GPL-3.0-or-later
import os
import socket
import subprocess
import sys
import time

import pytest

from raspy.common import systemd


@pytest.fixture(autouse=True)
def outside(monkeypatch):
    for name in (
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "LISTEN_FDS",
        "LISTEN_PID",
        "JOURNAL_STREAM",
    ):
        monkeypatch.delenv(name, raising=False)


def test_outside_systemd_nothing_happens():
    assert systemd.notify(READY="1") is False
    assert systemd.passed_sockets() == {}
    assert systemd.watchdog_s() is None
    assert systemd.under_journal() is False


def test_outside_systemd_nothing_is_imported():
    code = (
        "import sys; from raspy.common import systemd; systemd.notify(READY='1'); systemd.passed_sockets();"
        "print('systemd' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout == "False\n"


def test_notify_sends_one_assignment_a_line(notify, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(notify.path))
    assert systemd.notify(READY="1", STATUS="two\nlines") is True
    notify.wait("READY=1")
    assert notify.lines == ["READY=1", "STATUS=two lines"]


def test_a_service_manager_that_does_not_read_costs_neither_time_nor_work(notify, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(notify.path))
    monkeypatch.setattr(systemd, "NOTIFY_S", 0.2)
    while systemd.notify(STATUS="busy"):
        pass
    assert notify.path.exists()
    before = time.process_time()
    assert systemd.notify(READY="1") is False
    assert time.process_time() - before < 0.1, "it waits, and does not spin"
    notify.clear()
    assert systemd.notify(READY="1") is True


def test_the_watchdogs_interval(monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "2500000")
    assert systemd.watchdog_s() == 2.5
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert systemd.watchdog_s() == 2.5
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert systemd.watchdog_s() is None


@pytest.mark.parametrize("text", ["", "0", "-1", "soon"])
def test_no_watchdog(monkeypatch, text):
    monkeypatch.setenv("WATCHDOG_USEC", text)
    assert systemd.watchdog_s() is None


def test_passed_sockets_have_names(tmp_path):
    """As systemd does it: the descriptors from 3 on, and the process id of who they are for."""
    code = (
        "import os; os.environ['LISTEN_PID'] = str(os.getpid());"
        "from raspy.common import systemd; print(systemd.passed_sockets())"
    )
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        command = [
            "bash",
            "-c",
            'exec 3<&"$0"; exec "$@"',
            str(listening.fileno()),
            sys.executable,
            "-c",
            code,
        ]
        environment = os.environ | {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "control"}
        done = subprocess.run(
            command,
            env=environment,
            pass_fds=[listening.fileno()],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert done.stdout == "{'control': 3}\n", done.stderr


def test_the_boot_is_known_in_the_open_and_in_a_confined_unit(tmp_path, monkeypatch):
    monkeypatch.delenv("RASPY_BOOT_ID", raising=False)
    assert len(systemd.boot_id()) == 32
    assert systemd.boot_id(tmp_path / "hidden") == ""
    monkeypatch.setenv("RASPY_BOOT_ID", "5f3a")
    assert systemd.boot_id(tmp_path / "hidden") == "5f3a"


def test_stderr_is_the_journal_when_systemd_says_so(monkeypatch):
    stderr = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{stderr.st_dev}:{stderr.st_ino}")
    assert systemd.under_journal() is True
    monkeypatch.setenv("JOURNAL_STREAM", f"{stderr.st_dev}:{stderr.st_ino + 1}")
    assert systemd.under_journal() is False
    monkeypatch.setenv("JOURNAL_STREAM", "nonsense")
    assert systemd.under_journal() is False


def test_a_closed_stderr_is_not_the_journal():
    code = (
        "import os; os.environ['JOURNAL_STREAM'] = '1:2'; os.close(2);"
        "from raspy.common import systemd; print(systemd.under_journal())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout == "False\n"
