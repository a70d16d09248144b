# SPDX-License-Identifier: GPL-3.0-or-later
"""raspyctl watch: as a child, for it ends by Ctrl-C, or when nobody reads any more."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Processes, wait_for
from tests.support.broker import RunningBroker
from tests.support.ctl import HEATER, TANK, WAIT_S, CtlStack, Terminal
from tests.support.processes import child_env


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[CtlStack]:
    started = CtlStack(home, "titanic", "fake", devices=({**TANK, "poll": 0.2}, HEATER))
    yield started
    started.close()


def watch(stack: CtlStack, home: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "raspy.ctl", "--broker", stack.url, "watch", *words],
        env=child_env(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=home,
    )  # fmt: skip


def test_a_line_for_each_change_until_ctrl_c(stack: CtlStack, run_dir: Path) -> None:
    with watch(stack, run_dir, "tank") as child:
        assert child.stdout is not None
        for _ in range(3):
            time, name, *value = child.stdout.readline().split("  ")
            assert name == "test/fake/tank/temperature" and "°C" in value[0]
            assert len(time) == 8
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=WAIT_S)
    assert (child.returncode, err) == (130, "")


def test_quiet_when_nobody_reads(stack: CtlStack, run_dir: Path) -> None:
    with watch(stack, run_dir, "--json") as child:
        assert child.stdout is not None and child.stderr is not None
        line = json.loads(child.stdout.readline())
        assert line["key"].startswith("/device/test/fake/") and "quality" in line["body"]
        child.stdout.close()
        assert child.wait(WAIT_S) == 141
        assert child.stderr.read() == ""


def test_events_and_what_is_gone(stack: CtlStack, run_dir: Path) -> None:
    from raspy.common.kvcliapi import KvPublisherClient

    publisher = KvPublisherClient(broker=stack.url)
    with watch(stack, run_dir, "--events", "cron", "scenario") as child:
        assert child.stdout is not None
        publisher.send(
            "/event/", "cron/x", '{"time": 1, "event": "fired", "message": "cron job x\\u001b[2J"}'
        )
        assert child.stdout.readline().split("  ", 1)[1] == "/event/cron/x  cron job x\\x1b[2J\n"
        publisher.send("/scenario/", "a/b", "bare text")
        assert child.stdout.readline().split("  ", 1)[1] == "/scenario/a/b  bare text\n"
        publisher.send("/scenario/", "a/b", "")
        assert child.stdout.readline().split("  ", 1)[1] == "/scenario/a/b  gone\n"
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=WAIT_S)
    publisher.destroy()
    assert child.returncode == 130


def test_a_table_on_a_terminal(stack: CtlStack, run_dir: Path) -> None:
    terminal = Terminal(stack.url, run_dir, "watch", "--events", lines=6)
    terminal.read("test/fake/heater/state")
    terminal.read("tank/temperature")
    terminal.type("\x03")
    terminal.read()
    assert terminal.close() == 130


def test_a_broker_that_goes_and_comes_back(processes: Processes, run_dir: Path) -> None:
    broker = RunningBroker(processes)
    child = processes.start("raspy.ctl", "--broker", broker.url, "--timeout", "2", "watch")
    fake = broker.server("host")
    child.wait_output("test/host/load", 30)
    broker.kill()
    child.wait_output("the broker has gone", 30)
    broker.start()
    child.wait_output("the broker is back", 30)
    assert fake.running
    child.signal(signal.SIGINT)
    assert child.wait() == 130
    wait_for(lambda: not child.running)
