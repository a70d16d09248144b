# SPDX-License-Identifier: GPL-3.0-or-later
"""The guards of the suite itself, on a file of tests that leave all sorts of things behind."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import NotifyReceiver, Processes, alive, tcp_base, wait_for
from tests.support.processes import ROOT

CULPRITS = '''
import socket, subprocess, sys, threading, time
import zmq
from tests.support import leaks

leaks.GRACE_S = 0.2
kept = []

def test_clean(run_dir, processes, notify):
    context = zmq.Context()
    context.socket(zmq.PUB).close()
    context.term()
    processes.start_command("sleep", ["sleep", "60"])

def test_a_zeromq_socket():
    kept.append(zmq.Context())
    kept.append(kept[0].socket(zmq.PUB))

def test_a_socket():
    kept.append(socket.socket())

def test_a_thread():
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()

def test_a_process():
    kept.append(subprocess.Popen(["sleep", "60"]))

def test_a_grandchild():
    subprocess.run([sys.executable, "-c", "import subprocess; subprocess.Popen(['sleep', '60'])"])

def test_a_daemon_that_failed(processes):
    processes.start("no.such.module").process.wait()
'''

WRONG = {
    "test_a_zeromq_socket": "ZeroMQ socket",
    "test_a_socket": "open socket:",
    "test_a_thread": "thread Thread-",
    "test_a_process": ": sleep 60",
    "test_a_grandchild": ": sleep 60",
    "test_a_daemon_that_failed": "no.such.module ended with status 1",
}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The report of a run of CULPRITS: the section of each test that failed."""
    folder = tmp_path_factory.mktemp("culprits")
    (folder / "test_culprits.py").write_text(CULPRITS)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest",
               "-c", ROOT / "pyproject.toml", "--rootdir", folder, "--color=no", folder]
    # In a session of its own, to end in one go what the culprits leave.
    process = subprocess.Popen(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    assert process.stdout is not None
    with process.stdout as stdout:
        report = ""
        for line in stdout:
            report += line
            if re.match(r"=+ .*(passed|failed).* in ", line):
                break
    os.killpg(process.pid, 9)
    process.wait()
    assert "7 passed, 6 errors" in report, report
    sections = re.split(r"_+ ERROR at teardown of (\w+) _+\n", report)
    return dict(zip(sections[1::2], sections[2::2], strict=True))


@pytest.mark.parametrize(("test", "words"), WRONG.items())
def test_what_is_left_behind_fails_the_test(verdicts: dict[str, str], test: str, words: str) -> None:
    assert words in verdicts[test]


def test_a_clean_test_passes(verdicts: dict[str, str]) -> None:
    assert set(verdicts) == set(WRONG)


def test_ready_and_status_are_received_in_order(notify: NotifyReceiver) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.connect(notify.env["NOTIFY_SOCKET"])
        daemon.send(b"STATUS=starting")
        daemon.send(b"READY=1\nSTATUS=12 services")
        assert notify.wait("READY=1") == "READY=1"
        assert notify.status == "12 services"
        assert notify.lines == ["STATUS=starting", "READY=1", "STATUS=12 services"]
        notify.clear()
        with pytest.raises(AssertionError, match="no 'READY=1'"):
            notify.wait("READY=1", timeout_s=0.05)


def test_a_daemon_that_ends_instead_of_getting_ready_says_why(processes: Processes) -> None:
    with pytest.raises(AssertionError, match=r"ended with 1; it printed:\n.*No module named"):
        processes.start_ready("no.such.module")
    assert processes.children[0].wait() == 1


def test_waiting_names_what_it_waited_for() -> None:
    with pytest.raises(AssertionError, match="in vain for a miracle"):
        wait_for(lambda: False, 0.05, "a miracle")


def test_a_zombie_is_not_alive(processes: Processes) -> None:
    child = processes.start_command("false", ["sleep", "60"])
    assert alive(child.pid)
    child.process.terminate()
    wait_for(lambda: not alive(child.pid), what="the end of the child")
    assert Path(f"/proc/{child.pid}").exists()


def test_the_ports_of_a_broker_are_free_side_by_side(run_dir: Path) -> None:
    base = tcp_base()
    for port in range(base, base + 4):
        with socket.create_server(("127.0.0.1", port)):
            assert run_dir.exists()
