# SPDX-License-Identifier: GPL-3.0-or-later
"""kv: key/value updates to 1 and 50 subscribers, beside mosquitto at QoS 0 and libzmq's own relay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from .anchors import start_mosquitto, start_relay
from .harness import Options, Run, Table, against, interleave, medians, say
from .loadgen import LoadGenerator, Updates
from .processes import Room


class Case(NamedTuple):
    """One kind of load, and the share of mosquitto's rate to reach."""

    subscribers: int
    size: int
    updates: int
    """For each second that a run should take; all three get the same number of them."""
    reach: float | None

    def __str__(self) -> str:
        return f"{self.subscribers} subscriber{'s' if self.subscribers > 1 else ''}, {self.size} B"


CASES = (
    Case(1, 16, 100_000, 1.0),
    Case(1, 160, 100_000, None),
    Case(50, 16, 20_000, 5.0),
    Case(50, 160, 20_000, None),
)
"""160 B is about what a device's value takes as JSON."""

COLUMNS = ("work", "mosquitto /s", "relay /s", "raspy /s", "of mosquitto", "reach", "met", "CPU us",
           "mosquitto CPU us", "lost", "mosquitto lost")


def measure(options: Options) -> Iterator[Table]:
    """One table: the same updates through each of the three."""
    load = LoadGenerator()
    table = Table("Key/value updates", COLUMNS,
                  "Rates are deliveries to all subscribers. CPU us: CPU time of the broker for an update. "
                  "The relay (PULL to PUB in C) keeps no map and no sequence. The publisher stays at most "
                  "5000 updates ahead of the slowest subscriber. Lost: in all runs, with what came out of "
                  "order.")
    with Room(options.transport) as room:
        broker = room.daemon("raspy.servers.broker", "--broker", room.broker.url)
        relay = start_relay(room, load, pubsub=True)
        mosquitto = start_mosquitto(room)
        for case in CASES:
            say(f"kv: {case}")
            updates = Updates(max(int(case.updates * options.seconds), 100), case.subscribers, case.size)
            variants: dict[str, Callable[[], Run]] = {
                "mosquitto": partial(load.mqtt, mosquitto.socket, updates, broker=mosquitto.process),
                "relay": partial(load.key_value, relay.front, relay.back, updates, broker=relay.process),
                "raspy": partial(load.key_value, room.broker.collector, room.broker.publisher, updates,
                                 broker=broker),
            }
            add_row(table, case, interleave(options.runs, variants))
    yield table


def add_row(table: Table, case: Case, runs: dict[str, list[Run]]) -> None:
    """The row of a case."""
    anchor, relay, ours = (medians(runs[name]) for name in ("mosquitto", "relay", "raspy"))
    ratio = ours["rate"] / anchor["rate"]
    judged = against(ratio, case.reach) if case.reach else (ratio, "", "")
    table.add(str(case), anchor["rate"], relay["rate"], ours["rate"], *judged,
              ours["cpu_us"], anchor["cpu_us"],
              int(ours["lost"] + ours["disordered"]), int(anchor["lost"] + anchor["disordered"]))
