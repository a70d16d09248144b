# SPDX-License-Identifier: GPL-3.0-or-later
"""`make systemtest` of somebody who is not root."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import ROOT


@pytest.mark.parametrize(("ci", "status"), [("", 0), ("true", 1)])
def test_without_root_it_says_so_and_fails_where_nobody_reads_it(
    tmp_path: Path, ci: str, status: int
) -> None:
    nobody = tmp_path / "id"
    nobody.write_text("#!/bin/sh\necho 1000\n")
    nobody.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CI": ci}
    done = subprocess.run(
        [ROOT / "tools" / "run-systemtests"], env=env, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == status
    assert done.stderr == "make systemtest: booting a Debian takes root; run it with sudo\n"
    assert done.stdout == ""
