# SPDX-License-Identifier: GPL-3.0-or-later
"""How the daemons are: what systemd knows of their units, and what they say themselves on the bus."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from typing import Any, NamedTuple

from raspy.common.MDP import ServerError
from raspyweb.app.bus import Bus, BusAway, Refused

ASK_S = 1.0
"""How long a server may take to say how it is, in seconds."""

SILENT_MAX = 3
"""After so many servers that do not answer the others are not asked: the broker has trouble."""

EXPOSURE_S = 3600.0
"""How long a score is believed, in seconds: it changes with the unit's file only."""

OWN_UNIT = "raspy-web.service"

_scores: dict[str, tuple[float, float | None]] = {}
_lock = threading.Lock()


class Units(NamedTuple):
    """What systemd knows.

    Args:
        units: the figures of ``raspy.common.units.Unit`` and ``exposure``.
        why: why there are none; empty if there are.
    """

    units: list[dict[str, Any]]
    why: str


def units(*, scored: bool = True) -> Units:
    """The units of RasPy's daemons.

    Args:
        scored: whether to have systemd work out their exposure, which takes a moment the first time.
    """
    from raspy.common.system_bus import SystemBus
    from raspy.common.units import read_units

    try:
        with SystemBus() as system:
            found = [asdict(unit) for unit in read_units(system)]
    except ServerError as error:
        return Units([], str(error))
    scores = _exposure([unit["name"] for unit in found]) if scored else {}
    return Units([{**unit, "exposure": scores.get(unit["name"])} for unit in found], "")


def _exposure(names: list[str]) -> dict[str, float | None]:
    from raspy.common.units import exposure

    with _lock:
        now = time.monotonic()
        missing = [name for name in names if name not in _scores or now - _scores[name][0] > EXPOSURE_S]
        try:
            fresh = exposure(missing)
        except ServerError:
            fresh = {}
        for name in missing:
            _scores[name] = (now, fresh.get(name))
        return {name: _scores[name][1] for name in names}


def restart(name: str) -> None:
    """Restart a daemon; the dashboard itself without waiting: its socket keeps the browser's next request.

    Raises:
        ClientError, ServerError: it is no daemon, or systemd refuses, or it does not come up.
    """
    from raspy.common.system_bus import SystemBus
    from raspy.common.units import restart as restart_unit

    with SystemBus() as system:
        restart_unit(system, name, wait=name != OWN_UNIT)


def servers(link: Bus) -> list[dict[str, Any]]:
    """The servers on the bus, by name; those that sleep until a request comes are not woken.

    Raises:
        BusAway: the broker does not answer.
    """
    awake = link.awake()
    found: list[dict[str, Any]] = []
    silent = 0
    for service in link.services():
        if not service.endswith(".mmi"):
            continue
        name = service.removesuffix(".mmi")
        server: dict[str, Any] = {"name": name, "state": "asleep", "status": ""}
        # The broker answers for itself and has no worker.
        if service in awake or name.endswith(".broker"):
            server["state"] = "silent"
            if silent < SILENT_MAX:
                server |= _ask(link, service)
                silent += server["state"] == "silent"
        found.append(server)
    return found


def _ask(link: Bus, service: str) -> dict[str, Any]:
    try:
        info = link.json(service, "info", timeout_s=ASK_S)
        status = link.call(service, "status", timeout_s=ASK_S)[0].decode(errors="replace")
        known = {field: info[field] for field in ("version", "pid", "started", "memory") if field in info}
    except (BusAway, Refused, TypeError, IndexError):
        return {}
    return {**known, "state": "running", "status": status}
