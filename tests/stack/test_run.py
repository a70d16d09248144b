# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole stack in the foreground, as a person at a terminal has it."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from raspy.common.config import ConfigError
from raspy.common.mdcliapi import MajorDomoClient
from raspy.stack import run
from tests.conftest import alive, tcp_base, wait_for


@pytest.fixture
def start(processes, run_dir):
    """Start a stack on its own state folder."""

    def start(*arguments, state="s"):
        return processes.start("raspy", "--state", run_dir / state, *arguments)

    return start


def children(pid):
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_comes_up_tells_where_to_go_and_leaves_nothing_but_the_state(start, run_dir, number):
    stack = start("--only", "broker,host")
    stack.wait_output("runs. Ctrl-C stops it.", 30)
    pids = children(stack.pid)
    assert len(pids) == 2
    output = stack.wait_output("load", 30)
    assert re.search(r"^ +broker  \d+ services, \d+ workers, \d+ keys$", output, re.MULTILINE)
    assert re.search(r"^ +host  ", output, re.MULTILINE)
    assert f"its broker at ipc://{run_dir}/s/run" in output
    stack.signal(number)
    assert stack.wait() == 0
    assert "Traceback" not in stack.output
    assert not any(alive(pid) for pid in pids)
    assert not list((run_dir / "s" / "run").glob("*.sock"))


def test_it_says_where_the_dashboard_is_and_what_its_first_visitor_has_to_know(start, run_dir):
    stack = start("--only", "broker,web")
    stack.wait_output("one-time token: http", 60)
    link = re.search(r"one-time token: (http://127\.0\.0\.1:\d+/first-visit\?token=(\S+))", stack.output)
    assert link and (run_dir / "s" / "web" / "first-visit-token").read_text().strip() == link[2]
    with urllib.request.urlopen(link[1], timeout=30) as answer:
        assert link[2] in answer.read().decode()
    assert stack.stop() == 0


def test_ctrl_c_on_the_terminal_reaches_all_and_all_end_well(start, run_dir):
    """A terminal sends SIGINT to the whole foreground process group."""
    log = (run_dir / "log").open("w")
    command = [sys.executable, "-m", "raspy", "--state", str(run_dir / "s"), "--only", "broker,host"]
    stack = subprocess.Popen(command, stdout=log, stderr=log, process_group=0)
    try:
        wait_for(lambda: "Ctrl-C stops it" in (run_dir / "log").read_text(), 30)
        os.killpg(stack.pid, signal.SIGINT)
        assert stack.wait(20) == 0
    finally:
        if stack.poll() is None:
            stack.kill()
            stack.wait()
        log.close()
    assert "Traceback" not in (run_dir / "log").read_text()


def test_a_server_that_dies_is_started_again(start, run_dir):
    stack = start("--only", "broker")
    stack.wait_output("Ctrl-C stops it", 30)
    (pid,) = children(stack.pid)
    os.kill(pid, signal.SIGKILL)
    stack.wait_output("broker  was killed by SIGKILL; it is started again", 30)
    wait_for(lambda: children(stack.pid) not in ([], [pid]), 30)
    with MajorDomoClient(f"ipc://{run_dir}/s/run") as client:
        client.retries = 40
        assert client.send("mmi.service", "nothing.like.it") == [b"404"]
    assert stack.stop() == 0


def test_when_nobody_reads_its_output_any_more_it_stops_everything(run_dir):
    """As with ``make run | head``."""
    command = [sys.executable, "-m", "raspy", "--state", str(run_dir / "s"), "--only", "broker,host"]
    stack = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert b"broker" in stack.stdout.readline()
        stack.stdout.close()
        assert stack.wait(30) == 0
    finally:
        if stack.poll() is None:
            stack.kill()
            stack.wait()
    assert not list((run_dir / "s" / "run").glob("*.sock"))


def test_it_listens_on_loopback_tcp_when_asked(start):
    port = tcp_base()
    stack = start("--only", "broker", "--listen", f"tcp://127.0.0.1:{port}")
    stack.wait_output("Ctrl-C stops it", 30)
    with MajorDomoClient(f"tcp://127.0.0.1:{port}") as client:
        assert client.send("mmi.service", "nothing.like.it") == [b"404"]
    assert stack.stop() == 0


def test_a_second_stack_on_the_same_state_is_refused(start, run_dir):
    first = start("--only", "broker")
    first.wait_output("Ctrl-C stops it", 30)
    second = start("--only", "broker")
    assert second.wait() == 78
    assert second.output == (
        f"raspy: state folder {run_dir}/s: another RasPy is running on it; stop that one,"
        " or choose another with --state\n"
    )
    assert first.stop() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--listen", "5514"], "broker address '5514': write ipc:///run/raspy or tcp://HOST:5514"),
        (["--only", "broker,kettle"], "--only broker,kettle: no server kettle; there are broker"),
        (["--only", ","], "--only ,: no server ; there are broker"),
        (
            ["--state", "/proc/none/such"],
            "state folder /proc/none/such: No such file or directory; choose another",
        ),
        (["--state", "/tmp/" + "x" * 120], "a unix socket's path may have 107 bytes"),
    ],
)
def test_bad_arguments_are_one_line_and_status_78(start, arguments, message):
    stack = start(*arguments)
    assert stack.wait() == 78
    assert message in stack.output
    assert stack.output.count("\n") == 1


def test_a_wrong_configuration_ends_it_with_the_servers_own_words(start, run_dir):
    (run_dir / "raspy.conf").write_text("[broker]\nmax_keys = many\n")
    stack = start("--config", run_dir / "raspy.conf", "--only", "broker")
    assert stack.wait() == 78
    assert "[broker] max_keys = 'many': must be a whole number" in stack.output
    assert "broker  its configuration is wrong, see above" in stack.output


def test_every_server_gets_the_log_level(start, run_dir):
    stack = start("--only", "broker", "--log-level", "debug")
    stack.wait_output("Ctrl-C stops it", 30)
    with MajorDomoClient(f"ipc://{run_dir}/s/run") as client:
        names = client.call("mmi.discovery", r".*\.broker\.mmi")
        assert client.call(names[0], "loglevel") == [b"debug"]
    assert stack.stop() == 0


def test_what_can_be_chosen():
    names = run.available()
    assert names[0] == "broker"
    assert set(names) <= set(run.SERVERS)
    assert run.choose(None) == names
    assert run.choose(f"{names[-1]}, broker") == list(dict.fromkeys(["broker", names[-1]]))
    with pytest.raises(ConfigError, match="no server kettle"):
        run.choose("kettle")
