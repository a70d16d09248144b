# SPDX-License-Identifier: GPL-3.0-or-later
"""raspyctl doctor."""

from __future__ import annotations

from pathlib import Path

import pytest

from raspy.ctl.verbs import doctor
from tests.support.broker import RunningBroker
from tests.support.ctl import Ctl
from tests.support.processes import Processes


@pytest.fixture
def quiet(ctl: Ctl, run_dir: Path) -> Ctl:
    """On a machine that has nothing to be found."""
    ctl.monkeypatch.setattr(doctor, "ROOT", run_dir / "root")
    return ctl


def test_a_stack_that_runs(quiet: Ctl, processes: Processes) -> None:
    home = processes.home / "s"
    home.mkdir(mode=0o750)

    class Broker(RunningBroker):
        def __init__(self) -> None:
            processes.home = home / "run"
            processes.home.mkdir()
            super().__init__(processes)

    quiet.use(Broker().url)
    found = quiet("doctor", "--json").json()
    by_what = {finding["what"]: finding for finding in found}
    assert by_what["the broker and 1 servers answer"]["state"] == "good"
    assert all(set(finding) == {"state", "what", "where", "todo"} for finding in found)
    assert not [finding for finding in found if finding["state"] == "problem"]
    shown = quiet("doctor")
    assert shown.status == 0 and "0 problems, " in shown.out and "good:" not in shown.out
    assert "good: " in quiet("doctor", "--all").out


def test_a_problem_is_status_1(quiet: Ctl, run_dir: Path) -> None:
    quiet.use(f"ipc://{run_dir}/none/run")
    result = quiet("doctor")
    assert result.status == 1
    assert result.out.startswith("problem: the broker: the broker at ")
    assert "\n    " in result.out and "2 problems" not in result.err
    assert quiet("doctor", "--json").status == 1


def test_the_installed_one(quiet: Ctl) -> None:
    """Whatever there is on this machine, or is not: it says so and does not fall."""
    quiet.use("ipc:///run/raspy")
    result = quiet("doctor")
    assert result.status in (0, 1) and "well." in result.out


def test_not_from_afar(quiet: Ctl) -> None:
    assert quiet("--host", "pi", "doctor").status == 2
