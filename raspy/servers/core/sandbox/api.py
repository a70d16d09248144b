# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scenario's code sees: one object, ``scenario``. docs/scenarios.md has the examples.

Everything it can do is asked of core, which checks and limits it. Nothing here is a secret from the
code or protects from it: the walls are in ``confine``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from raspy.servers.core.sandbox.link import Link, RequestError

TYPE_CHECKING = False  # mypy knows it by its name; typing takes longer to import than all else here
if TYPE_CHECKING:
    from typing import Any

__all__ = ["CronView", "EntryView", "RequestError", "ScenarioView", "ScenariosView"]


class EntryView:
    """One entry, as it is at this moment.

    Attributes:
        name: its friendly name.
        value: the value; None when there is none (missing or fault).
        quality: "good", "stale", "fault" or "missing".
        unit: its unit, "" if it has none.
        time: when it was measured, seconds since the epoch, or None.
        error: with a fault: why; else "".
    """

    __slots__ = ("error", "name", "quality", "time", "unit", "value")

    def __init__(self, name: str, seen: Mapping[str, Any]) -> None:
        self.name = name
        self.value = seen.get("value")
        self.quality: str = seen.get("quality", "missing")
        self.unit: str = seen.get("unit", "")
        self.time: float | None = seen.get("time")
        self.error: str = seen.get("error", "")

    @property
    def good(self) -> bool:
        """Whether the value can be trusted: fresh, and plausible."""
        return self.quality == "good"

    def __repr__(self) -> str:
        return f"<{self.name}: {self.value!r} {self.unit} ({self.quality})>"


class CronView:
    """The cron jobs: ``scenario.cron``."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def list_keys(self) -> list[str]:
        """The names of all jobs."""
        return list(self._link.ask("cron.list_keys"))

    def next(self, name: str) -> float | None:
        """When the job is due next, seconds since the epoch; None for never."""
        runs = self._link.ask("cron.next", name=name)
        return float(runs[0]) if runs else None

    def fire(self, name: str) -> None:
        """Carry the job out now."""
        self._link.ask("cron.fire", name=name)

    def add(self, name: str, **definition: Any) -> None:
        """Add a job; the keywords are its definition, as in docs/cron.md."""
        self._link.ask("cron.add", name=name, definition=definition)

    def update(self, name: str, **definition: Any) -> None:
        """Change a job's definition by these keywords."""
        self._link.ask("cron.update", name=name, definition=definition)

    def remove(self, name: str) -> None:
        """Remove a job."""
        self._link.ask("cron.remove", name=name)


class ScenariosView:
    """The other scenarios: ``scenario.scenarios``."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def list_keys(self) -> list[str]:
        """The names of all scenarios."""
        return list(self._link.ask("scenario.list_keys"))

    def start(self, name: str) -> bool:
        """Start one; False if it runs already."""
        return bool(self._link.ask("scenario.start", name=name))

    def stop(self, name: str) -> bool:
        """Stop one; False if it was not running."""
        return bool(self._link.ask("scenario.stop", name=name))

    def status(self, name: str) -> str:
        """Its state: "idle", "running", "failed", ..."""
        return str(self._link.ask("scenario.status", name=name))


class ScenarioView:
    """The scenario itself: ``scenario`` in its code.

    Attributes:
        name: its name.
        reason: what started it: {"by": "entry", "entry": NAME}, {"by": "cron", "job": NAME},
            {"by": "startup"}, {"by": "hand"}, {"by": "scenario", "scenario": NAME} or {"by": "restart"}.
        changed: names of the entries that changed when ``wait`` last returned.
        cron: the cron jobs.
        scenarios: the other scenarios.
    """

    def __init__(self, link: Link, name: str, reason: Mapping[str, Any]) -> None:
        self._link = link
        self.name = name
        self.reason = dict(reason)
        self.changed: set[str] = set()
        self.cron = CronView(link)
        self.scenarios = ScenariosView(link)

    @property
    def entries(self) -> dict[str, EntryView]:
        """All entries as they are now, by friendly name."""
        self._link.take(0)
        return {name: EntryView(name, seen) for name, seen in self._link.entries.items()}

    def __getitem__(self, name: str) -> EntryView:
        """``scenario["water"]``: one entry as it is now.

        Raises:
            KeyError: the scenario has no entry of that name.
        """
        self._link.take(0)
        return EntryView(name, self._link.entries[name])

    def value(self, name: str, default: Any = None) -> Any:
        """The value of an entry if it is good, else *default*."""
        entry = self[name]
        return entry.value if entry.good else default

    @property
    def stopped(self) -> bool:
        """Whether the scenario should end now; it has some seconds to leave things in order."""
        self._link.take(0)
        return bool(self._link.stop)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until an entry changes, or *seconds* have passed; for ever if left out.

        Returns:
            True to go on, False when the scenario should end: ``while scenario.wait(60):``
        """
        self._link.wait(seconds)
        self.changed, self._link.changed = self._link.changed, set()
        return not self._link.stop

    def sleep(self, seconds: float) -> bool:
        """Wait for *seconds*, whatever the entries do. Returns False when the scenario should end."""
        import time

        deadline = time.monotonic() + seconds
        while not self._link.stop and (left_s := deadline - time.monotonic()) > 0:
            self._link.changed = set()
            self._link.wait(left_s)
        return not self._link.stop

    def command(self, name: str, value: Any, hold: float | None = None, why: str = "") -> Any:
        """Command a device.

        Args:
            name: the entry whose key is the command (``/device/HOST/NAME/DEVICE/COMMAND``).
            value: what to set it to.
            hold: for how many seconds; unless it is commanded again before, the device then goes to its
                safe state, whatever has become of this scenario, of core or of the network.
            why: the reason, for the journal.

        Returns:
            What the device's server answered.

        Raises:
            RequestError: the device, or its server, refuses or does not answer.
            KeyError: the scenario has no entry of that name.
        """
        if name not in self._link.entries:
            raise KeyError(name)
        return self._link.ask("command", entry=name, value=value, hold=hold, why=why)

    def publish(self, key: str, value: Any, unit: str = "") -> None:
        """Publish a value as ``/scenario/NAME/KEY``; None deletes it."""
        self._link.ask("publish", key=key, value=value, unit=unit)

    def event(self, kind: str, message: str) -> None:
        """Publish an event as ``/event/scenario/NAME``: a word for programs and a sentence for people."""
        self._link.ask("event", kind=kind, message=message)

    def log(self, message: object, level: str = "info") -> None:
        """A line for the journal and the scenario's own log; level "debug", "info", "warning" or "error"."""
        self._link.send({"log": str(message)[:2000], "level": level})

    def now(self) -> datetime:
        """The time by core's clock, in the place's zone."""
        return datetime.fromisoformat(self._link.ask("now"))

    def sun(self) -> dict[str, datetime | None]:
        """Today's dawn, sunrise, noon, sunset and dusk; None where the sun does not do that today."""
        return {
            event: None if moment is None else datetime.fromisoformat(moment)
            for event, moment in self._link.ask("sun").items()
        }
