# SPDX-License-Identifier: GPL-3.0-or-later
"""A child process, watched."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from raspy.servers.sync import process
from tests.conftest import alive, wait_for


def shell(script: str, **kwargs: object) -> process.Finished:
    return process.run(["sh", "-c", script], **{"limit_s": 10, **kwargs})  # type: ignore[arg-type]


def test_tells_how_it_ended(tmp_path: Path) -> None:
    pieces: list[bytes] = []
    done = shell(
        "pwd; echo $X $HOME; echo wrong >&2; exit 3", cwd=tmp_path, env={"X": "y"}, on_output=pieces.append
    )
    assert done == (3, f"{tmp_path}\ny\n", ["wrong"], False)
    assert b"".join(pieces).decode() == done.output


def test_keeps_the_last_of_what_it_says() -> None:
    done = shell(
        "for i in $(seq 100); do echo line $i >&2; done; yes | head -c 200000; printf '\\033[31mred' >&2"
    )
    assert done.errors == [*(f"line {n}" for n in range(82, 101)), "?[31mred"]
    assert len(done.output) == process.OUTPUT_MAX
    done = shell("head -c 5000 /dev/zero | tr '\\0' x >&2")
    assert [len(line) for line in done.errors] == [process.LINE_MAX]


def test_a_time_limit_ends_it_with_all_that_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    done = shell(f"sleep 60 & echo $! $$ > {pids}; wait", limit_s=0.3)
    assert done.timed_out
    assert done.status == -15
    wait_for(lambda: not any(alive(int(pid)) for pid in pids.read_text().split()))


def test_one_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "TERM_S", 0.2)
    program = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        " print('on', flush=True); time.sleep(60)"
    )
    ready = time.monotonic() + 60

    def stop(data: bytes) -> None:
        nonlocal ready
        ready = time.monotonic()

    def tick() -> None:
        if time.monotonic() >= ready:
            raise process.Stopped("enough")

    with pytest.raises(process.Stopped, match="enough"):
        process.run([sys.executable, "-c", program], limit_s=60, tick=tick, on_output=stop)


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        process.run(["/no/such/program"], limit_s=1)


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    shell("true")
    assert len(os.listdir("/proc/self/fd")) == before
