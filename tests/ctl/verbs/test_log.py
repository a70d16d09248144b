# SPDX-License-Identifier: GPL-3.0-or-later
"""raspyctl log: the logger's events, and a journal that is written here."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Processes, wait_for
from tests.support.ctl import Ctl, CtlStack
from tests.support.journal import write_journal


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[CtlStack]:
    started = CtlStack(home)
    started.broker.server("logger", f"listen=unix:{home}/http.sock")
    for level, message in (
        ("info", "the lamp is on"),
        ("warning", "heater: too hot"),
        ("error", "heater: gave up"),
    ):
        started.ask("test.logger.log", "log", "fake", level, message)
    started.ask("test.logger.log", "log", "core", "info", "cron job x\x1b[2J fired")
    yield started
    started.close()


@pytest.fixture
def ready(ctl: Ctl, stack: CtlStack) -> Ctl:
    ctl.use(stack.url)
    wait_for(lambda: len(ctl("log", "--events").rows()) == 4, 30, "all events")
    return ctl


def test_the_events_of_all_servers(ready: Ctl) -> None:
    messages = [row[-1] for row in ready("log", "--events").rows()]
    assert messages == ["the lamp is on", "heater: too hot", "heater: gave up", "cron job x\\x1b[2J fired"]
    # A stack in the foreground has no journal.
    assert ready("log").out == ready("log", "--events").out
    found = ready("log", "--json").json()
    assert found[1]["level"] == "warning" and found[1]["server"] == "fake" and found[1]["time"] <= time.time()


def test_some_of_them(ready: Ctl) -> None:
    assert len(ready("log", "--server", "fake").rows()) == 3
    assert [row[-1] for row in ready("log", "--priority", "warning", "-n", "1").rows()] == ["heater: gave up"]
    assert len(ready("log", "--device", "heater", "--last", "1h").rows()) == 2
    assert len(ready("log", "--text", "LAMP").rows()) == 1
    assert ready("log", "--text", "nothing").out == "Nothing of that kind has happened.\n"


def test_what_is_wrong(ready: Ctl) -> None:
    assert ready("log", "--server", "fkae").err.startswith(
        "raspyctl: there is no log of events 'fkae'; did you mean"
    )
    assert "raspyctl watch --events" in ready("log", "-f").err
    assert ready("log", "--last", "yesterday").status == 2
    assert ready("log", "-n", "0").status == 2


T0 = 1_769_000_000.0
LINES = [
    {"time": str(T0), "MESSAGE": "core is ready", "PRIORITY": "6", "RASPY_SERVICE": "core"},
    {
        "time": str(T0 + 1),
        "MESSAGE": "heater: on",
        "PRIORITY": "6",
        "RASPY_SERVICE": "fake",
        "RASPY_DEVICE": "heater",
    },
    {"time": str(T0 + 2), "MESSAGE": "tank\x1b[2J: CRC error", "PRIORITY": "4", "RASPY_SERVICE": "fake"},
]
# raspyctl on a machine that runs under systemd, whose journal is the test's own.
UNDER_SYSTEMD = """
import sys
from pathlib import Path
from raspy.common import config
from raspy.ctl import __main__, units
from raspy.ctl.verbs import log
folder = Path(sys.argv[1])
config.DEFAULT_FILE, units.BOOTED, log.JOURNAL = folder / "raspy.conf", str(folder), str(folder / "journal")
sys.exit(__main__.main(sys.argv[2:]))
"""


@pytest.fixture
def machine(run_dir: Path) -> Path:
    """The folder of such a machine; its broker is down, which the journal does not need."""
    (run_dir / "raspy.conf").write_text(f"[raspy]\nbroker = ipc://{run_dir}\n")
    (run_dir / "journal").mkdir()
    write_journal(run_dir / "journal", LINES)
    return run_dir


def journal(processes: Processes, machine: Path, *words: str) -> str:
    command = [sys.executable, "-c", UNDER_SYSTEMD, str(machine), "log", *words]
    child = processes.start_command("raspyctl log", command)
    assert child.wait(30) == 0, child.output
    return child.output


def test_the_journal(processes: Processes, machine: Path) -> None:
    lines = journal(processes, machine).splitlines()
    assert lines[0].split() == ["TIME", "SERVER", "WHAT", "HAPPENED"]
    assert [line.split("  ")[-1] for line in lines[1:]] == [
        "core is ready",
        "heater: on",
        "tank [2J: CRC error",
    ]
    (heater,) = json.loads(journal(processes, machine, "--device", "fake/heater", "--json"))
    assert (heater["message"], heater["priority"]) == ("heater: on", "info")
    assert "CRC" in journal(processes, machine, "--priority", "warning", "--server", "fake")


def test_the_journal_is_followed(processes: Processes, machine: Path) -> None:
    command = [sys.executable, "-c", UNDER_SYSTEMD, str(machine), "log", "-f"]
    child = processes.start_command("raspyctl log -f", command)
    child.wait_output("CRC error", 30)
    write_journal(machine / "journal", [{**LINES[0], "time": str(T0 + 9), "MESSAGE": "core ends"}], "more")
    child.wait_output("core: core ends", 30)
    child.signal(signal.SIGINT)
    assert child.wait() == 130


def test_no_journal(processes: Processes, machine: Path) -> None:
    without = "import sys\nsys.modules['systemd.journal'] = None\n" + UNDER_SYSTEMD
    child = processes.start_command("raspyctl log", [sys.executable, "-c", without, str(machine), "log"])
    assert child.wait(30) == 1
    assert "raspyctl log --events" in child.output
