# SPDX-License-Identifier: GPL-3.0-or-later
"""The manager of scenarios: loads, stores, adds, changes, deletes and lists them; ``running`` runs them."""

from __future__ import annotations

from typing import Any

from raspy.common import MDP
from raspy.servers.core.scenarios import definition as parts
from raspy.servers.core.scenarios.running import Running
from raspy.servers.core.scenarios.scenario import SECTION, Saves, Scenario, from_store, to_store

SCENARIOS_MAX = 200
KEYS = "main.keys"


class ScenarioManager(Running):
    """The manager of scenarios.

    Args: those of ``Running``.
    """

    def load(self, store: Saves) -> None:
        """Load the scenarios from titanic store; one that can't be used is shown as broken, and not run."""
        values = store.load(SECTION)
        names = values.get(KEYS, [])
        with self.lock:
            for name in names if isinstance(names, list) else []:
                stored = from_store(str(name), values)
                try:
                    known = self.scenarios.get(name)
                    definition = parts.check_definition(name, stored)
                    if known is None or known.definition() != definition:
                        self._put(name, definition)
                except MDP.ClientError as error:
                    self._put_broken(str(name), stored, str(error))

    def store(self, store: Saves) -> None:
        """Store the scenarios to titanic store, all in one step.

        Raises:
            ServerError: titanic is away.
        """
        with self.lock:
            values: dict[str, Any] = {KEYS: sorted(self.scenarios)}
            for name, scenario in self.scenarios.items():
                values.update(to_store(name, scenario.definition()))
        store.save(SECTION, values)

    def add(
        self,
        name: str = "scenar1",
        entries: Any = None,
        code: Any = None,
        conf: Any = None,
        *,
        store: Saves | None = None,
    ) -> Scenario:
        """Add a scenario.

        Args:
            name: its name.
            entries, code, conf: see ``definition``.
            store: where to keep it; None: nowhere.

        Raises:
            ClientError: the name is taken, or something in it is wrong.
            ServerError: it could not be stored; then nothing changed.
        """
        if name in self.scenarios:
            raise MDP.ClientError(f"there is a scenario {name} already: update or delete it")
        definition = parts.check_definition(name, {"entries": entries, "code": code, "conf": conf})
        self.put_all({name: definition}, store)
        return self.scenarios[name]

    def update(
        self,
        name: str = "scenar1",
        entries: Any = None,
        code: Any = None,
        conf: Any = None,
        *,
        store: Saves | None = None,
    ) -> Scenario:
        """Update a scenario: what is None stays as it is, ``conf`` key by key.

        What runs of it is stopped, and started again if it was running.

        Raises:
            NotFoundError, ClientError, ServerError: as above.
        """
        old = self.get(name)
        definition = parts.check_definition(
            name,
            {
                "entries": old.entries if entries is None else entries,
                "code": old.code if code is None else code,
                "conf": {**old.conf, **conf}
                if isinstance(conf, dict)
                else old.conf
                if conf is None
                else conf,
            },
        )
        self.put_all({name: definition}, store)
        return self.scenarios[name]

    def delete(self, name: str = "scenar1", *, store: Saves | None = None) -> None:
        """Delete a scenario; what runs of it is stopped.

        Raises:
            NotFoundError, ServerError: as above.
        """
        self.get(name)
        if store is not None:
            with self.lock:
                names = sorted(set(self.scenarios) - {name})
            store.save(SECTION, {KEYS: names, **to_store(name, None)})
        with self.lock:
            self._drop(self.get(name))
        self._wake()

    def put_all(self, definitions: dict[str, dict[str, Any]], store: Saves | None) -> None:
        """Take checked definitions, new ones and changed ones, all or none.

        Raises:
            ClientError: there are too many scenarios.
            ServerError: they could not be stored.
        """
        with self.lock:
            names = set(self.scenarios) | set(definitions)
        if len(names) > SCENARIOS_MAX:
            raise MDP.ClientError(f"there can be {SCENARIOS_MAX} scenarios at most")
        if store is not None:
            values: dict[str, Any] = {KEYS: sorted(names)}
            for name, definition in definitions.items():
                values.update(to_store(name, definition))
            store.save(SECTION, values)
        with self.lock:
            for name, definition in definitions.items():
                self._put(name, definition)
        self._wake()

    def _put_broken(self, name: str, stored: dict[str, Any], why: str) -> None:
        """Keep what can't be used, so that it is seen, and can be repaired or deleted."""
        try:
            scenario = Scenario(name, self.publisher, self._launch)
        except MDP.ClientError as error:
            self.log.error("a stored scenario is left out: %s", error)
            return
        code = stored.get("code")
        scenario.code = code if isinstance(code, str) else ""
        scenario.broken = why
        self.scenarios[name] = scenario
        self.reporter.broken(scenario)

    def list_keys(self) -> list[str]:
        """Return all scenarios key (=name) as a list."""
        with self.lock:
            return sorted(self.scenarios)

    def list(self) -> dict[str, dict[str, Any]]:
        """Return all scenarios with conf, entries, state ... as a dict."""
        with self.lock:
            return {name: scenario.to_json() for name, scenario in sorted(self.scenarios.items())}

    def counts(self) -> dict[str, int]:
        """How many scenarios are in each state."""
        with self.lock:
            counts: dict[str, int] = {}
            for scenario in self.scenarios.values():
                counts[scenario.state] = counts.get(scenario.state, 0) + 1
            return counts
