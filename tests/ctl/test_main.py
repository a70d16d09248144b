# SPDX-License-Identifier: GPL-3.0-or-later
"""The program: exit statuses, what is said, and that it is quick where it must be."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from raspy.ctl import __main__, errors, frame
from tests.support.ctl import Ctl
from tests.support.processes import child_env


def verb_that(do: Callable[[], object]) -> type[frame.Verbs]:
    """All verbs are one that does this."""

    class One(frame.Verbs):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
            return frame.Verb("get", callback=do)

    return One


def raiser(error: BaseException) -> Callable[[], object]:
    def do() -> object:
        raise error

    return do


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (errors.CtlError("it broke\x1b[2J"), 1, "raspyctl: it broke\\x1b[2J\n"),
        (errors.WrongUse("two"), 2, "raspyctl: two\n"),
        (errors.NotFound("gone"), 3, "raspyctl: gone\n"),
        (errors.NoBroker("away"), 4, "raspyctl: away\n"),
        (click.ClickException("odd"), 1, "raspyctl: odd\n"),
        (click.FileError("x", "no"), 1, "raspyctl: Could not open file 'x': no\n"),
        (click.Abort(), 130, ""),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_how_it_ends(
    ctl: Ctl, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, said: str
) -> None:
    monkeypatch.setattr(__main__, "Verbs", verb_that(raiser(error)))
    result = ctl("get")
    assert (result.status, result.out, result.err) == (status, "", said)


def test_what_a_verb_returns_is_the_status(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(__main__, "Verbs", verb_that(lambda: 3))
    assert ctl("get").status == 3
    monkeypatch.setattr(__main__, "Verbs", verb_that(lambda: "text"))
    assert ctl("get").status == 0


def test_nobody_reads(run_dir: Path) -> None:
    """Standard output is closed before a word is written, and nothing is said of it."""
    command = f"'{sys.executable}' -m raspy.ctl --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", f"for try in 1 2 3; do {command}; done"],
        env=child_env(run_dir), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert set(done.stdout.split()) <= {"0", "141"} and done.stderr == ""


def test_a_full_disk_is_an_error(run_dir: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "raspy.ctl", "--help"], env=child_env(run_dir),
            stdout=full, stderr=subprocess.PIPE, timeout=60, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, b"raspyctl: [Errno 28] No space left on device\n")


def test_help_needs_neither_zeromq_nor_rich(run_dir: Path) -> None:
    code = (
        "import sys; from raspy.ctl.__main__ import main; status = main(['--help'])\n"
        "heavy = {'zmq', 'rich', 'raspy.common.mdcliapi', 'asyncio'} & set(sys.modules)\n"
        "print(sorted(heavy), file=sys.stderr); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=child_env(run_dir),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "[]\n")


def test_a_terminal_that_can_not_show_a_letter(run_dir: Path) -> None:
    env = child_env(run_dir, {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    done = subprocess.run(
        [sys.executable, "-m", "raspy.ctl", "wärme"], env=env, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 2 and b"there is no verb" in done.stderr and b"Traceback" not in done.stderr
