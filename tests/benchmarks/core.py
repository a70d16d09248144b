# SPDX-License-Identifier: GPL-3.0-or-later
"""core: from an update to a scenario's first line of code, and what 50 scenarios cost while they wait."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from functools import partial

from raspy.common.kvcliapi import KvPublisherClient, KvSubscriberClient
from raspy.common.mdcliapi import MajorDomoClient

from .harness import Options, Run, Table, against, interleave, medians, say
from .processes import Process, Room

HOST = "bench"
KEY = f"/device/{HOST}/bench/tank/temperature"
CROWD = 50
WAITING_UPDATES = 200
FRESH_STARTS = 30
IDLE_S = 10.0
"""How long one run measures idling, for each second of --seconds."""

ANSWER_S = 10.0
WAITING_REACH_MS = 10.0
FRESH_REACH_MS = 300.0
CPU_REACH = 1.0
PSS_REACH_MIB = 34.0

# The first line of both is the time; what is behind it is only to get it out.
WAITING = "import time\nwhile scenario.wait():\n    at = time.monotonic()\n    scenario.publish('at', at)"
FRESH = "import time; at = time.monotonic()\nscenario.publish('at', at)"


class Bench:
    """A running core, and a client, a publisher and an ear for it."""

    def __init__(self, room: Room) -> None:
        url = room.broker.url
        room.daemon("raspy.servers.broker", "--broker", url)
        room.daemon("raspy.servers.titanic", "--broker", url, "--data-dir", room.path / "titanic")
        self.core = room.daemon(
            "raspy.servers.core", "--broker", url, "--data-dir", room.path / "core", "--hostname", HOST
        )
        self.client = MajorDomoClient(url)
        self.client.timeout = 2000
        self._publisher = KvPublisherClient(broker=url)
        self._ear = KvSubscriberClient(subtree="/scenario/", broker=url, callback=self._hear)
        self._thread = threading.Thread(target=self._ear.run)
        self._heard = threading.Event()
        self._at = 0.0
        self._thread.start()

    def _hear(self, key: str, body: bytes) -> None:
        if key.endswith("/at") and body:
            self._at = json.loads(body)["value"]
            self._heard.set()

    def publish(self, value: float) -> None:
        """A new value of the device."""
        body = {"value": value, "quality": "good", "time": time.time()}
        self._publisher.send("/device/", KEY.removeprefix("/device/"), json.dumps(body))

    def latency_ms(self, value: float) -> float:
        """From a value that is published to the time that the scenario's first line took."""
        self._heard.clear()
        begin = time.monotonic()
        self.publish(value)
        if not self._heard.wait(ANSWER_S):
            raise RuntimeError("the scenario did not run")
        return (self._at - begin) * 1000

    def add(self, name: str, code: str, entry: dict[str, object] | str) -> None:
        """Add a scenario."""
        definition = {"code": code, "entries": {"t": entry}}
        self.client.call(f"{HOST}.core.scenarios", "add", name, json.dumps(definition))

    def do(self, action: str, name: str) -> str:
        """Start, stop or ask after a scenario."""
        return self.client.call(f"{HOST}.core.scenario", action, name)[0].decode()

    def wait_state(self, name: str, *states: str) -> None:
        """Wait until a scenario is in one of these states."""
        deadline = time.monotonic() + ANSWER_S
        while self.do("status", name) not in states:
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{name} is {self.do('status', name)}, and should be {' or '.join(states)}"
                )
            time.sleep(0.002)

    def close(self) -> None:
        """Close what this process has opened."""
        self._ear.shutdown()
        self._thread.join()
        self._ear.destroy()
        self._publisher.destroy()
        self.client.destroy()


def measure(options: Options) -> Iterator[Table]:
    """Two tables: latency, and idling."""
    with Room(options.transport) as room:
        bench = Bench(room)
        try:
            yield latency(bench, options.runs)
            yield idling(bench, options)
        finally:
            bench.close()


def latency(bench: Bench, runs: int) -> Table:
    """From the update to the first line, for a scenario that waits and for a fresh process."""
    say("core: latency")
    table = Table(
        "From an update to a scenario's first line of code",
        ("scenario", "p50 ms", "p99 ms", "reach", "met"),
        f"Medians of {runs} runs; in each {WAITING_UPDATES} updates for the one that runs and waits, and"
        f" {FRESH_STARTS} starts of a process.",
    )
    bench.add("waiting", WAITING, KEY)
    bench.do("start", "waiting")
    bench.wait_state("waiting", "running")
    bench.latency_ms(-1)
    found = interleave(runs, {"waiting": partial(waiting, bench)})
    bench.do("stop", "waiting")
    bench.wait_state("waiting", "idle", "waiting")
    bench.client.call(f"{HOST}.core.scenarios", "delete", "waiting")
    bench.publish(0)
    bench.add("fresh", FRESH, {"key": KEY, "above": 0.5})
    found |= interleave(runs, {"fresh": partial(fresh, bench)})
    bench.client.call(f"{HOST}.core.scenarios", "delete", "fresh")
    for name, reach in (("waiting", WAITING_REACH_MS), ("fresh", FRESH_REACH_MS)):
        result = medians(found[name])
        table.add(
            {"waiting": "runs and waits", "fresh": "fresh process"}[name],
            result["p50"],
            *against(result["p99"], reach, at_most=True),
        )
    return table


def waiting(bench: Bench) -> Run:
    """Updates for the scenario that waits."""
    return percentiles([bench.latency_ms(number) for number in range(WAITING_UPDATES)])


def fresh(bench: Bench) -> Run:
    """Starts of one that does not run."""
    times = []
    for _ in range(FRESH_STARTS):
        times.append(bench.latency_ms(1))
        bench.wait_state("fresh", "idle")
        bench.publish(0)
        # Its condition must have ceased to hold before it can begin to hold again.
        while json.loads(bench.do("info", "fresh"))["entries"]["t"]["holds"]:
            time.sleep(0.002)
    return percentiles(times)


def percentiles(times: list[float]) -> Run:
    """The median, and what 99 of 100 stay below."""
    ordered = sorted(times)
    return {
        "p50": ordered[len(ordered) // 2],
        "p99": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
    }


def idling(bench: Bench, options: Options) -> Table:
    """What core needs for many scenarios whose entries don't change."""
    seconds = IDLE_S * options.seconds
    say(f"core: {CROWD} scenarios, idle for {seconds:g} s")
    table = Table(
        f"{CROWD} scenarios waiting on entries that don't change",
        ("scenarios", "CPU %", "reach", "met", "PSS MiB", "PSS reach", "ok", "of all processes MiB"),
        "CPU and PSS: of core alone; the last column has core and the scenarios' processes together.",
    )
    for number in range(CROWD):
        bench.add(f"s{number}", WAITING, {"key": f"{KEY}{number}", "below": 0})
    rows = {"not running": idle_run(bench.core, seconds)}
    for number in range(CROWD):
        bench.do("start", f"s{number}")
    for number in range(CROWD):
        bench.wait_state(f"s{number}", "running")
    time.sleep(1.0)
    rows["running and waiting"] = idle_run(bench.core, seconds)
    for name, row in rows.items():
        pss = against(row["pss"], PSS_REACH_MIB, at_most=True)
        table.add(name, *against(row["cpu"], CPU_REACH, at_most=True), *pss, row["all"])
    return table


def idle_run(core: Process, seconds: float) -> Run:
    """CPU and memory over a while."""
    before, begun = core.cpu_s(), time.monotonic()
    time.sleep(seconds)
    cpu = (core.cpu_s() - before) / (time.monotonic() - begun) * 100
    pss = core.pss_mib()
    return {"cpu": cpu, "pss": pss, "all": pss + sum(child.pss_mib() for child in core.children())}
