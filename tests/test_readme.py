# SPDX-License-Identifier: GPL-3.0-or-later
"""What README.md tells a newcomer to type does what it says there."""

import json
import re
import textwrap
from pathlib import Path

from tests.support.waiting import wait_for

README = Path(__file__).resolve().parents[1] / "README.md"


def blocks(title):
    """The indented blocks below a heading."""
    section = README.read_text(encoding="utf-8").split(f"## {title}\n")[1].split("\n## ")[0]
    return [textwrap.dedent(block) for block in re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)]


def test_what_to_do_next(processes, run_dir, monkeypatch):
    monkeypatch.setenv("HOME", str(run_dir))
    stack = processes.start("raspy", env={"XDG_STATE_HOME": ""})
    stack.wait_output("Ctrl-C stops it", 60)
    connect, look, play = blocks("What to do next")
    python = {}
    exec(connect.partition("'")[2].rpartition("'")[0], python)  # noqa: S102 - our own README
    try:
        python["bus"].retries = 40
        names, devices, statistics = (eval(line, python) for line in look.splitlines())  # noqa: S307
        host = python["host"].encode()
        assert host + b".host.devices" in names
        assert b"memory" in devices
        assert "broker.requests" in json.loads(statistics[0])
        exec(play, python)  # noqa: S102
        stack.wait_output("heater: on, was off", 20)
        stack.wait_output("fake/tank", 20)
        wait_for(lambda: "the hold of 10 s was not renewed" in stack.output, 30, "the end of the hold")
    finally:
        python["bus"].destroy()
    assert stack.stop() == 0
