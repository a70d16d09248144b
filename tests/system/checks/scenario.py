# SPDX-License-Identifier: GPL-3.0-or-later
"""A scenario from a stranger: what its code can reach in the installed form."""

from __future__ import annotations

import json

from tests.system.installed import Raspy
from tests.system.report import Report

# What the code tries, by name; each has to be refused.
TRIES = {
    "read /etc/shadow": 'open("/etc/shadow").read()',
    "read /home": 'import os; os.listdir("/home")',
    "read /etc/raspy": 'open("/etc/raspy/raspy.conf").read()',
    "write /tmp": 'open("/tmp/written", "w").write("x")',
    "write /run/raspy": 'open("/run/raspy/written", "w").write("x")',
    "open a unix socket": "import socket; socket.socket(socket.AF_UNIX)",
    "open a network socket": "import socket; socket.socket(socket.AF_INET)",
    "start a process": 'import os; os.posix_spawn("/bin/true", ["true"], {})',
    "see other processes": 'import os; 1 / (len([n for n in os.listdir("/proc") if n.isdigit()]) > 1)',
    "reach into its own runner": "import os; os.kill(1, 9)",
}
# Each try in a scenario of its own, since some end the process.
CODE = """
try:
    exec({code!r})
except BaseException as error:
    scenario.log("refused: " + type(error).__name__ + " " + str(error))
else:
    scenario.log("POSSIBLE")
"""
GREEDY = """
kept = []
while True:
    kept.append(bytearray(1 << 20))
"""
ENDED = ("idle", "failed", "gave up", "inactive")


def check(raspy: Raspy, report: Report) -> None:
    """Try everything, and look at how it ended."""
    names = {what: f"try-{number}" for number, what in enumerate(TRIES)}
    for what, name in names.items():
        _start(raspy, name, CODE.format(code=TRIES[what]))
    _start(raspy, "greedy", GREEDY, memory_mb=48)
    for what, name in names.items():
        said = _end(raspy, name)
        report.add(what, "refused", said[0], not any("POSSIBLE" in line for line in said))
    said = _end(raspy, "greedy")
    good = any("memory" in line for line in said)
    report.add(
        "take more than its memory_mb (48)", "ended: memory", said[-1] if said else "nothing was said", good
    )
    for name in (*names.values(), "greedy"):
        raspy.want("HOST.core.scenarios", "delete", name)


def _start(raspy: Raspy, name: str, code: str, **conf: object) -> None:
    definition = {"code": code, "entries": {}, "conf": {"restart": "never", **conf}}
    raspy.want("HOST.core.scenarios", "add", name, json.dumps(definition))
    raspy.want("HOST.core.scenario", "start", name)


def _end(raspy: Raspy, name: str) -> list[str]:
    """Wait until a scenario has ended, and return what it said."""
    mark = f"scenario {name}: "

    def said() -> list[str]:
        if raspy.want("HOST.core.scenario", "status", name) not in ENDED:
            return []
        lines = [line.removeprefix(mark) for line in raspy.lines(f"RASPY_SCENARIO={name}")]
        return [line for line in lines if line.startswith(("refused", "POSSIBLE", "scenario", "the system"))]

    return raspy.machine.wait(said, f"the end of {name}, and why")
