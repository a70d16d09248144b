# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers of RasPy: what the bus, their control sockets and systemd tell of them, put together."""

from __future__ import annotations

import json
import os
import socket
from typing import Any, NamedTuple

from raspy.common import MDP
from raspy.common.address import BrokerAddress
from raspy.common.mdcliapi import MajorDomoClient
from raspy.ctl import units
from raspy.ctl.connection import START_SERVICE, Bus, Target
from raspy.ctl.errors import CtlError
from raspy.servers.broker.activation import NO_SERVERS

# How long a server may take to tell how it is, in seconds: one that hangs is a finding, not a reason to wait.
TELL_S = 1.5

RUNS, SLEEPS, AWAY, FAILED, SILENT = "runs", "asleep", "stopped", "failed", "silent"


class Server(NamedTuple):
    """A server.

    Args:
        host: the machine; empty when it is not known.
        name: its name.
        state: ``runs``, ``asleep`` (wakes when it is asked), ``stopped``, ``failed`` or ``silent``.
        status: its status line.
        problem: what is wrong and what to do; empty when nothing is.
        pid: its process, 0 for none.
        memory: what it takes, in bytes; None if nobody knows.
        uptime_s: since its start; None if nobody knows.
        version: of RasPy, empty if not known.
        unit: its unit; empty when systemd does not run it.
    """

    host: str
    name: str
    state: str
    status: str = ""
    problem: str = ""
    pid: int = 0
    memory: int | None = None
    uptime_s: float | None = None
    version: str = ""
    unit: str = ""


def on_bus(bus: Bus) -> list[Server]:
    """The servers that the broker knows, on all machines."""
    asleep = bus.asleep()
    found = []
    for server in bus.servers():
        host, _, name = server.rpartition(".")
        if server in asleep:
            found.append(Server(host, name, SLEEPS, "starts when it is asked for something"))
            continue
        with _client(bus.target.address) as client:
            found.append(_told(client, host, name, f"{server}.mmi"))
    return found


def beside(target: Target, awake: set[str] | None) -> list[Server]:
    """The servers with a control socket beside the broker's, while that is away.

    Args:
        target: the broker that is away.
        awake: the servers to ask; a connection would wake the others. None for all.
    """
    if not target.address.is_local:
        return []
    folder = target.address.folder
    try:
        files = os.listdir(folder)
    except OSError:
        return []
    names = sorted(file.removesuffix(".sock") for file in files if file.endswith(".sock"))
    found = []
    for name in names:
        asked = name not in NO_SERVERS and (awake is None or name in awake)
        if not asked or not _listens(f"{folder}/{name}.sock"):
            continue
        with _client(f"ipc://{folder}/{name}.sock") as client:
            found.append(_told(client, "", name, f"{name}.mmi"))
    return found


def _listens(path: str) -> bool:
    """Whether somebody is at the other end; what a server that was killed leaves is a file only."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(TELL_S)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _client(broker: str | BrokerAddress) -> MajorDomoClient:
    client = MajorDomoClient(broker, name="raspyctl")
    client.retries = 1
    client.timeout = int(TELL_S * 1000)
    return client


def _told(client: MajorDomoClient, host: str, name: str, service: str) -> Server:
    """What a server says of itself."""
    try:
        info: dict[str, Any] = json.loads(client.call(service, "info")[-1])
        status = client.call(service, "status")[-1].decode(errors="replace")
    except (MDP.GenericError, ValueError, IndexError):
        reason = f"{name} does not answer within {TELL_S:g} s; its watchdog restarts it if it hangs"
        return Server(host, name, SILENT, problem=reason)
    return Server(
        host or str(info.get("name", "")).rpartition(".")[0], name, RUNS, status,
        pid=int(info.get("pid", 0)), memory=info.get("memory"), uptime_s=info.get("uptime_s"),
        version=str(info.get("version", "")),
    )  # fmt: skip


def with_units(servers: list[Server], found: list[units.Unit]) -> list[Server]:
    """The servers with what systemd knows of those on this machine, and those that only systemd knows."""
    by_name = {unit.server: unit for unit in found}
    merged = []
    for server in servers:
        unit = by_name.get(server.name)
        # A server of another machine may have the same name; systemd knows ours by its process.
        if unit is not None and (not server.pid or server.pid == unit.pid):
            by_name.pop(server.name)
            memory = server.memory if unit.memory is None else unit.memory
            problem = unit.problem or server.problem
            server = server._replace(unit=unit.name, memory=memory, problem=problem)
            if unit.active == "failed":
                server = server._replace(state=FAILED, status=unit.text)
        merged.append(server)
    for unit in by_name.values():
        state = {"failed": FAILED, "active": RUNS, "activating": RUNS}.get(unit.active, AWAY)
        # What one that has stopped said last is true no more; of one that failed it may say why.
        status = "" if state == AWAY else unit.text
        merged.append(Server(
            "", unit.server, state, status, unit.problem, unit.pid, unit.memory, unit=unit.name
        ))  # fmt: skip
    return merged


def gather(target: Target, bus: Bus | None) -> list[Server]:
    """All that is known of all servers.

    Args:
        target: the broker.
        bus: the connection to it; None while it is away.
    """
    found = units.all_units() if units.available() and target.start == START_SERVICE else []
    try:
        servers = on_bus(bus) if bus is not None else None
    except CtlError:
        servers = None
    if servers is None:
        awake = {unit.server for unit in found if unit.active == "active"} if found else None
        servers = beside(target, awake)
    return with_units(servers, found)
