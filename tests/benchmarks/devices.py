# SPDX-License-Identifier: GPL-3.0-or-later
"""devices: 200 devices polled each second: how punctual, and what it costs."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

from raspy.common.kvcliapi import KvSubscriberClient
from raspy.common.mdcliapi import MajorDomoClient

from .harness import Options, Run, Table, against, interleave, medians
from .processes import Process, Room

HOST = "bench"
SERVICE = f"{HOST}.fake.devices"
DEVICES = 200
HANGING = 10
POLL_S = 1.0
MEASURED_S = 10.0
"""How long one run measures, for each second of --seconds: ten polls."""

SETTLE_S = 3.0
OFF_REACH = 10.0
CPU_REACH = 5.0


def measure(options: Options) -> Iterator[Table]:
    """One table: all well, and with some that hang."""
    table = Table(
        f"{DEVICES} devices polled each {POLL_S:g} s",
        ("devices", "polls", "worst off %", "99 % off %", "CPU %", "PSS MiB",
         "off reach", "met", "CPU reach", "ok"),
        "Off: how far the time between two polls of a device is from its interval. CPU: of one core, of the"
        " device server alone, with everything published on the bus. The hanging ones take 10 s for an"
        " answer and are not counted in the polls.",
    )
    with Room(options.transport) as room:
        room.daemon("raspy.servers.broker", "--broker", room.broker.url)
        url = room.broker.url
        room.daemon("raspy.servers.titanic", "--broker", url, "--data-dir", room.path / "titanic")
        server = room.daemon(
            "raspy.servers.fake", "--broker", url, "--data-dir", room.path / "fake", "--hostname", HOST
        )
        client = MajorDomoClient(room.broker)
        client.timeout = 10_000
        try:
            for number in range(DEVICES):
                device = {"oid": "sensor.temperature", "name": f"d{number}", "poll": POLL_S}
                client.call(SERVICE, "add", json.dumps(device))
            seconds = MEASURED_S * options.seconds
            for name, hanging in ((f"{DEVICES} that are well", 0), (f"{HANGING} of them hang", HANGING)):
                for number in range(hanging):
                    client.call(SERVICE, "exec", f"d{number}", "fault", "slow")
                time.sleep(SETTLE_S)
                watched = partial(watch, room, server, seconds, hanging)
                result = medians(interleave(options.runs, {"run": watched})["run"])
                off = against(result["worst"], OFF_REACH, at_most=True)
                cpu = against(result["cpu"], CPU_REACH, at_most=True)
                table.add(name, result["polls"], off[0], result["p99"], cpu[0], server.pss_mib(),
                          *off[1:], *cpu[1:])
        finally:
            client.destroy()
    yield table


def watch(room: Room, server: Process, seconds: float, hanging: int) -> Run:
    """Follow the published values for a while."""
    polled: dict[str, list[float]] = defaultdict(list)
    counted = {f"/device/{HOST}/fake/d{number}/temperature" for number in range(hanging, DEVICES)}

    def note(key: str, body: bytes) -> None:
        if key in counted:
            polled[key].append(json.loads(body)["polled"])

    subscriber = KvSubscriberClient(subtree="/device/", broker=room.broker, callback=note)
    thread = threading.Thread(target=subscriber.run)
    thread.start()
    before, begun = server.cpu_s(), time.monotonic()
    time.sleep(seconds)
    cpu = (server.cpu_s() - before) / (time.monotonic() - begun)
    subscriber.shutdown()
    thread.join()
    subscriber.destroy()
    off = sorted(
        abs(after - earlier - POLL_S) / POLL_S * 100
        for times in polled.values()
        for earlier, after in pairwise(times)
    )
    if len(polled) < len(counted) or not off:
        raise RuntimeError(f"only {len(polled)} of {len(counted)} devices were polled")
    return {"polls": len(off), "worst": off[-1], "p99": off[int(len(off) * 0.99)], "cpu": cpu * 100}
