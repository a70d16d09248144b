# SPDX-License-Identifier: GPL-3.0-or-later
"""One scenario: what it is, how its entries stand, what of it runs, and what comes after a run."""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from raspy.common import MDP
from raspy.servers.core.runner.run import FAILURES, STOPPED, TIMEOUT, Outcome, Run
from raspy.servers.core.sandbox.wire import DONE
from raspy.servers.core.scenarios import definition as parts
from raspy.servers.core.scenarios.conditions import MISSING, Entry

SECTION = "scenario"
# So many restarts within so many seconds, and it has given up.
RESTARTS = 5
WINDOW_S = 600.0
MOST_DELAY_S = 300.0
LOG_LINES = 200

Reason = dict[str, Any]


class Publisher(Protocol):
    """What of ``KvPublisherClient`` a scenario needs."""

    def send(self, subtree: str, key: str, body: str | bytes) -> object:
        """Send an update."""


class Saves(Protocol):
    """What of ``raspy.common.store.Store`` a scenario needs."""

    def load(self, section: str) -> dict[str, Any]:
        """The values of a section."""

    def save(self, section: str, values: dict[str, Any]) -> None:
        """Store values; None deletes."""


class Scenario:
    """A scenario.

    The manual has it run in a thread; here its code runs in a process of its own, which ``launcher`` makes.

    Args:
        name: its name.
        publisher: where its state is published, as ``/scenario/NAME/status``; None: nowhere.
        launcher: makes a process for a run; None for a scenario that is only kept.

    Attributes:
        code: the code we must exec.
        conf: the configuration of the scenario, see ``definition``.
        entries: the entries we must look at for an event driven scenario, see ``conditions``.
        runs: what of it runs now.
        last: how the last run ended: ``{"kind", "lines", "time", "started", "reason"}``, or None.
        restart_at: when it is started again after a crash, monotonic, or None.
        gave_up: it crashed so often that it is not restarted any more.
        lines: the last lines of its log: ``(time, level, text)``.
    """

    def __init__(
        self,
        name: str = "scenar1",
        publisher: Publisher | None = None,
        launcher: Callable[[Scenario, Reason], Run] | None = None,
    ) -> None:
        self.name = parts.check_scenario_name(name)
        self.publisher = publisher
        self.launcher = launcher
        self.code = ""
        self.conf = parts.check_conf(None)
        self.entries: dict[str, dict[str, Any]] = {}
        self.watched: dict[str, Entry] = {}
        self.runs: list[Run] = []
        self.last: dict[str, Any] | None = None
        self.restart_at: float | None = None
        self.gave_up = False
        self.broken = ""
        self.starts = 0
        self.failures = 0
        self.skipped = 0
        self.lines: deque[tuple[float, str, str]] = deque(maxlen=LOG_LINES)
        self.log = logging.getLogger("raspy.core.scenario")
        self._restarts: deque[float] = deque(maxlen=RESTARTS)

    # What it is.

    @property
    def running(self) -> bool:
        """Is the scenario running."""
        return bool(self.runs)

    def define(self, definition: dict[str, Any]) -> None:
        """Take a checked definition; entries that stay the same keep their values."""
        self.code, self.conf = definition["code"], definition["conf"]
        self.entries = definition["entries"]
        old = self.watched
        self.watched = {
            name: old[name] if name in old and old[name].definition == entry else Entry(name, entry)
            for name, entry in self.entries.items()
        }
        self.gave_up, self.restart_at, self.broken = False, None, ""

    def definition(self) -> dict[str, Any]:
        """``entries``, ``code`` and ``conf``."""
        return {"entries": self.entries, "code": self.code, "conf": self.conf}

    def load(self, store: Saves) -> bool:
        """Load the scenario from titanic store.

        Returns:
            True if it was loaded, False if the store has none of this name.

        Raises:
            ClientError: what is stored is no scenario.
        """
        values = store.load(SECTION)
        if f"{self.name}.code" not in values:
            return False
        self.define(parts.check_definition(self.name, from_store(self.name, values)))
        return True

    def store(self, store: Saves) -> None:
        """Store the scenario to titanic store.

        Raises:
            ServerError: titanic is away.
        """
        store.save(SECTION, to_store(self.name, self.definition()))

    # When it fires.

    def fire(self) -> str | None:
        """Check if the scenario must be fired using entries and that is not already running.

        Returns:
            The name of the entry that fires it, None if none does. The caller then calls ``run``.
        """
        now = time.monotonic()
        came = [entry for entry in self.watched.values() if entry.conditional and entry.evaluate(now)]
        if not came or not self.conf["active"]:
            return None
        if self.conf["when"] == parts.ALL and not all(
            e.holds for e in self.watched.values() if e.conditional
        ):
            return None
        if len(self.runs) >= self.conf["parallel"]:
            self.skipped += 1
            self.log.info(
                "scenario %s: %s fires it again while it runs: it goes on",
                self.name,
                came[0].name,
                extra={"RASPY_SCENARIO": self.name},
            )
            return None
        return came[0].name

    def run(self, reason: Reason | None = None) -> bool:
        """Run the scenario, in a process.

        Args:
            reason: what started it; by hand if left out.

        Returns:
            False if it runs already as often as it may.

        Raises:
            ClientError: it is not active, or its code does not compile.
            ServerError: no process could be started.
        """
        if self.broken:
            raise MDP.ClientError(self.broken)
        if not self.conf["active"]:
            raise MDP.ClientError(f"scenario {self.name} is not active: set its conf active first")
        if len(self.runs) >= self.conf["parallel"]:
            return False
        if self.launcher is None:
            raise MDP.ServerError(f"scenario {self.name} belongs to no manager that could run it")
        self.restart_at = None
        self.runs.append(self.launcher(self, reason or {"by": "hand"}))
        self.starts += 1
        self.publish_state()
        return True

    def shutdown(self, why: str = "core is shutting down") -> None:
        """Shutdown the scenario: tell what runs of it to end; it is killed if it does not."""
        self.restart_at = None
        for run in self.runs:
            run.stop(why, time.monotonic())
        self.publish_state()

    def ended(self, run: Run, outcome: Outcome, now: float) -> None:
        """A run of it has ended: note how, and plan the restart that its policy wants."""
        self.runs.remove(run)
        self.last = {
            "kind": outcome.kind,
            "lines": outcome.lines,
            "time": time.time(),
            "runtime_s": round(now - run.started, 3),
            "reason": run.reason,
        }
        failed = outcome.kind in FAILURES
        self.failures += failed
        policy = self.conf["restart"]
        wanted = policy == parts.ALWAYS or (policy == parts.FAILURE and failed)
        if outcome.kind == DONE:
            self.gave_up = False
        if wanted and not run.stopped_by_us and self.conf["active"]:
            self._plan_restart(now, failed)
        self.publish_state()

    def _plan_restart(self, now: float, failed: bool) -> None:
        delay_s = self.conf["restart_delay_s"]
        if failed:
            if len(self._restarts) == RESTARTS and now - self._restarts[0] < WINDOW_S:
                self._restarts.clear()
                self.gave_up = True
                return
            recent = sum(now - at < WINDOW_S for at in self._restarts)
            delay_s = min(max(MOST_DELAY_S, delay_s), delay_s * 2**recent)
            self._restarts.append(now)
        self.restart_at = now + delay_s

    # What people see.

    @property
    def state(self) -> str:
        """One word: inactive, broken, running, stopping, restarting, gave up, failed, waiting or idle."""
        if self.runs:
            return "stopping" if all(run.stopping for run in self.runs) else "running"
        if self.broken:
            return "broken"
        if not self.conf["active"]:
            return "inactive"
        if self.restart_at is not None:
            return "restarting"
        if self.gave_up:
            return "gave up"
        if self.last is not None and self.last["kind"] not in (DONE, STOPPED):
            return "failed"
        return "waiting" if self.missing() else "idle"

    def missing(self) -> list[str]:
        """The entries whose key names nothing that is there."""
        return sorted(name for name, entry in self.watched.items() if entry.quality == MISSING)

    def to_json(self) -> dict[str, Any]:
        """Definition and state, for people and programs."""
        now = time.monotonic()
        return {
            "name": self.name,
            "conf": self.conf,
            "entries": {
                name: {**entry.definition, **entry.view(), "holds": entry.holds}
                for name, entry in self.watched.items()
            },
            "code": self.code,
            "state": self.state,
            "waiting_for": self.missing(),
            "broken": self.broken,
            "running_s": [round(now - run.started, 1) for run in self.runs],
            "last": self.last,
            "restart_in_s": None if self.restart_at is None else round(max(0.0, self.restart_at - now), 1),
            "starts": self.starts,
            "failures": self.failures,
            "skipped": self.skipped,
        }

    def say(self, level: str, text: str) -> None:
        """A line of its own: into its log, and into the journal."""
        text = text.encode(errors="replace").decode()  # the code may have made half a character
        self.lines.append((time.time(), level, text))
        number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
        self.log.log(number, "scenario %s: %s", self.name, text, extra={"RASPY_SCENARIO": self.name})

    def publish_state(self) -> None:
        """Publish ``/scenario/NAME/status``."""
        if self.publisher is not None:
            self.publisher.send("/scenario/", f"{self.name}/status", value_body(self.state))

    def failed_kind(self) -> str:
        """The kind of the last end if it was none to be content with, else ""."""
        kind = "" if self.last is None else str(self.last["kind"])
        return kind if kind in (*FAILURES, TIMEOUT) else ""


def value_body(value: object, unit: str = "") -> bytes:
    """A value as the key/value tree carries it."""
    now = round(time.time(), 3)
    return json.dumps({"value": value, "unit": unit, "quality": "good", "time": now, "polled": now}).encode()


def to_store(name: str, definition: dict[str, Any] | None) -> dict[str, Any]:
    """The keys of one scenario in the store; of a definition None those that delete it."""
    return {f"{name}.{part}": None if definition is None else definition[part] for part in parts.PARTS}


def from_store(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """A scenario's definition, as it is in the store, unchecked."""
    return {part: values[f"{name}.{part}"] for part in parts.PARTS if f"{name}.{part}" in values}
