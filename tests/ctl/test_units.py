# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd tells of the units."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.ctl import units

BLOCK = """\
Id=raspy-core.service
LoadState=loaded
ActiveState={active}
SubState={sub}
Result={result}
MainPID=77
MemoryCurrent={memory}
NRestarts=2
ExecMainStatus={status}
StatusText=0 of 1 scenarios running = none
"""


def block(active: str = "active", sub: str = "running", result: str = "success", memory: str = "4096",
          status: str = "0") -> str:  # fmt: skip
    return BLOCK.format(active=active, sub=sub, result=result, memory=memory, status=status)


def test_a_unit() -> None:
    (unit,) = units.read(block())
    assert (unit.server, unit.pid, unit.memory, unit.restarts) == ("core", 77, 4096, 2)
    assert unit.text == "0 of 1 scenarios running = none"
    assert unit.problem == ""


@pytest.mark.parametrize("memory", ["[not set]", "18446744073709551615", ""])
def test_memory_that_is_not_counted(memory: str) -> None:
    assert units.read(block(memory=memory))[0].memory is None


def test_what_is_wrong_with_a_unit() -> None:
    (failed,) = units.read(block("failed", "failed", "watchdog", status="134"))
    assert failed.problem.startswith("raspy-core has failed (watchdog). See 'journalctl -x -u raspy-core")
    (wrong,) = units.read(block("failed", "failed", "exit-code", status="78"))
    assert "its configuration is wrong" in wrong.problem and "systemctl restart raspy-core" in wrong.problem
    (again,) = units.read(block("activating", "auto-restart", "exit-code", status="1"))
    assert "is being started again" in again.problem


def test_units_that_come_and_go_and_those_that_are_not_there_are_left_out() -> None:
    passing = block().replace("raspy-core", "raspy-scenario@3")
    absent = block().replace("=loaded", "=not-found")
    assert units.read(f"{passing}\n{absent}\n{block()}") == units.read(block())
    assert units.read("") == []


@given(st.text(max_size=300))
def test_whatever_systemctl_prints(text: str) -> None:
    assert isinstance(units.read(text), list)


def test_without_systemctl_there_are_none(monkeypatch: pytest.MonkeyPatch, run_dir: Path) -> None:
    monkeypatch.setenv("PATH", str(run_dir))
    assert units.all_units() == []
    (run_dir / "systemctl").write_text("#!/bin/sh\nexit 1\n")
    (run_dir / "systemctl").chmod(0o755)
    assert units.all_units() == []
