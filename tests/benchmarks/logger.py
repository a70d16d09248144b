# SPDX-License-Identifier: GPL-3.0-or-later
"""logger: values into histories, what 500 a second cost, and how long a graph takes."""

from __future__ import annotations

import json
import math
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from raspy.common.kvcliapi import KvPublisherClient
from raspy.common.mdcliapi import MajorDomoClient
from raspy.servers.logger.rrd import archives
from raspy.servers.logger.rrd.rrdcached import RrdCached, RrdCachedChild, escape
from tests.support.broker import HOSTNAME
from tests.support.logger_stack import Devices
from tests.support.waiting import wait_for

from .harness import Options, Run, Table, against, interleave, medians, say
from .processes import Process, Room

SERIES = 200
BATCH = 1000
PROCESSES = 50
"""Values that get an `rrdtool update` process each, in a run."""

RATE, RATE_REACH = 20_000, 20_000
RATE_S = 10.0
"""How long the bus is busy, for each second of --seconds."""

OPENED_S = 120.0
"""How long the logger may take at most to open the histories of all values."""

SETTLE_S = 1.5
"""The logger brings its figures up to date twice a second."""

QUIET_RATE, QUIET_REACH = 500, 10.0
GRAPH_REACH_MS = 150.0
IDLE_REACH_MIB = 24.0
BODY = '{"value": %.3f, "unit": "°C", "quality": "good", "time": %.3f, "polled": %.3f, "poll": %.3f}'

PYTHON_RRDTOOL = """
import sys, time, rrdtool
folder, count = sys.argv[1], int(sys.argv[2])
start = int(time.time()) - 100000
begin = time.perf_counter()
for number in range(count):
    rrdtool.update(f"{folder}/{number % 200}.rrd", f"{start + 10 * (number // 200 + 1)}:{number}")
print(count / (time.perf_counter() - begin))
"""


def measure(options: Options) -> Iterator[Table]:
    """Three tables: updates, the logger under load, graphs."""
    with Room(options.transport) as room:
        yield updates(room, options)
    with Room(options.transport) as room, ExitStack() as opened:
        yield from logger(Bus(room, opened), options)


# -- updates ---------------------------------------------------------------------------------------


class Files:
    """RRDs in a folder; each call of a variant goes on in time where the last one stopped."""

    def __init__(self, folder: Path, cached: RrdCached) -> None:
        self.folder = folder
        self.cached = cached
        self.moment = 0

    def fresh(self) -> list[Path]:
        """New files that take values from 100 000 seconds ago on."""
        paths = [self.folder / f"{number}.rrd" for number in range(SERIES)]
        self.moment = int(time.time()) - 100_000
        for path in paths:
            self.cached.forget(path)
            path.unlink(missing_ok=True)
            archives.create(self.cached, path, "GAUGE", self.moment)
        return paths

    def process_each(self) -> Run:
        """`rrdtool update`, a process for each value."""
        paths, begin = self.fresh(), time.perf_counter()
        for path in paths[:PROCESSES]:
            subprocess.run(["rrdtool", "update", path, f"{self.moment + 10}:1"], check=True)
        return {"rate": PROCESSES / (time.perf_counter() - begin)}

    def python(self) -> Run:
        """python3-rrdtool, a call for each value."""
        self.fresh()
        command = ["/usr/bin/python3", "-c", PYTHON_RRDTOOL, str(self.folder), str(SERIES * 100)]
        return {"rate": float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)}

    def one_at_a_time(self) -> Run:
        """rrdcached, a command for each value."""
        paths, count, begin = self.fresh(), SERIES * 20, time.perf_counter()
        for number in range(count):
            self.cached.command(
                "UPDATE", paths[number % SERIES], f"{self.moment + 10 + 10 * number}:{number}"
            )
        return {"rate": count / (time.perf_counter() - begin)}

    def batches(self) -> Run:
        """rrdcached, in the logger's batches."""
        prefixes = [escape(str(path)).encode() for path in self.fresh()]
        count = BATCH * 100
        updates = [
            b"%b %d:%d" % (prefixes[n % SERIES], self.moment + 10 + 10 * (n // SERIES), n)
            for n in range(count)
        ]
        begin = time.perf_counter()
        refused = sum(len(self.cached.update(updates[n : n + BATCH])) for n in range(0, count, BATCH))
        return {"rate": count / (time.perf_counter() - begin), "refused": refused}


def updates(room: Room, options: Options) -> Table:
    """Values a second into RRDs, by each of the ways there are."""
    table = Table(
        "Values into RRDs",
        ("way", "values /s", "refused"),
        f"{SERIES} files on this machine's disk; rrdcached keeps values in memory, the others write them.",
    )
    folder = room.path / "rrd"
    folder.mkdir()
    child = RrdCachedChild(folder)
    child.start()
    cached = child.connect()
    try:
        files = Files(folder.resolve(), cached)
        runs = interleave(
            options.runs,
            {
                "`rrdtool update`, a process each": files.process_each,
                "python3-rrdtool, a call each": files.python,
                "rrdcached, one at a time": files.one_at_a_time,
                f"rrdcached, batches of {BATCH}": files.batches,
            },
        )
    finally:
        cached.close()
        child.stop()
    for name, results in runs.items():
        result = medians(results)
        table.add(name, result["rate"], result.get("refused", 0))
    return table


# -- the logger ------------------------------------------------------------------------------------


class Bus:
    """A broker, the logger, and a device server whose values come from here."""

    def __init__(self, room: Room, opened: ExitStack) -> None:
        broker = ["--broker", room.broker.url, "--hostname", HOSTNAME]
        room.daemon("raspy.servers.broker", *broker)
        self.socket = room.path / "http.sock"
        self.cache = room.path / "logger" / "rrdcached.sock"
        self.logger = room.daemon(
            "raspy.servers.logger",
            *broker,
            "--data-dir",
            room.path / "logger",
            "--set",
            f"listen=unix:{self.socket}",
        )
        self.devices = Devices(room.broker.url, "fake")
        opened.callback(self.devices.close)
        self.devices.logged.update({f"d{number}": True for number in range(SERIES)})
        self.publisher = KvPublisherClient(broker=room.broker.url)
        opened.callback(self.publisher.destroy)
        self.client = MajorDomoClient(room.broker.url)
        opened.callback(self.client.destroy)
        self.client.timeout = 10_000
        self.keys = [f"{HOSTNAME}/fake/d{number}/temperature" for number in range(SERIES)]
        self.sent = 0

    @property
    def rrdcached(self) -> Process:
        """The logger's child."""
        (child,) = [child for child in self.logger.children() if "rrdcached" in child.command()]
        return child

    def figure(self, oid: str) -> int:
        """One of the logger's statistics."""
        answer = self.client.call(f"{HOSTNAME}.logger.statistics", "get", oid)[0]
        return int(json.loads(answer)["value"])

    def publish(self, rate: float, seconds: float) -> float:
        """Publish at a steady rate; the rate that was reached."""
        begin, sent = time.time(), 0
        while (passed := time.time() - begin) < seconds:
            # After a pause of the machine the rest is caught up with step by step, as many senders would.
            due = min(int(passed * rate), sent + max(10, int(rate / 100)))
            while sent < due:
                moment = begin + sent / rate
                value = 20 + math.sin(sent / 5000)
                body = BODY % (value, moment, moment, SERIES / rate)
                if self.publisher.send("/device/", self.keys[self.sent % SERIES], body):
                    self.sent += 1
                sent += 1
            time.sleep(0.002)
        return sent / (time.time() - begin)

    def run(self, rate: float, seconds: float) -> Run:
        """Publish, and see what it cost and what arrived."""
        time.sleep(SETTLE_S)
        before = self.sent, self.taken(), self.logger.cpu_s(), self.rrdcached.cpu_s()
        dropped = self.figure("samples.dropped")
        reached = self.publish(rate, seconds)
        cpu, child = self.logger.cpu_s() - before[2], self.rrdcached.cpu_s() - before[3]
        wanted = self.sent - before[0]
        try:
            wait_for(lambda: self.taken() - before[1] >= wanted, 5)
        except AssertionError:
            pass  # what is missing is lost, and said so
        lost = wanted - (self.taken() - before[1]) + self.figure("samples.dropped") - dropped
        return {"rate": reached, "cpu": 100 * cpu / seconds, "child": 100 * child / seconds, "lost": lost}

    def taken(self) -> int:
        """Samples that have come all the way: taken by the logger, and by rrdcached."""
        cached = RrdCached(self.cache)
        stats = dict(line.split(": ") for line in cached.command("STATS"))
        cached.close()
        return min(self.figure("samples.samples"), int(stats["UpdatesReceived"]))

    def graph(self, target: str) -> Run:
        """GET a graph."""
        begin = time.perf_counter()
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(self.socket))
            peer.sendall(f"GET {target} HTTP/1.1\r\n\r\n".encode())
            received = b"".join(iter(partial(peer.recv, 65536), b""))
        if not received.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{target}: {received[:200]!r}")
        return {"ms": 1000 * (time.perf_counter() - begin), "kB": len(received) / 1000}


def logger(bus: Bus, options: Options) -> Iterator[Table]:
    """The logger as it stands on the bus."""
    say("logger: opening the histories")
    idle_mib = bus.logger.pss_mib()
    wait_for(lambda: bus.publish(QUIET_RATE, 1.0) and bus.figure("series.open") >= SERIES, OPENED_S)
    table = Table(
        "The logger on the bus",
        ("work", "reached /s", "lost", "CPU %", "rrdcached CPU %", "reach", "met"),
        f"{SERIES} values; one sender in this process; CPU: of one core.",
    )
    seconds = RATE_S * options.seconds
    runs = interleave(
        options.runs, {"quiet": lambda: bus.run(QUIET_RATE, seconds), "busy": lambda: bus.run(RATE, seconds)}
    )
    quiet, busy = medians(runs["quiet"]), medians(runs["busy"])
    for name, result, verdict in (
        (f"{QUIET_RATE} /s, CPU", quiet, against(quiet["cpu"], QUIET_REACH, at_most=True)),
        (f"{RATE} /s, without loss", busy, against(0.0 if busy["lost"] else busy["rate"], 0.99 * RATE_REACH)),
    ):
        table.add(name, result["rate"], result["lost"], result["cpu"], result["child"], *verdict[1:])
    yield table
    table = Table(
        "Graphs and memory", ("what", "figure", "reach", "met", "kB"), "ms: the whole request over HTTP."
    )
    week = f"start={int(time.time()) - 7 * 86400}"
    for name, target in (
        ("a day as SVG, ms", f"/graph/{bus.keys[0]}/day.svg"),
        ("a day as PNG, ms", f"/graph/{bus.keys[0]}/day.png"),
        ("a week as SVG, ms", f"/graph/{bus.keys[0]}.svg?{week}"),
        ("a day as JSON, ms", f"/graph/{bus.keys[0]}/day.json"),
    ):
        result = medians([bus.graph(target) for _ in range(max(5, options.runs))])
        table.add(name, *against(result["ms"], GRAPH_REACH_MS, at_most=True), result["kB"])
    table.add("PSS at the start, MiB", *against(idle_mib, IDLE_REACH_MIB, at_most=True))
    table.add("PSS at the end, MiB", bus.logger.pss_mib())
    table.add("PSS of rrdcached at the end, MiB", bus.rrdcached.pss_mib())
    yield table
