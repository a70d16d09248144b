# SPDX-License-Identifier: GPL-3.0-or-later
"""How verbs are found, and the options that all of them take."""

from __future__ import annotations

import ast
from pathlib import Path

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import raspy
from raspy.ctl import frame
from tests.support.ctl import Ctl

FILES = sorted(path.stem for path in Path(frame.FOLDER).glob("[a-z]*.py"))
HEAVY = {"zmq", "rich", "raspy.common", "raspy.servers", "raspy.stack"}


def test_a_verb_is_found_by_its_file(ctl: Ctl) -> None:
    verbs = frame.Verbs()
    assert verbs.list_commands(click.Context(verbs)) == FILES
    shown = ctl("--help").out
    for name in FILES:
        assert f"\n  {name} " in shown
        assert ctl(name, "--help").status == 0
    assert verbs.get_command(click.Context(verbs), "../verbs/get") is None


@pytest.mark.parametrize("name", FILES)
def test_a_verb_imports_nothing_heavy_at_its_top(name: str) -> None:
    """Or `raspyctl --help`, which imports them all, would be slow on a Raspberry Pi."""
    tree = ast.parse((Path(frame.FOLDER) / f"{name}.py").read_text())
    for node in tree.body:
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        assert not [one for one in modules if one in HEAVY or one.split(".")[0] in HEAVY], ast.unparse(node)


def test_options_stand_before_or_after_the_verb(ctl: Ctl, run_dir: Path) -> None:
    url = f"ipc://{run_dir}/run"
    for words in (["--broker", url, "get", "x"], ["get", "x", "--broker", url], ["get", "--broker", url, "x"],
                  ["devices", "--broker", url, "list"], ["devices", "list", "--broker", url]):  # fmt: skip
        result = ctl(*words)
        assert result.status == 4 and url in result.err, words


def test_help_version_and_nothing(ctl: Ctl, capsys: pytest.CaptureFixture[str]) -> None:
    from raspy.ctl.__main__ import main

    assert ctl("--version").out == f"RasPy {raspy.__version__}\n"
    assert main([]) == 0
    assert "Usage: raspyctl" in capsys.readouterr().out
    assert "Usage: raspyctl cron add" in ctl("cron", "add", "-h").out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["stauts"], "there is no verb 'stauts'; did you mean status? (raspyctl --help)"),
        (["xyzzy"], "there is no verb 'xyzzy'; there are: "),
        (["cron", "ad"], "there is no action 'ad'; did you mean add? (raspyctl cron --help)"),
        (["devices", "lst"], "there is no action 'lst'; did you mean list? (raspyctl devices --help)"),
        (["cron", "tank"], "there is no action 'tank'; there are: list, add, update, remove, fire, next"),
        (["set", "x", "on", "--hodl", "5"], "no such option: --hodl"),
        (["get", "-q"], "no such option: -q"),
        (["get"], "missing argument 'DEVICE[/COMMAND]...'"),
        (["set", "x", "1", "2"], "got unexpected extra argument (2)"),
        (["get", "x", "--timeout", "soon"], "invalid value for '--timeout'"),
        (["get", "x", "--timeout", "0"], "invalid value for '--timeout'"),
    ],
)
def test_what_is_written_wrong(ctl: Ctl, words: list[str], reason: str) -> None:
    result = ctl(*words)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"raspyctl: {reason}") and result.err.count("\n") == 1


def test_a_negative_number_is_no_option(ctl: Ctl, run_dir: Path) -> None:
    """It comes as far as the broker, which is away."""
    assert ctl("--broker", f"ipc://{run_dir}", "set", "x", "-0.2").status == 4
    assert ctl("--broker", f"ipc://{run_dir}", "set", "x", "-.5", "--why", "-x").status == 4
    assert ctl("--broker", f"ipc://{run_dir}", "set", "x", "--", "--text").status == 4


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.text(max_size=12) | st.sampled_from([*FILES, "--json", "--", "-", "list", "-n", "\x1b["]),
        max_size=4,
    )
)
def test_whatever_is_written_it_ends_with_a_known_status(ctl: Ctl, run_dir: Path, words: list[str]) -> None:
    # Not the verbs that work without a broker on files of this machine.
    if {"key", "passwd", "backup", "restore", "doctor"} & set(words):
        return
    result = ctl("--broker", f"ipc://{run_dir}/x", *words)
    assert result.status in (0, 1, 2, 3, 4)
    assert result.err.rstrip("\n").isprintable()
