# SPDX-License-Identifier: GPL-3.0-or-later
"""raspyctl sync: real copies from one folder to another."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import wait_for
from tests.support.ctl import Ctl, CtlStack, Terminal

SHM = "/dev/shm"


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[CtlStack]:
    started = CtlStack(home, "titanic")
    started.broker.server("sync", f"mounts={SHM}")
    yield started
    started.close()


@pytest.fixture
def there() -> Iterator[Path]:
    """Where to copy to."""
    path = Path(tempfile.mkdtemp(prefix="raspy-", dir=SHM))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def source(home: Path) -> Path:
    """A folder of the state with a file in it."""
    folder = home / "pictures"
    folder.mkdir(exist_ok=True)
    (folder / "one").write_bytes(b"x" * 300_000)
    return folder


@pytest.fixture
def ready(ctl: Ctl, stack: CtlStack) -> Iterator[Ctl]:
    ctl.use(stack.url)
    yield ctl
    for name in json.loads(stack.ask("test.sync.sync", "list")[0]):
        if name not in ("history", "pictures"):
            stack.ask("test.sync.sync", "remove", name)


def test_a_run(ready: Ctl, source: Path, there: Path) -> None:
    assert ready("sync", "add", "copy", f"source={source}", f"remote={there}/kept").out == "copy is added.\n"
    result = ready("sync", "run", "copy")
    assert result.status == 0, result
    assert result.out.startswith("copy is done: 1 files, 293 KiB, ")
    assert (there / "kept" / "one").stat().st_size == 300_000
    rows = {row[0]: row for row in ready("sync").rows()}
    assert rows["copy"][1:3] == [str(source), f"{there}/kept"]
    assert "done" in ready("sync", "list").out
    status = ready("sync", "status", "copy")
    assert status.out.splitlines()[0] == "copy: idle" and "293 KiB" in status.out
    record = ready("sync", "run", "copy", "--json").json()
    assert record["outcome"] == "done" and record["files"] == 0
    assert len(ready("sync", "status", "copy", "--json").json()["runs"]) == 2


def test_the_jobs_that_wait_for_a_remote(ready: Ctl) -> None:
    jobs = ready("sync", "--json").json()
    assert jobs["test/history"]["state"] == "disabled"
    refused = ready("sync", "run", "history")
    assert refused.status == 1 and "is disabled" in refused.err
    assert "It has not run yet." in ready("sync", "status", "history").out


def test_a_run_that_fails(ready: Ctl, source: Path) -> None:
    ready("sync", "add", "copy", f"source={source}", "remote=/nowhere/x")
    result = ready("sync", "run", "copy")
    assert (
        result.status == 1 and result.err.startswith("raspyctl: copy: failed: ")
    ) or "copy: failed" in result.err
    assert "failed" in ready("sync").out


def test_update_and_remove(ready: Ctl, source: Path, there: Path) -> None:
    ready("sync", "add", "copy", f"source={source}", f"remote={there}")
    assert ready("sync", "update", "copy", "schedule=daily 03:30", "enabled=no").out == "copy is changed.\n"
    job = ready("sync", "--json").json()["test/copy"]
    assert (job["schedule"], job["enabled"]) == ("daily 03:30", False)
    assert ready("sync", "remove", "copy").out == "copy is removed.\n"
    assert ready("sync", "remove", "copy").status == 3
    wrong = ready("sync", "add", "copy", "source=/etc", f"remote={there}")
    assert wrong.status == 1 and "/etc" in wrong.err


def test_the_server(ready: Ctl) -> None:
    shown = ready("sync", "status").out
    assert shown.startswith("test\n") and "ssh-ed25519 " in shown
    assert "public_key" in ready("sync", "status", "--json").json()["test"]


def test_progress_on_a_terminal_and_ctrl_c_leaves_it_running(
    stack: CtlStack, ready: Ctl, source: Path, there: Path, run_dir: Path
) -> None:
    job = (f"source={source}", f"remote={there}", "bandwidth_kib=1")
    assert ready("sync", "add", "slow", *job).status == 0
    terminal = Terminal(stack.url, run_dir, "sync", "run", "slow")
    terminal.read("slow  [")
    terminal.read("files, ")
    wait_for(lambda: "running" in ready("sync", "status", "slow").out, 30, "the run")
    terminal.type("\x03")
    shown = terminal.read()
    assert terminal.close() == 130
    assert "slow goes on; see: raspyctl sync status slow" in shown
    assert ready("sync", "status", "slow", "--json").json()["state"] == "running"
