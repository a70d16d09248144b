# SPDX-License-Identifier: GPL-3.0-or-later
"""mdp: requests through the broker, beside libzmq's own relay with the same frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from .anchors import Relay, start_relay
from .harness import Options, Run, Table, against, interleave, medians, say
from .loadgen import LoadGenerator
from .processes import Process, Room

CREDIT = 32
"""Requests that a worker of ours takes at once."""

PIPELINED_REACH = 0.18
SYNCHRONOUS_REACH = 0.95
REACH_WORKERS = 16
"""Pipelined, the reach is set for this many lock-step workers, and for 16 B."""

COLUMNS = ("work", "relay /s", "raspy /s", "of relay", "reach", "met", "p50 us", "p99 us", "CPU us",
           "relay CPU us", "lost")


class Case(NamedTuple):
    """One kind of load."""

    outstanding: int
    workers: int
    size: int

    def __str__(self) -> str:
        size = f"{self.size} B" if self.size < 1024 else f"{self.size // 1024} KiB"
        kind = "synchronous" if self.outstanding == 1 else f"{self.outstanding} outstanding"
        return f"{kind}, {self.workers} worker{'s' if self.workers > 1 else ''}, {size}"

    @property
    def reach(self) -> float | None:
        """The share of the relay's rate that lock-step workers should reach; None where none was set."""
        if self.outstanding == 1:
            return SYNCHRONOUS_REACH
        return PIPELINED_REACH if (self.workers, self.size) == (REACH_WORKERS, 16) else None


CASES = [Case(outstanding, workers, size)
         for outstanding, crowd in ((1, (1, 4)), (200, (1, 4, 16)))
         for workers in crowd
         for size in (16, 1024)]


def measure(options: Options) -> Iterator[Table]:
    """One table: each case through the relay, through the broker, and with workers that give credit."""
    load = LoadGenerator()
    table = Table("Requests (MDP/0.1)", COLUMNS,
                  f"CPU us: CPU time of the broker for a request. Credit: workers that take {CREDIT} "
                  "requests at once, which an MDP/0.1 worker does not say and the relay does not need.")
    with Room(options.transport) as room:
        broker = room.daemon("raspy.servers.broker", "--broker", room.broker.url)
        relay = start_relay(room, load)
        for case in CASES:
            say(f"mdp: {case}")
            variants = {"relay": through_relay(load, room, relay, case, options),
                        "raspy": through_broker(load, room, broker, case, options, credit=0)}
            if case.outstanding > 1:
                variants["credit"] = through_broker(load, room, broker, case, options, credit=CREDIT)
            add_rows(table, case, interleave(options.runs, variants))
    yield table


def add_rows(table: Table, case: Case, runs: dict[str, list[Run]]) -> None:
    """The row of a case, and the one with credit."""
    anchor = medians(runs["relay"])
    for name in ("raspy", "credit"):
        if name not in runs:
            continue
        ours = medians(runs[name])
        ratio = ours["rate"] / anchor["rate"]
        reach = case.reach if name == "raspy" else None
        judged = against(ratio, reach) if reach else (ratio, "", "")
        table.add(f"{case}{', credit' if name == 'credit' else ''}", anchor["rate"], ours["rate"], *judged,
                  ours["p50_us"], ours["p99_us"], ours["cpu_us"], anchor["cpu_us"],
                  int(ours["lost"] + ours["wrong"]))


def through_relay(load: LoadGenerator, room: Room, relay: Relay, case: Case,
                  options: Options) -> Callable[[], Run]:
    """A run through zmq_proxy."""
    def run() -> Run:
        with load.workers(room, relay.back, workers=case.workers, bare=True):
            return client(load, relay.front, relay.process, case, options)

    return run


def through_broker(load: LoadGenerator, room: Room, broker: Process, case: Case, options: Options,
                   credit: int) -> Callable[[], Run]:
    """A run through our broker; `credit` 0: the workers say nothing about it."""
    def run() -> Run:
        with load.workers(room, room.broker.mdp, "bench", workers=case.workers, credit=credit):
            return client(load, room.broker.mdp, broker, case, options)

    return run


def client(load: LoadGenerator, endpoint: str, process: Process, case: Case, options: Options) -> Run:
    """Wait until a worker answers, then measure."""
    first = load.client(endpoint, "bench", count=case.workers * 2, outstanding=case.workers)
    if first["lost"]:
        raise RuntimeError(f"{case}: {first['lost']} of the first requests were not answered at {endpoint}")
    return load.client(endpoint, "bench", outstanding=case.outstanding, size=case.size,
                       seconds=options.seconds, broker=process)
