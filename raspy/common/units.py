# SPDX-License-Identifier: GPL-3.0-or-later
"""RasPy's units as systemd sees them: state, memory, processor time, restarts, watchdog, exposure; restart.

It is imported only by those who ask (jeepney comes with it). Reading needs no privilege; to restart, a
shipped polkit rule allows the dashboard's user these units alone.

Source: org.freedesktop.systemd1(5), systemd-analyze(1) on security.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jeepney import DBusAddress, Properties, new_method_call

from raspy.common.MDP import NotFoundError, ServerError
from raspy.common.system_bus import SYSTEMD, SystemBus

# TimeoutStopSec= and TimeoutStartSec= of the units together, and a little.
RESTART_S = 80.0
ANALYZE_S = 10.0
UNITS_MAX = 100
PATTERN = "raspy-*.service"
# A daemon's unit. Instances of templates (a scenario, the clock) come and go, and are not restarted.
NAME = re.compile(r"raspy-[a-z][a-z0-9_-]{0,60}\.service")
UNKNOWN = 2**64 - 1
"""What systemd says when it does not know a figure, or there is no limit."""

_EXPOSURE = re.compile(r"Overall exposure level for (\S+): ([0-9.]+)")


@dataclass(frozen=True)
class Unit:
    """A daemon's unit.

    Args:
        name: in full, ``raspy-core.service``.
        description: its own words.
        state: ``active``, ``inactive``, ``failed``, ``activating``...
        sub: more closely: ``running``, ``dead``, ``auto-restart``...
        since: since when it is in that state, seconds since the epoch; None if it never was in another.
        status: the line that the daemon itself reports; empty if none.
        result: why it ended, ``success`` if it did not or was told to.
        pid: of the daemon; 0 if it does not run.
        memory: bytes; None if systemd does not count.
        cpu_s: processor time since it started, in seconds; None if systemd does not count.
        restarts: how often systemd has started it again by itself.
        watchdog_s: the time within which it must report, in seconds; 0 without a watchdog.
        fed: when it last did, seconds since the epoch; None if never.
        enabled: systemd's word, ``enabled``, ``static``, ``disabled``...
    """

    name: str
    description: str
    state: str
    sub: str
    since: float | None
    status: str
    result: str
    pid: int
    memory: int | None
    cpu_s: float | None
    restarts: int
    watchdog_s: float
    fed: float | None
    enabled: str


def read_units(bus: SystemBus) -> list[Unit]:
    """The units of RasPy's daemons, by name.

    Raises:
        ServerError: systemd does not answer.
    """
    loaded = bus.call(new_method_call(SYSTEMD, "ListUnitsByPatterns", "asas", ([], [PATTERN])), "systemd")[0]
    files = bus.call(new_method_call(SYSTEMD, "ListUnitFilesByPatterns", "asas", ([], [PATTERN])), "systemd")[
        0
    ]
    names = {unit[0] for unit in loaded if unit[2] == "loaded"}
    names |= {path.rpartition("/")[2] for path, _ in files}
    return [_read(bus, name) for name in sorted(names) if NAME.fullmatch(name)][:UNITS_MAX]


def _read(bus: SystemBus, name: str) -> Unit:
    path = bus.call(new_method_call(SYSTEMD, "LoadUnit", "s", (name,)), "systemd")[0]
    unit = _properties(bus, path, "org.freedesktop.systemd1.Unit")
    service = _properties(bus, path, "org.freedesktop.systemd1.Service")
    cpu = _count(service.get("CPUUsageNSec"))
    return Unit(
        name=name,
        description=str(unit.get("Description", "")),
        state=str(unit.get("ActiveState", "")),
        sub=str(unit.get("SubState", "")),
        since=_moment(unit.get("StateChangeTimestamp")),
        status=str(service.get("StatusText", "")),
        result=str(service.get("Result", "")),
        pid=int(service.get("MainPID", 0)),
        memory=_count(service.get("MemoryCurrent")),
        cpu_s=None if cpu is None else cpu / 1e9,
        restarts=int(service.get("NRestarts", 0)),
        watchdog_s=(_count(service.get("WatchdogUSec")) or 0) / 1e6,
        fed=_moment(service.get("WatchdogTimestamp")),
        enabled=str(unit.get("UnitFileState", "")),
    )


def _properties(bus: SystemBus, path: str, interface: str) -> dict[str, Any]:
    address = DBusAddress(path, SYSTEMD.bus_name, interface)
    return {name: value for name, (_, value) in bus.call(Properties(address).get_all(), "systemd")[0].items()}


def _count(value: int | None) -> int | None:
    return None if value is None or value >= UNKNOWN else value


def _moment(usec: int | None) -> float | None:
    return usec / 1e6 if usec else None


def restart(bus: SystemBus, name: str, *, wait: bool = True) -> None:
    """Have systemd restart a daemon.

    Args:
        bus: the system bus.
        name: its unit, in full.
        wait: until it runs again; not for one's own unit.

    Raises:
        NotFoundError: it is none of RasPy's daemons.
        ServerError: systemd refuses, or the daemon does not come up.
    """
    if not NAME.fullmatch(name) or name not in {unit.name for unit in read_units(bus)}:
        raise NotFoundError(f"{name[:80]!r} is no unit of a RasPy daemon")
    if wait:
        bus.job("RestartUnit", name, RESTART_S)
    else:
        bus.call(new_method_call(SYSTEMD, "RestartUnit", "ss", (name, "replace")), "systemd")


def exposure(names: Sequence[str]) -> dict[str, float]:
    """systemd's own score of what a unit may do to the machine, from 0 (nothing) to 10 (everything).

    Args:
        names: of units that systemd knows.

    Returns:
        Score by name, of those that it scores.

    Raises:
        ServerError: systemd-analyze is not there, or does not end in time.
    """
    if not names:
        return {}
    command = ["systemd-analyze", "--no-pager", "security", *names]
    # Its life is not the daemon's, which alone may speak to the service manager.
    environment = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=ANALYZE_S,
            check=False,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServerError(f"systemd-analyze security can't be asked: {error}") from error
    found = _EXPOSURE.findall(done.stdout.decode(errors="replace"))
    return {name: float(score) for name, score in found}
