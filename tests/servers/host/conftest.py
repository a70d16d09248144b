# SPDX-License-Identifier: GPL-3.0-or-later
"""The /proc and /sys of other machines, and a broker with titanic."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.running import module_stack
from tests.support.titanic import TitanicStack

TREES = Path(__file__).parent / "trees"


@pytest.fixture
def machine(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A writable copy of one tree: ``@pytest.mark.parametrize("machine", ["pi4"], indirect=True)``."""
    before = psutil.PROCFS_PATH
    path = tmp_path / "machine"
    shutil.copytree(TREES / request.param, path)
    psutil.PROCFS_PATH = str(path / "proc")
    yield path
    psutil.PROCFS_PATH = before


@pytest.fixture(scope="module")
def stack() -> Iterator[TitanicStack]:
    """Titanic and a broker for all tests of a module."""
    yield from module_stack()


@pytest.fixture
def own_stack(run_dir: Path) -> Iterator[TitanicStack]:
    """The same for one test, which starts servers on it."""
    running = TitanicStack(run_dir)
    yield running
    running.close()
