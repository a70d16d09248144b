# SPDX-License-Identifier: GPL-3.0-or-later
"""What setup.py declares is what the tree has."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest

import raspy
from tests.support.processes import ROOT

PACKAGES = ("raspy", "raspyweb")


@pytest.fixture(scope="module")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Distribution:
    """The metadata that setup.py makes, from a copy: it writes into the folder it stands in."""
    copy = tmp_path_factory.mktemp("setup")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "setup.py", "-q", "egg_info"], cwd=copy, check=True, timeout=60)
    return PathDistribution(copy / "RasPy.egg-info")


def test_the_version_is_that_of_the_package(distribution: Distribution) -> None:
    assert distribution.version == raspy.__version__


def test_every_entry_point_is_there(distribution: Distribution) -> None:
    for point in distribution.entry_points:
        assert callable(point.load()), point
    for point in distribution.entry_points.select(group="raspy.servers"):
        assert isinstance(point.load(), type), point


def test_every_server_is_an_entry_point(distribution: Distribution) -> None:
    folder = ROOT / "raspy" / "servers"
    servers = {Path(entry).stem for entry in folder.iterdir() if not entry.name.startswith("_")}
    servers.add("web")  # a Python package of its own
    assert {point.name for point in distribution.entry_points.select(group="raspy.servers")} == servers


def test_every_package_is_installed(distribution: Distribution) -> None:
    sources = distribution.read_text("SOURCES.txt")
    assert sources is not None
    wanted = {path.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
    assert wanted <= set(sources.splitlines())
    assert "raspy/py.typed" in sources.splitlines()
