# SPDX-License-Identifier: GPL-3.0-or-later
"""What README.md tells a newcomer to type does what it says there."""

import re
import textwrap
from pathlib import Path

import pytest

from tests.docs.pages import raspyctl
from tests.support.waiting import wait_for

README = Path(__file__).resolve().parents[1] / "README.md"


def blocks(title):
    """The indented blocks below a heading."""
    section = README.read_text(encoding="utf-8").split(f"## {title}\n")[1].split("\n## ")[0]
    return [textwrap.dedent(block) for block in re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)]


# Nine daemons and six commands, one after the other: on a machine that is busy it takes its time.
@pytest.mark.timeout(600)
def test_what_to_do_next(processes, run_dir):
    stack = processes.start("raspy", env={"XDG_STATE_HOME": ""})
    stack.wait_output("Ctrl-C stops it", 200)
    broker = f"ipc://{run_dir}/.local/state/raspy/run"
    alias, look, play = blocks("What to do next")
    assert alias == "alias raspyctl='/usr/bin/python3 -m raspy.ctl'\n"
    status, devices, services = (line.partition("#")[0] for line in look.splitlines())
    # 1: this machine has a problem of its own, such as a sensor without a value.
    assert "/core" in raspyctl(status, broker, run_dir, statuses=(0, 1))
    devices = raspyctl(devices, broker, run_dir)
    services = raspyctl(services, broker, run_dir)
    assert "host/memory" in devices
    assert "core.cron" in services
    for line in play.splitlines():
        raspyctl(line, broker, run_dir)
    stack.wait_output("heater: on, was off", 60)
    stack.wait_output("fake/tank", 60)
    wait_for(lambda: "the hold of 10 s was not renewed" in stack.output, 60, "the end of the hold")
    assert stack.stop() == 0
