# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing stops silently: every bad end becomes an event, a count and lines in the journal."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

from raspy.servers.core import messages
from raspy.servers.core.runner.run import DIED, STOPPED, TIMEOUT
from raspy.servers.core.sandbox.wire import DONE, ERROR, MEMORY, PROCESSOR
from raspy.servers.core.scenarios.scenario import Publisher, Scenario

# kind -> (what happened, MESSAGE_ID)
KINDS = {
    ERROR: ("ended with an error", messages.SCENARIO_FAILED),
    MEMORY: ("wanted more memory than it may have ({conf[memory_mb]:g} MB)", messages.SCENARIO_MEMORY),
    PROCESSOR: ("computed for more than {conf[cpu_s]:g} s without waiting", messages.SCENARIO_PROCESSOR),
    TIMEOUT: (
        "was stopped: it has run for its maximum of {conf[max_runtime_s]:g} s",
        messages.SCENARIO_TIMEOUT,
    ),
    DIED: ("ended without saying why", messages.SCENARIO_DIED),
}
PUBLISHED_MAX = 64


class Reporter:
    """Tells how scenarios end.

    Args:
        publisher: where events go; None: nowhere.
        count: called with the kind of every end, for statistics.
    """

    def __init__(self, publisher: Publisher | None, count: Callable[[str], None] = lambda kind: None) -> None:
        self.count = count
        self.log = logging.getLogger("raspy.core.scenario")
        self._publisher = publisher
        self._published: dict[str, set[str]] = {}

    def ended(self, scenario: Scenario) -> None:
        """A run of it has ended, ``scenario.last`` says how."""
        last = scenario.last or {}
        kind = last.get("kind", DIED)
        self.count(kind)
        if kind in (DONE, STOPPED):
            what = "was stopped" if kind == STOPPED else "is done"
            after = "".join(f"; {line}" for line in last["lines"])
            self.log.info(
                "scenario %s %s%s", scenario.name, what, after, extra={"RASPY_SCENARIO": scenario.name}
            )
            return
        text, message_id = KINDS[kind]
        text = text.format(conf=scenario.conf)
        self._tell(scenario, kind, text, message_id, last["lines"])
        if scenario.gave_up:
            self._tell(
                scenario,
                "gave up",
                "crashed too often and is not restarted any more: correct it, then start it",
                messages.SCENARIO_GAVE_UP,
                [],
            )

    def not_started(self, scenario: Scenario, why: str) -> None:
        """It should have run, and could not."""
        self.count(DIED)
        scenario.last = {"kind": DIED, "lines": [why], "time": time.time(), "runtime_s": 0.0, "reason": {}}
        self._tell(scenario, DIED, "could not be started", messages.SCENARIO_DIED, [why])
        scenario.publish_state()

    def broken(self, scenario: Scenario) -> None:
        """What is stored of it can't be used."""
        self.count("broken")
        self._tell(
            scenario, "broken", "can't be used as it is stored", messages.SCENARIO_FAILED, [scenario.broken]
        )
        scenario.publish_state()

    def _tell(self, scenario: Scenario, kind: str, text: str, message_id: str, lines: list[str]) -> None:
        extra = {"RASPY_SCENARIO": scenario.name, "MESSAGE_ID": message_id}
        self.log.error("scenario %s %s", scenario.name, text, extra=extra)
        now = time.time()
        scenario.lines.append((now, "error", text))
        for line in lines:
            shown = line.encode(errors="replace").decode()
            self.log.error("scenario %s:   %s", scenario.name, shown, extra=extra)
            scenario.lines.append((now, "error", "  " + shown))
        self.event(scenario.name, kind, f"scenario {scenario.name} {text}", lines=lines)

    def event(self, name: str, kind: str, message: str, **more: Any) -> None:
        """Publish ``/event/scenario/NAME``."""
        if self._publisher is not None:
            body = {"time": round(time.time(), 3), "event": kind, "message": message, **more}
            self._publisher.send("/event/", f"scenario/{name}", json.dumps(body).encode())

    def publish(self, name: str, key: str, body: bytes) -> bool:
        """Publish a value of a scenario's own, ``/scenario/NAME/KEY``; False when it has too many keys."""
        keys = self._published.setdefault(name, set())
        if body:
            if key not in keys and len(keys) >= PUBLISHED_MAX:
                return False
            keys.add(key)
        else:
            keys.discard(key)
        if self._publisher is not None:
            self._publisher.send("/scenario/", f"{name}/{key}", body)
        return True

    def forget(self, scenario: Scenario) -> None:
        """It was deleted: its keys go."""
        if self._publisher is not None:
            for key in (*self._published.pop(scenario.name, ()), "status"):
                self._publisher.send("/scenario/", f"{scenario.name}/{key}", b"")
