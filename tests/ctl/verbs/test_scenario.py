# SPDX-License-Identifier: GPL-3.0-or-later
"""raspyctl scenario, against a real core."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from raspy.ctl import scenario_text
from tests.conftest import wait_for
from tests.support.ctl import Ctl, CtlStack, Terminal

LAMP = "/device/test/fake/lamp/state"
DEFINITION = {"conf": {"info": "says something"}, "entries": {"lamp": LAMP}, "code": 'print("here I am")\n'}
WAITING = {**DEFINITION, "code": "while scenario.wait(60):\n    pass\n"}


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[CtlStack]:
    started = CtlStack(home, "titanic", "core")
    yield started
    started.close()


@pytest.fixture
def ready(ctl: Ctl, stack: CtlStack) -> Iterator[Ctl]:
    ctl.use(stack.url)
    yield ctl
    for name in json.loads(stack.ask("test.core.scenarios", "list")[0]):
        stack.ask("test.core.scenarios", "delete", name)


def written(folder: Path, definition: dict[str, object], name: str = "text") -> Path:
    path = folder / name
    path.write_text(scenario_text.write(definition), encoding="utf-8")
    return path


def editor(folder: Path, program: str) -> str:
    """An $EDITOR that does to the file's text (`text`) what the program says."""
    path = folder / "editor.py"
    path.write_text(
        "import pathlib, sys\nfile = pathlib.Path(sys.argv[1])\ntext = file.read_text()\n"
        f"{program}\nfile.write_text(text)\n"
    )
    return f"{sys.executable} {path}"


def test_add_run_and_log(ready: Ctl, run_dir: Path) -> None:
    assert "There are no scenarios" in ready("scenario").out
    assert ready("scenario", "add", "hello", written(run_dir, DEFINITION)).out == "hello is stored.\n"
    again = ready("scenario", "add", "hello", written(run_dir, DEFINITION))
    assert again.status == 1 and "raspyctl scenario edit hello" in again.err
    assert ready("scenario", "run", "hello").out == "hello is started.\n"
    wait_for(lambda: "here I am" in ready("scenario", "log", "hello").out, 30, "its line")
    found = ready("scenario", "log", "hello", "--json").json()
    assert found[0]["text"] == "here I am" and found[0]["level"] == "info"
    wait_for(lambda: "done" in ready("scenario").out, 30, "its end")
    (row,) = ready("scenario", "list").rows()
    assert row[0] == "hello" and "1" in row
    assert ready("scenario", "log", "hello", "0").status == 2
    assert ready("scenario", "remove", "hello").out == "hello is removed.\n"
    assert ready("scenario", "run", "hello").status == 3


def test_stop(ready: Ctl, run_dir: Path) -> None:
    ready("scenario", "add", "waits", written(run_dir, WAITING))
    assert ready("scenario", "stop", "waits").out == "waits was not running.\n"
    assert ready("scenario", "run", "waits", "--json").json() is True
    wait_for(lambda: "running" in ready("scenario").out, 30, "its start")
    assert ready("scenario", "run", "waits").out == "waits runs already.\n"
    assert ready("scenario", "stop", "waits").out == "waits is being stopped.\n"
    assert ready("scenario", "log", "waits").status == 0


def test_show_is_what_add_takes(ready: Ctl, run_dir: Path) -> None:
    entries = {"lamp": LAMP, "hot": {"key": LAMP, "equals": True, "for_s": 3}}
    ready("scenario", "add", "one", written(run_dir, {**DEFINITION, "entries": entries}))
    shown = ready("scenario", "show", "one").out
    (run_dir / "copy").write_text(shown)
    assert ready("scenario", "add", "two", run_dir / "copy").status == 0
    both = ready("scenario", "--json").json()
    one, two = both["test/one"], both["test/two"]
    assert (one["conf"], one["code"]) == (two["conf"], two["code"])
    assert two["entries"]["hot"]["for_s"] == 3
    assert ready("scenario", "show", "one", "--json").json()["name"] == "one"


def test_edit(ready: Ctl, run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "EDITOR", editor(run_dir, 'text = text.replace("lamp", "light").replace("tank", "light")')
    )
    assert ready("scenario", "add", "new").status == 0
    assert (
        ready("scenario", "--json").json()["test/new"]["entries"]["light"]["key"].startswith("/device/HOST")
    )
    monkeypatch.setenv("EDITOR", editor(run_dir, 'text = text.replace("wait(60)", "wait(30)")'))
    assert ready("scenario", "edit", "new").out == "new is stored.\n"
    assert "wait(30)" in ready("scenario", "show", "new").out
    unchanged = ready("scenario", "edit", "new")
    assert unchanged.status == 1 and "nothing was changed" in unchanged.err
    monkeypatch.setenv("EDITOR", editor(run_dir, 'text = text.replace("while", "whale")'))
    wrong = ready("scenario", "edit", "new")
    assert wrong.status == 1 and "line 1" in wrong.err
    assert ready("scenario", "edit", "new", written(run_dir, DEFINITION)).status == 0
    assert "here I am" in ready("scenario", "show", "new").out


def test_a_mistake_in_the_editor_can_be_mended(stack: CtlStack, ready: Ctl, run_dir: Path) -> None:
    """On a terminal nothing of what was written is lost: the editor opens again with the same text."""
    program = 'text = text.replace("#mark", "pass") if "#mark" in text else text.replace("pass", "#mark ((")'
    ready("scenario", "add", "new", written(run_dir, WAITING))
    ready.monkeypatch.setenv(
        "EDITOR", editor(run_dir, f'{program}\ntext = text.replace("pass ((", "pass # ok")')
    )
    terminal = Terminal(stack.url, run_dir, "scenario", "edit", "new")
    terminal.read("Go on editing? [Y/n]")
    terminal.type("\n")
    shown = terminal.read()
    assert terminal.close() == 0, shown
    assert "new is stored." in shown
    assert "pass # ok" in ready("scenario", "show", "new").out


def test_export_and_import(ready: Ctl, run_dir: Path) -> None:
    ready("scenario", "add", "one", written(run_dir, DEFINITION))
    ready("scenario", "add", "two", written(run_dir, DEFINITION))
    exported = run_dir / "export.json"
    exported.write_text(ready("scenario", "export", "one").out)
    assert [one["name"] for one in json.loads(exported.read_text())["scenarios"]] == ["one"]
    assert len(json.loads(ready("scenario", "export").out)["scenarios"]) == 2
    taken = ready("scenario", "import", exported)
    assert taken.status == 1 and "there is a scenario one already" in taken.err
    assert ready("scenario", "import", "--replace", exported).out == "Imported, not active yet: one\n"
    assert ready("scenario", "import", "--replace", exported, "--to", "test", "--json").json() == ["one"]
    assert ready("scenario", "import", "--to", "elsewhere", exported).status == 3
    inactive = next(row for row in ready("scenario").rows() if row[0] == "one")
    assert inactive[1] == "inactive"
    assert ready("scenario", "import", run_dir / "nothing").status == 2


def test_how_it_stands_with_each(ready: Ctl, run_dir: Path) -> None:
    fired = {"conf": {}, "entries": {"far": {"key": "/device/x/y/z/v", "above": 3}}, "code": "pass\n"}
    ready("scenario", "add", "far", written(run_dir, fired))
    assert "there is no far" in ready("scenario").out
