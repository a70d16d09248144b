# SPDX-License-Identifier: GPL-3.0-or-later
"""The automation itself: cron jobs, scenarios, and the clock they go by.

Rooms: ``cron`` (when jobs are due), ``scenarios`` (what they are, when they fire), ``runner`` (core's
side of a running scenario), ``sandbox`` (the scenario's own side, another process), ``clock``.

The public names load on first use: a scenario's process imports only ``sandbox``, and starts fast.
"""

from __future__ import annotations

TYPE_CHECKING = (
    False  # mypy knows it by its name; typing is slow to import, and a scenario's process has no time
)
if TYPE_CHECKING:
    from typing import Any

    from raspy.servers.core.cron.job import Cron
    from raspy.servers.core.cron.manager import CronManager
    from raspy.servers.core.scenarios.manager import ScenarioManager
    from raspy.servers.core.scenarios.scenario import Scenario
    from raspy.servers.core.server import Core

_HOMES = {
    "Core": "raspy.servers.core.server",
    "Cron": "raspy.servers.core.cron.job",
    "CronManager": "raspy.servers.core.cron.manager",
    "Scenario": "raspy.servers.core.scenarios.scenario",
    "ScenarioManager": "raspy.servers.core.scenarios.manager",
}

__all__ = ["Core", "Cron", "CronManager", "Scenario", "ScenarioManager"]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)
