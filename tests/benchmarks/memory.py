# SPDX-License-Identifier: GPL-3.0-or-later
"""memory: what each daemon of the stack takes when idle, and how soon it is ready."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

from .harness import Options, Run, Table, against, medians, say
from .processes import ROOT, Process, Room

IDLE_S = 60.0
"""How long the stack is left alone, for each second of --seconds."""

PSS_REACH_MIB = {"titanic": 17.0, "logger": 24.0, "core": 34.0}
OTHER_PSS_REACH_MIB = 16.0
START_REACH_S = 0.35
FIRST = ("broker", "titanic")
"""The others need these two to be ready."""


def measure(options: Options) -> Iterator[Table]:
    """Two tables: memory of the whole stack at idle, and start times one by one."""
    with Room(options.transport) as room:
        yield idle(room, IDLE_S * options.seconds)
    yield starts(options)


def idle(room: Room, idle_s: float) -> Table:
    """PSS of each process of ``python3 -m raspy`` after `idle_s` seconds."""
    say(f"memory: the stack, idle for {idle_s:g} s")
    table = Table("Memory at idle", ("process", "PSS MiB", "reach", "met", "CPU ms/s"),
                  f"After {idle_s:g} s of `python3 -m raspy`. PSS: the process's own memory, and its share "
                  "of what it shares with others (code of libraries, mostly). CPU: over the last fifth.")
    stack = room.daemon("raspy", "--state", room.path / "state", says="Ctrl-C stops it")
    time.sleep(idle_s * 0.8)
    processes = [(name_of(process), process) for process in family(stack)]
    before = [process.cpu_s() for _, process in processes]
    time.sleep(idle_s * 0.2)
    total = 0.0
    for (name, process), cpu_s in sorted(zip(processes, before, strict=True), key=lambda pair: pair[0][0]):
        busy = (process.cpu_s() - cpu_s) * 1000 / (idle_s * 0.2)
        reach, pss_mib = PSS_REACH_MIB.get(name, OTHER_PSS_REACH_MIB), process.pss_mib()
        total += pss_mib
        table.add(name, *against(pss_mib, reach, at_most=True), busy)
    table.add("all", total)
    return table


def starts(options: Options) -> Table:
    """The time from the start of a process to its READY=1, of each daemon when those it needs are there."""
    say("memory: start times")
    table = Table("Start", ("process", "ready s", "reach", "met"),
                  "From the process's start to READY=1, beside the broker and titanic.")
    took: dict[str, list[Run]] = {name: [] for name in servers()}
    for _ in range(options.runs):
        with Room(options.transport) as room:
            for name, runs in took.items():
                data = room.path / name
                data.mkdir()
                process = room.daemon(f"raspy.servers.{name}", "--broker", room.broker.url,
                                      "--data-dir", data)
                runs.append({"start_s": process.start_s})
                if name not in FIRST:
                    room.stop(process)
    for name, runs in took.items():
        table.add(name, *against(medians(runs)["start_s"], START_REACH_S, at_most=True))
    return table


def servers() -> list[str]:
    """The names of the daemons that are there, those first that the others need."""
    folder = ROOT / "raspy" / "servers"
    names = [path.parent.name for path in folder.glob("*/__main__.py")]
    names += [path.stem for path in folder.glob("*.py") if path.stem != "__init__"]
    return [*FIRST, *sorted(set(names) - set(FIRST))]


def family(process: Process) -> list[Process]:
    """A process and all that it started, directly or not."""
    return [process, *(member for child in process.children() for member in family(child))]


def name_of(process: Process) -> str:
    """The daemon's name, from its command line."""
    found = re.search(r"raspy\.servers\.(\w+)", process.command())
    return found[1] if found else "python3 -m raspy"
