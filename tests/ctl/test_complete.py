# SPDX-License-Identifier: GPL-3.0-or-later
"""Completion, in the shells themselves."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from raspy.ctl import complete
from tests.conftest import wait_for
from tests.support.ctl import HEATER, TANK, WAIT_S, Ctl, CtlStack
from tests.support.processes import child_env

BIG = {"oid": "sensor.temperature.tank", "name": "big tank", "poll": 5}
TV = {"oid": "switch.relay", "name": "siren", "config": {"safe": False}}


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[CtlStack]:
    started = CtlStack(home, "titanic", "fake", "core", devices=(TANK, HEATER, BIG, TV))
    started.ask("test.core.cron", "add", "morning", '{"interval_s": 60}')
    yield started
    started.close()


@pytest.fixture
def env(ctl: Ctl, stack: CtlStack, run_dir: Path) -> dict[str, str]:
    """The environment of a shell that finds raspyctl, on the stack's broker."""
    ctl.use(stack.url)
    wait_for(lambda: ctl("get", "big tank").status == 0, 30, "all values")
    program = run_dir / "raspyctl"
    # Its bound is for people who wait for the Tab key; here the machine may be busy.
    program.write_text(
        f"#!{sys.executable}\nimport sys\nfrom raspy.ctl import __main__, complete\n"
        f"complete.BOUND_S = {WAIT_S}\nsys.exit(__main__.main())\n"
    )
    program.chmod(0o755)
    return child_env(run_dir, {"RASPY_BROKER": stack.url, "PATH": f"{run_dir}:{os.environ['PATH']}"})


def in_bash(env: dict[str, str], *words: str) -> list[str]:
    """What bash would offer for the last of the words, by the function that the script made."""
    quoted = " ".join(f"'{word}'" for word in words)
    script = (
        'eval "$(raspyctl completion bash)"\n'
        "complete -p raspyctl | grep -q _raspyctl_completion || exit 9\n"
        f"COMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1}\n"
        '_raspyctl_completion raspyctl\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script], env=env, capture_output=True, text=True, timeout=WAIT_S, check=True
    )
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


def test_verbs_actions_and_options_in_bash(env: dict[str, str]) -> None:
    assert in_bash(env, "raspyctl", "sta") == ["status"]
    assert in_bash(env, "raspyctl", "cron", "re") == ["remove"]
    assert "--hold" in in_bash(env, "raspyctl", "set", "--h")


def test_live_names_in_bash(env: dict[str, str]) -> None:
    assert in_bash(env, "raspyctl", "get", "he") == ["heater"]
    assert in_bash(env, "raspyctl", "get", "fake/he") == ["fake/heater"]
    assert in_bash(env, "raspyctl", "get", "test/fake/t") == ["test/fake/tank"]
    # A space is part of the name, and no end of the word.
    assert in_bash(env, "raspyctl", "get", "bi") == ["big\\ tank"]
    assert in_bash(env, "raspyctl", "get", "big\\ ta") == ["big\\ tank"]
    assert in_bash(env, "raspyctl", "set", "heater", "o") == ["on", "off"]
    assert in_bash(env, "raspyctl", "cron", "fire", "m") == ["morning"]
    assert in_bash(env, "raspyctl", "store", "get", "test.f") == ["test.fake"]
    assert in_bash(env, "raspyctl", "store", "get", "test.fake", "devices", "ta") == ["tank"]
    assert in_bash(env, "raspyctl", "request", "titanic.st") == ["titanic.store"]


def test_without_a_broker_there_is_nothing_and_nothing_is_said(env: dict[str, str]) -> None:
    nowhere = {**env, "RASPY_BROKER": "ipc:///tmp/raspy-nowhere"}
    assert in_bash(nowhere, "raspyctl", "get", "he") == [""]
    assert in_bash({**env, "RASPY_BROKER": "wrong"}, "raspyctl", "get", "he") == [""]


def test_in_fish(env: dict[str, str]) -> None:
    script = "raspyctl completion fish | source; complete -C 'raspyctl get he'; complete -C 'raspyctl get bi'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        env=env,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=True,
    )
    assert done.stdout.splitlines() == ["heater", "big tank"]


def test_in_zsh(env: dict[str, str]) -> None:
    """On a terminal, with the Tab key: zsh completes nowhere else."""
    leader, follower = pty.openpty()
    shell = subprocess.Popen(
        ["zsh", "-f", "-i"], env={**env, "TERM": "dumb", "PS1": "ready> "}, stdin=follower, stdout=follower,
        stderr=follower, start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    seen = ""

    def read(until: str) -> None:
        nonlocal seen
        deadline = time.monotonic() + WAIT_S
        while until not in seen:
            assert time.monotonic() < deadline, f"no {until!r} in:\n{seen}"
            if select.select([leader], [], [], 0.1)[0]:
                seen += os.read(leader, 65536).decode(errors="replace")

    try:
        read("ready> ")
        os.write(
            leader, b'autoload -Uz compinit; compinit -u -D; eval "$(raspyctl completion zsh)"; echo set-up\n'
        )
        read("\nset-up")
        os.write(leader, b"raspyctl get hea\t\n")
        read("raspyctl get heater")
        read("\noff")
        os.write(leader, b"exit\n")
        shell.wait(WAIT_S)
    finally:
        if shell.poll() is None:
            shell.kill()
            shell.wait()
        os.close(leader)


def test_the_forms_of_a_name() -> None:
    among = [
        ("pi", "fake", "tank"),
        ("pi", "fake", "lamp"),
        ("pi", "onewire", "tank"),
        ("house", "fake", "lamp"),
    ]
    assert complete.forms(among[0], among) == ["fake/tank", "pi/fake/tank"]
    assert complete.forms(among[1], among) == ["pi/fake/lamp"]
    assert complete.fitting("", ["tank", "fake/lamp"]) == ["tank"]
    assert complete.fitting("fake/", ["tank", "fake/lamp"]) == ["fake/lamp"]
