# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios in motion: follow their entries, start and end their processes, restart what has crashed.

One lock guards all of it. Updates come in the subscriber's thread, requests in the services' threads, time
and what the processes say in core's loop; nothing that holds the lock waits for anybody.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from raspy.common import MDP
from raspy.servers.core.runner.launch import launch
from raspy.servers.core.runner.run import Run
from raspy.servers.core.sandbox.wire import encode
from raspy.servers.core.scenarios.conditions import Entry
from raspy.servers.core.scenarios.report import Reporter
from raspy.servers.core.scenarios.scenario import Publisher, Reason, Scenario

RUNS_MAX = 100
# Every entry is looked at so often even if nothing happens: its server or the broker may be gone.
LOOK_S = 1.0
# A process that has hung up ends within moments; it is asked after so often.
LEAVING_S = 0.01

# The present body of a key, or None.
Values = Callable[[str], "bytes | None"]


class Running:
    """What of a scenario manager has to do with running them.

    Args:
        publisher: where states and events are published; None: nowhere.
        values: the present bodies by key, for new entries.
        socket_path: the socket that starts a confined process for each connection; a subprocess without.
        wake: called when core's loop should look at the runs again.

    Attributes:
        scenarios: the scenarios by name.
        reporter: what ends are told to, and counted by.
        live: whether updates happen now; False while the first snapshot comes in.
        lock: guards everything here.
    """

    def __init__(
        self,
        publisher: Publisher | None = None,
        *,
        values: Values = lambda key: None,
        socket_path: Path | None = None,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.scenarios: dict[str, Scenario] = {}
        self.publisher = publisher
        self.reporter = Reporter(publisher)
        self.live = False
        self.lock = threading.RLock()
        self.log = logging.getLogger("raspy.core.scenarios")
        self._values = values
        self._socket_path = socket_path
        self._wake = wake
        self._by_key: dict[str, list[Scenario]] = {}
        self._numbers = itertools.count(1)
        self._orphans: list[Run] = []
        self._started_up = False
        self._closing = False
        self._look_at = 0.0

    def get(self, name: str) -> Scenario:
        """The scenario of that name.

        Raises:
            NotFoundError: there is none.
        """
        scenario = self.scenarios.get(name)
        if scenario is None:
            raise MDP.NotFoundError(f"there is no scenario {name!r}")
        return scenario

    def start(self, name: str, reason: Reason) -> bool:
        """Start a scenario; False if it runs already.

        Raises:
            NotFoundError: there is none.
            ClientError: it can't be started.
            ServerError: no process could be had for it.
        """
        with self.lock:
            if self._closing:
                raise MDP.ServerError("core is shutting down and starts nothing any more")
            started = self.get(name).run(reason)
        self._wake()
        return started

    def stop(self, name: str, why: str) -> bool:
        """Stop a scenario, and don't restart it; False if it was not running.

        Raises:
            NotFoundError: there is none.
        """
        with self.lock:
            scenario = self.get(name)
            was = scenario.running or scenario.restart_at is not None
            scenario.shutdown(why)
        self._wake()
        return was

    def shutdown(self) -> None:
        """Shutdown the scenario manager: tell all that runs to end; ``tick`` sees to it that it does."""
        with self.lock:
            self._closing = True
            for scenario in self.scenarios.values():
                scenario.shutdown()
        self._wake()

    def kill_all(self) -> None:
        """End at once what still runs, and wait for its processes."""
        with self.lock:
            everything = [
                (scenario.runs, run) for scenario in self.scenarios.values() for run in scenario.runs
            ]
            everything += [(self._orphans, run) for run in self._orphans]
            for _, run in everything:
                run.kill()
            for home, run in everything:
                run.await_end()
                home.remove(run)

    def update_key(self, key: str, body: bytes) -> None:
        """A key has a new body; called by the subscriber for every key."""
        if key not in self._by_key:
            return
        now = time.monotonic()
        with self.lock:
            for scenario in self._by_key.get(key, ()):
                changed = [
                    entry
                    for entry in scenario.watched.values()
                    if entry.key == key and entry.update(body, now, self.live)
                ]
                if changed:
                    self._pass_on(scenario, changed)
                if self.live:
                    self._fire(scenario)

    def go_live(self) -> None:
        """The first snapshot is in: conditions count from now on, and what starts at start-up starts."""
        with self.lock:
            if self.live:
                return
            self.live = True
            for scenario in list(self.scenarios.values()):
                self._fire(scenario)

    def start_up(self) -> None:
        """Start what is to run from the start; called once, when the scenarios are loaded."""
        with self.lock:
            if self._started_up:
                return
            self._started_up = True
            for scenario in list(self.scenarios.values()):
                if scenario.conf["startup"] and scenario.conf["active"] and not scenario.running:
                    self._run(scenario, {"by": "startup"})

    def runs(self) -> Iterable[tuple[Scenario, Run]]:
        """Everything that runs."""
        with self.lock:
            return [(scenario, run) for scenario in self.scenarios.values() for run in scenario.runs]

    def tick(self, now: float) -> None:
        """What time brings: conditions that have held for long enough, stale values, ends, restarts."""
        with self.lock:
            look = now >= self._look_at
            if look:
                self._look_at = now + LOOK_S
            self._orphans = [run for run in self._orphans if not self._left(run, now)]
            for scenario in list(self.scenarios.values()):
                if self.live and (look or self._entries_due(scenario, now)):
                    aged = [entry for entry in scenario.watched.values() if entry.age(now)]
                    if aged:
                        self._pass_on(scenario, aged)
                    self._fire(scenario)
                for run in list(scenario.runs):
                    if run.tick(now):
                        scenario.ended(run, run.outcome(), now)
                        self.reporter.ended(scenario)
                if scenario.restart_at is not None and now >= scenario.restart_at and not scenario.running:
                    self._run(scenario, {"by": "restart"})

    def _left(self, run: Run, now: float) -> bool:
        """Whether the process of a scenario that was deleted is gone."""
        if not run.tick(now):
            return False
        run.outcome()
        return True

    def due_at(self) -> float:
        """When ``tick`` should be called next, monotonic."""
        with self.lock:
            times = [self._look_at]
            if self._orphans:
                times.append(time.monotonic() + LEAVING_S)
            for scenario in self.scenarios.values():
                if scenario.restart_at is not None and not scenario.running:
                    times.append(scenario.restart_at)
                for run in scenario.runs:
                    at = run.due_at()
                    if run.connection is None:
                        at = time.monotonic() + LEAVING_S
                    if at is not None:
                        times.append(at)
                times += [at for entry in scenario.watched.values() if (at := entry.due_at()) is not None]
            return min(times)

    def _entries_due(self, scenario: Scenario, now: float) -> bool:
        return any((at := entry.due_at()) is not None and at <= now for entry in scenario.watched.values())

    def _pass_on(self, scenario: Scenario, changed: Iterable[Entry]) -> None:
        seen = {entry.name: entry.view() for entry in changed}
        for run in scenario.runs:
            run.update(seen)
            if run.wants_room:
                self._wake()

    def _fire(self, scenario: Scenario) -> None:
        entry = scenario.fire()
        if entry is not None:
            self._run(scenario, {"by": "entry", "entry": entry})

    def _run(self, scenario: Scenario, reason: Reason) -> None:
        """Start it; if that can't be done it is a failure of the scenario, not of who looked."""
        scenario.restart_at = None
        if self._closing:
            return
        try:
            scenario.run(reason)
        except MDP.GenericError as error:
            self.reporter.not_started(scenario, str(error))
        self._wake()

    def _launch(self, scenario: Scenario, reason: Reason) -> Run:
        """Make a process for a run.

        Raises:
            ServerError: there are too many, or the system gives none.
        """
        if sum(len(one.runs) for one in self.scenarios.values()) >= RUNS_MAX:
            raise MDP.ServerError(f"{RUNS_MAX} scenarios run already, {scenario.name} is not started")
        job = encode(
            {
                "job": {
                    "name": scenario.name,
                    "code": scenario.code,
                    "reason": reason,
                    "entries": {name: entry.view() for name, entry in scenario.watched.items()},
                    "memory_mb": scenario.conf["memory_mb"],
                    "cpu_s": scenario.conf["cpu_s"],
                }
            }
        )
        try:
            launched = launch(self._socket_path, job)
        except OSError as error:
            raise MDP.ServerError(f"no process for scenario {scenario.name}: {error}") from error
        return Run(
            next(self._numbers), reason, job, launched, time.monotonic(), scenario.conf["max_runtime_s"]
        )

    def _put(self, name: str, definition: dict[str, Any]) -> None:
        scenario = self.scenarios.get(name)
        if scenario is None:
            scenario = self.scenarios[name] = Scenario(name, self.publisher, self._launch)
        ran = scenario.running
        scenario.shutdown("it was changed")
        scenario.define(definition)
        self._index()
        now = time.monotonic()
        for entry in scenario.watched.values():
            body = self._values(entry.key)
            if body is not None and not entry.seen:
                entry.update(body, now, live=False)
        if scenario.conf["active"] and (ran or (self._started_up and scenario.conf["startup"])):
            # The old code gets its time to leave things in order before the new one takes over.
            scenario.restart_at = now
        scenario.publish_state()
        if self.live:
            self._fire(scenario)

    def _drop(self, scenario: Scenario) -> None:
        """It is no more: what runs of it is killed, and waited for by ``tick``."""
        del self.scenarios[scenario.name]
        self._index()
        for run in scenario.runs:
            run.kill()
        self._orphans += scenario.runs
        self.reporter.forget(scenario)

    def _index(self) -> None:
        self._by_key = {}
        for scenario in self.scenarios.values():
            for key in {entry.key for entry in scenario.watched.values()}:
                self._by_key.setdefault(key, []).append(scenario)
