# SPDX-License-Identifier: GPL-3.0-or-later
"""axe-core, which finds barriers in a page: fetched from npm into .cache when a test first needs it."""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from tests.support.processes import ROOT

VERSION = "4.10.2"
FOLDER = ROOT / ".cache" / "axe"
FETCH_S = 100


def source() -> str:
    """The script.

    It is fetched once, also for tests that run side by side. Without npm or network the test is skipped, in
    continuous integration it fails.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    kept = FOLDER / f"axe-{VERSION}.js"
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            _fetch(kept)
    return kept.read_text(encoding="utf-8")


def _fetch(kept: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        _missing("there is no npm (apt-get install npm)")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm or "", "pack", f"axe-core@{VERSION}", "--silent"]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, timeout=FETCH_S, check=False)
        except subprocess.TimeoutExpired:
            _missing(f"npm did not end within {FETCH_S} s")
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode != 0 or not archives:
            _missing(f"npm pack said: {done.stderr.decode(errors='replace')[-300:]}")
        with tarfile.open(fileobj=io.BytesIO(archives[0].read_bytes())) as archive:
            member = archive.extractfile("package/axe.min.js")
            assert member is not None
            temporary = kept.with_suffix(".part")
            temporary.write_bytes(member.read())
            temporary.replace(kept)


def _missing(why: str) -> None:
    text = f"axe-core {VERSION} can't be fetched from npm: {why}; pages were not checked for barriers"
    if "CI" in os.environ:
        pytest.fail(text, pytrace=False)
    pytest.skip(text)
