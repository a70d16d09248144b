# SPDX-License-Identifier: GPL-3.0-or-later
"""titanic: requests stored on the disk, beside the broker's echo, SQLite alone and mosquitto QoS 1, 2."""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

from .anchors import start_mosquitto
from .harness import Options, Run, Table, against, interleave, medians, say
from .loadgen import LoadGenerator
from .processes import Process, Room

OUTSTANDING = 64
WORKERS = 16
"""Of the broker's echo: plain MDP/0.1 workers, enough for it to be the broker's rate."""
CREDIT = 64
"""What titanic's own workers say; the echo is measured with such a worker too."""
SIZE = 16

ECHO_REACH = 0.4
"""Requests stored, as a share of the broker's echo at the same concurrency."""
SYNC_REACH = 0.1
"""Calls of fsync for a stored request."""
MOSQUITTO_REACH = 1.0
LONGER = 4
"""mosquitto saves its whole database each time, so it slows down as messages are kept: it is measured in runs
of the usual length and in runs so many times as long, each beside a titanic that ran as long."""
LONG_RUN = f", {LONGER} times as long"

ABSENT = "bench.absent"
ECHO = "bench.echo"
SYNC_CALLS = "fsync,fdatasync,sync_file_range,msync"

COLUMNS = (
    "work",
    "stored /s",
    "of echo",
    "reach",
    "met",
    "p50 us",
    "p99 us",
    "fsync a request",
    "reach",
    "met",
)
ANCHOR_COLUMNS = ("anchor", "/s", "titanic is", "reach", "met", "p50 us", "p99 us")


class Case(NamedTuple):
    """One kind of load on titanic.request."""

    name: str
    outstanding: int
    service: str
    judged: bool


CASES = (
    Case(f"{OUTSTANDING} outstanding, service absent", OUTSTANDING, ABSENT, True),
    Case(f"{OUTSTANDING} outstanding, delivered meanwhile", OUTSTANDING, ECHO, False),
    Case("synchronous, service absent", 1, ABSENT, False),
)


def measure(options: Options) -> Iterator[Table]:
    """Two tables: titanic itself, and what it is measured against."""
    load = LoadGenerator()
    with Room(options.transport) as room:
        room.daemon("raspy.servers.broker", "--broker", room.broker.url)
        say("titanic: rates")
        runs = interleave(options.runs, variants(load, room, options))
        say("titanic: fsync, counted with strace")
        syncs = {case.name: sync_calls(load, room, case, options) for case in CASES}
    rates = {name: medians(measured) for name, measured in runs.items()}
    yield ours(rates, syncs)
    yield anchors(rates)


def ours(rates: dict[str, dict[str, float]], syncs: dict[str, float]) -> Table:
    """Titanic by itself."""
    table = Table(
        "Titanic: requests stored",
        COLUMNS,
        "Stored: acknowledged, so on the disk. Echo: the broker's own rate at 64 outstanding, the better "
        f"of {WORKERS} lock-step workers and of one with credit. fsync a request: calls counted by "
        "strace in runs of their own, with those for replies that were stored meanwhile.",
    )
    echo = max(rates["echo"]["rate"], rates["echo, credit"]["rate"])
    for case in CASES:
        run, sync = rates[case.name], syncs[case.name]
        ratio = run["rate"] / echo
        judged = (
            *against(ratio, ECHO_REACH),
            run["p50_us"],
            run["p99_us"],
            *against(sync, SYNC_REACH, at_most=True),
        )
        free = (ratio, "", "", run["p50_us"], run["p99_us"], sync)
        table.add(case.name, run["rate"], *(judged if case.judged else free))
    return table


def anchors(rates: dict[str, dict[str, float]]) -> Table:
    """What was measured beside it."""
    table = Table(
        "Titanic: beside",
        ANCHOR_COLUMNS,
        f"mosquitto: publications acknowledged, {OUTSTANDING} outstanding, queued for a subscriber that is "
        "away, and saved after so many changes (never by fsync). It saves all that it keeps each time, and "
        f"so slows down: rows with '{LONGER} times as long' compare runs of that length. SQLite: rows/s of "
        "one thread without a bus, WAL and synchronous=FULL.",
    )
    ours_too = {case.name for case in CASES} | {CASES[0].name + LONG_RUN}
    for name, run in rates.items():
        if name in ours_too:
            continue
        stored = rates[CASES[0].name + (LONG_RUN if name.endswith(LONG_RUN) else "")]["rate"]
        ratio = stored / run["rate"]
        judged = against(ratio, MOSQUITTO_REACH) if name.startswith("mosquitto") else (ratio, "", "")
        table.add(name, run["rate"], *judged, run.get("p50_us", ""), run.get("p99_us", ""))
    return table


def variants(load: LoadGenerator, room: Room, options: Options) -> dict[str, Callable[[], Run]]:
    """All that is measured in turn."""
    found: dict[str, Callable[[], Run]] = {
        "echo": partial(echo, load, room, options, WORKERS, 0),
        "echo, credit": partial(echo, load, room, options, 1, CREDIT),
    }
    for case in CASES:
        found[case.name] = partial(store, load, room, case, options.seconds)
    for saved in (1, 100):
        for qos in (1, 2):
            found[f"mosquitto QoS {qos}, saved each {saved}"] = partial(
                mosquitto, load, room, qos, saved, options.seconds
            )
    longer = options.seconds * LONGER
    found[CASES[0].name + LONG_RUN] = partial(store, load, room, CASES[0], longer)
    for qos in (1, 2):
        found[f"mosquitto QoS {qos}, saved each 100{LONG_RUN}"] = partial(
            mosquitto, load, room, qos, 100, longer
        )
    for rows in (1, 100):
        found[f"SQLite, {rows} row{'s' if rows > 1 else ''} a commit"] = partial(
            sqlite, rows, options.seconds
        )
    return found


def echo(load: LoadGenerator, room: Room, options: Options, workers: int, credit: int) -> Run:
    """The broker's own rate."""
    with load.workers(room, room.broker.mdp, ECHO, workers=workers, credit=credit):
        load.client(room.broker.mdp, ECHO, count=workers * 2)
        return load.client(room.broker.mdp, ECHO, outstanding=OUTSTANDING, size=SIZE, seconds=options.seconds)


def titanic(room: Room) -> tuple[Process, Path]:
    """A new titanic with a new database."""
    folder = Path(tempfile.mkdtemp(prefix="titanic-", dir=room.path))
    process = room.daemon(
        "raspy.servers.titanic",
        "--broker",
        room.broker.url,
        "--data-dir",
        folder,
        "--set",
        "max_requests=10000000",
        "--set",
        "max_database_mib=4096",
    )
    return process, folder


def store(load: LoadGenerator, room: Room, case: Case, seconds: float) -> Run:
    """Requests stored by a titanic of its own."""
    process, folder = titanic(room)
    try:
        with load.workers(room, room.broker.mdp, ECHO, workers=1):
            return load.client(
                room.broker.mdp,
                "titanic.request",
                frames=(case.service,),
                check="first",
                outstanding=case.outstanding,
                size=SIZE,
                seconds=seconds,
            )
    finally:
        room.stop(process)
        shutil.rmtree(folder)


def sync_calls(load: LoadGenerator, room: Room, case: Case, options: Options) -> float:
    """Calls of fsync and its like for each acknowledged request."""
    process, folder = titanic(room)
    summary = room.path / "strace"
    tracer = subprocess.Popen(
        ["strace", "-f", "-c", "-o", summary, "-e", f"trace={SYNC_CALLS}", "-p", str(process.pid)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert tracer.stderr is not None
        if "attached" not in tracer.stderr.readline():
            raise RuntimeError("strace can't attach to a process: apt-get install strace, and run as root")
        with load.workers(room, room.broker.mdp, ECHO, workers=1):
            run = load.client(
                room.broker.mdp,
                "titanic.request",
                frames=(case.service,),
                check="first",
                outstanding=case.outstanding,
                size=SIZE,
                seconds=options.seconds,
            )
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=10)
        room.stop(process)
        shutil.rmtree(folder)
    calls = sum(
        int(found[1]) for found in re.finditer(r"^ *\S+ +\S+ +\S+ +(\d+) .*sync", summary.read_text(), re.M)
    )
    return calls / max(run["requests"], 1)


def mosquitto(load: LoadGenerator, room: Room, qos: int, saved: int, seconds: float) -> Run:
    """Publications that a persistent mosquitto acknowledged; it writes its database after `saved` changes."""
    server = start_mosquitto(room, "autosave_on_changes true", f"autosave_interval {saved}", persistence=True)
    try:
        return load.mqtt_publish(
            server.socket, qos=qos, outstanding=OUTSTANDING, size=SIZE, seconds=seconds, durable=True
        )
    finally:
        room.stop(server.process)


def sqlite(rows: int, seconds: float) -> Run:
    """Rows per second into a table like titanic's, `rows` in each transaction."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder,
        closing(sqlite3.connect(f"{folder}/db", isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA journal_mode = WAL").close()
        connection.execute("PRAGMA synchronous = FULL").close()
        connection.execute("CREATE TABLE requests (seq INTEGER PRIMARY KEY, body BLOB)")
        done, start = 0, time.monotonic()
        while time.monotonic() - start < seconds:
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO requests (body) VALUES (?)", [(bytes(SIZE),)] * rows)
            connection.execute("COMMIT")
            done += rows
        return {"rate": done / (time.monotonic() - start)}
