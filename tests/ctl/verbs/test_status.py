# SPDX-License-Identifier: GPL-3.0-or-later
"""raspyctl status: all well, problems, and while the broker is down."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from raspy.common import config
from raspy.ctl import units
from tests.conftest import Processes, wait_for
from tests.support.broker import RunningBroker
from tests.support.ctl import TANK, Ctl, CtlStack, Terminal

UNITS = """\
Id=raspy-host.service
LoadState=loaded
ActiveState=active
SubState=running
Result=success
MainPID={pid}
MemoryCurrent=8388608
NRestarts=0
ExecMainStatus=0
StatusText=5 devices, all well

Id=raspy-core.service
LoadState=loaded
ActiveState=failed
SubState=failed
Result=exit-code
MainPID=0
MemoryCurrent=[not set]
NRestarts=5
ExecMainStatus=1
StatusText=
"""


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[CtlStack]:
    started = CtlStack(home, "titanic", "fake", "core", devices=(TANK,))
    yield started
    started.close()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is slow on a busy machine is no finding."""
    monkeypatch.setattr("raspy.ctl.servers.TELL_S", 30)


def test_all_is_well(ctl: Ctl, stack: CtlStack) -> None:
    ctl.use(stack.url)
    wait_for(lambda: ctl("status").status == 0, 30, "all to be well")
    shown = ctl("status").out.splitlines()
    assert shown[0].startswith(f"All is well: 4 servers run at {stack.url}, with ")
    assert shown[1] == "" and shown[2].split() == ["SERVER", "STATE", "MEMORY", "UP"]
    rows = [line.split() for line in shown[3:]]
    assert [row[:2] for row in rows] == [
        ["test/broker", "runs"], ["test/core", "runs"], ["test/fake", "runs"], ["test/titanic", "runs"],
    ]  # fmt: skip
    assert "MiB" in shown[3]


def test_json(ctl: Ctl, stack: CtlStack) -> None:
    ctl.use(stack.url)
    wait_for(lambda: ctl("status").status == 0, 30, "all to be well")
    found = ctl("status", "--json").json()
    assert found["broker"] == {"url": stack.url, "alive": True} and found["problems"] == []
    core = next(server for server in found["servers"] if server["name"] == "core")
    assert core["host"] == "test" and core["pid"] > 1 and core["memory"] > 1 << 20 and core["version"]


def test_problems_stand_first(ctl: Ctl, stack: CtlStack) -> None:
    ctl.use(stack.url)
    stack.ask("test.fake.devices", "exec", "tank", "fault", "missing")
    broken = {
        "entries": {"a": {"key": "/event/x", "changes": True}},
        "code": "1/0",
        "conf": {"restart": "never"},
    }
    stack.ask("test.core.scenarios", "add", "sick", json.dumps(broken))
    try:
        wait_for(lambda: "device test/fake/tank" in ctl("status").out, 30, "the fault")
        result = ctl("status")
        assert result.status == 1
        assert result.out.startswith("! device test/fake/tank temperature: fault: ")
        assert "All is well" not in result.out
        assert ctl("status", "--json").status == 1
    finally:
        stack.ask("test.fake.devices", "exec", "tank", "fault", "none")
        stack.ask("test.core.scenarios", "delete", "sick")


def test_a_server_that_hangs(ctl: Ctl, processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raspy.ctl.servers.TELL_S", 3)
    broker = RunningBroker(processes)
    host = broker.server("host")
    host.signal(signal.SIGSTOP)
    try:
        result = ctl.use(broker.url)("status")
    finally:
        host.signal(signal.SIGCONT)
    assert result.status == 1
    assert "! host does not answer within 3 s" in result.out
    assert "silent" in result.out


def test_in_color_on_a_terminal(stack: CtlStack, run_dir: Path) -> None:
    terminal = Terminal(stack.url, run_dir, "status", columns=70)
    shown = terminal.read()
    terminal.close()
    assert "test/titanic" in shown and "─" in shown and b"\x1b[32m" in terminal.seen
    assert max(map(len, shown.splitlines())) <= 70


def test_while_the_broker_is_down(ctl: Ctl, processes: Processes) -> None:
    broker = RunningBroker(processes)
    broker.server("host")
    broker.kill()
    result = ctl.use(broker.url)("status")
    assert result.status == 4
    lines = result.out.splitlines()
    assert lines[0].startswith(f"! the broker at {broker.url} is away; start it with: ")
    (row,) = [line.split() for line in lines if "test/host" in line]
    assert row[:2] == ["test/host", "runs"]
    found = json.loads(ctl("status", "--json").out)
    assert found["broker"]["alive"] is False and found["servers"][0]["name"] == "host"


def test_nothing_at_all(ctl: Ctl, run_dir: Path) -> None:
    result = ctl.use(f"ipc://{run_dir}/run")("status")
    assert result.status == 4
    assert f"start it with: python3 -m raspy --state {run_dir}" in result.out
    assert result.out.endswith("No server runs.\n")
    far = ctl("--broker", "tcp://127.0.0.1:1", "status")
    assert far.status == 4 and "is away" in far.out


@pytest.fixture
def installed(
    ctl: Ctl, processes: Processes, monkeypatch: pytest.MonkeyPatch, run_dir: Path
) -> RunningBroker:
    """A broker that is the installed one, and a systemd that says what `UNITS` says."""
    broker = RunningBroker(processes)
    monkeypatch.setattr(config, "DEFAULT_FILE", run_dir / "etc.conf")
    (run_dir / "etc.conf").write_text(f"[raspy]\nbroker = {broker.url}\n")
    monkeypatch.setattr(units, "BOOTED", str(run_dir))
    host = broker.server("host")
    program = run_dir / "bin" / "systemctl"
    program.parent.mkdir()
    (run_dir / "units").write_text(UNITS.format(pid=host.pid))
    program.write_text(f"#!/bin/sh\nexec cat {run_dir}/units\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return broker


def test_units_that_failed(ctl: Ctl, installed: RunningBroker) -> None:
    result = ctl("status")
    assert result.status == 1
    assert result.out.startswith(
        "! raspy-core has failed (exit-code). See 'journalctl -x -u raspy-core -n 50'"
    )
    servers = {server["name"]: server for server in json.loads(ctl("status", "--json").out)["servers"]}
    assert servers["core"]["state"] == "failed" and servers["core"]["unit"] == "raspy-core.service"
    # systemd counts all processes of a unit; what a server says of itself is one.
    assert (servers["host"]["memory"], servers["host"]["unit"]) == (8388608, "raspy-host.service")


def test_units_while_the_broker_is_down(ctl: Ctl, installed: RunningBroker) -> None:
    installed.kill()
    result = ctl("status")
    assert result.status == 4
    lines = result.out.splitlines()
    assert lines[0].endswith("is away; start it with: systemctl start raspy.target")
    assert lines[1].startswith("! raspy-core has failed")
    assert any(line.split()[:2] == ["test/host", "runs"] for line in lines)
