# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests of raspyctl: `ctl` runs it, `ctl.use(url)` says on which broker."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ctl import Ctl


@pytest.fixture
def ctl(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, run_dir: Path) -> Iterator[Ctl]:
    """Run raspyctl in this process: ``ctl("get", "tank").out``."""
    yield Ctl(capsys, monkeypatch, run_dir)
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A folder with a short path for the servers of a module."""
    with tempfile.TemporaryDirectory(prefix="raspy-", dir="/tmp") as folder:
        yield Path(folder)
