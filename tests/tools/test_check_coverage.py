# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate: one module below the limit fails the run, and child processes are measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import Processes
from tests.support.processes import ROOT

GATE = ROOT / "tools" / "check_coverage.py"

CONFIG = """
[run]
source_pkgs = measured
parallel = true
"""

DAEMON = """
import signal, threading
import measured

stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
print("up", flush=True)
stop.wait()
measured.last()
"""

PACKAGE = """
def last():
    return 1
"""


def gate(tmp_path: Path, report: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, GATE, report, "pkg"], cwd=tmp_path, capture_output=True, text=True, timeout=30
    )


def report_of(tmp_path: Path, **percent: float) -> Path:
    """A report as coverage writes it, for the modules of a package that is made for it."""
    (tmp_path / "pkg").mkdir()
    files = {f"pkg/{name}.py": {"summary": {"percent_covered": value}} for name, value in percent.items()}
    for path in files:
        (tmp_path / path).write_text("")
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"files": files, "totals": {"percent_covered": 99.0}}))
    return report


def test_all_at_the_limit_pass(tmp_path: Path) -> None:
    result = gate(tmp_path, report_of(tmp_path, a=90.0, b=100.0))
    assert result.returncode == 0
    assert result.stdout == "coverage: every module has at least 90 %\n"


def test_one_module_below_fails_whatever_the_total(tmp_path: Path) -> None:
    result = gate(tmp_path, report_of(tmp_path, a=89.9, b=100.0, c=12.0))
    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        "coverage: pkg/c.py has 12.0 %, at least 90 % are required",
        "coverage: pkg/a.py has 89.9 %, at least 90 % are required",
    ]


def test_a_module_that_no_test_imports_fails(tmp_path: Path) -> None:
    report = report_of(tmp_path, a=100.0)
    (tmp_path / "pkg" / "forgotten.py").write_text("x = 1\n")
    result = gate(tmp_path, report)
    assert result.returncode == 1
    assert "pkg/forgotten.py has 0.0 %" in result.stdout


def test_a_child_that_ends_on_sigterm_leaves_its_data(tmp_path: Path, processes: Processes) -> None:
    (tmp_path / "measured").mkdir()
    (tmp_path / "measured" / "__init__.py").write_text(PACKAGE)
    (tmp_path / "coverage.ini").write_text(CONFIG)
    env = {"COVERAGE_PROCESS_START": str(tmp_path / "coverage.ini"), "COVERAGE_FILE": str(tmp_path / "data")}
    child = processes.start_command("daemon", [sys.executable, "-c", DAEMON], env=env, cwd=tmp_path)
    child.wait_output("up")
    assert child.stop() == 0

    def coverage(*args: str) -> None:
        subprocess.run([sys.executable, "-m", "coverage", *args], cwd=tmp_path, check=True, timeout=30,
                       env={"COVERAGE_FILE": str(tmp_path / "data")}, stdout=subprocess.DEVNULL)

    coverage("combine")
    coverage("json", "-o", "report.json")
    files = json.loads((tmp_path / "report.json").read_text())["files"]
    assert files["measured/__init__.py"]["summary"]["percent_covered"] == 100.0
