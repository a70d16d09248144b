# SPDX-License-Identifier: GPL-3.0-or-later
"""What core answers on the bus: the handlers of its services cron, scenario, scenarios and clock."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from raspy.common import MDP
from raspy.common.store import Store
from raspy.servers.core import names
from raspy.servers.core.clock.trust import Trust
from raspy.servers.core.clock.wall import WallClock
from raspy.servers.core.cron.manager import CronManager
from raspy.servers.core.cron.triggers import Place
from raspy.servers.core.scenarios import exchange
from raspy.servers.core.scenarios.manager import ScenarioManager

Actions = dict[str, Callable[..., object]]
LOG_LINES = 50


class Keeper:
    """The one connection to titanic's store, for one thread at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()

    @contextmanager
    def open(self) -> Iterator[Store]:
        """The store, until the end of the block."""
        with self._lock:
            yield self._store

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._store.close()


class CronService:
    """``HOST.core.cron``.

    Args:
        manager: the jobs.
        keeper: where they are kept.
        asker: who asks, for the journal.
        wake: called when the plan has changed.
    """

    def __init__(
        self, manager: CronManager, keeper: Keeper, asker: Callable[[], str], wake: Callable[[], None]
    ) -> None:
        self._manager = manager
        self._keeper = keeper
        self._asker = asker
        self._wake = wake
        self._log = logging.getLogger("raspy.core.cron")

    def actions(self) -> Actions:
        """Handler by action."""
        return {
            "list_keys": self.list_keys,
            "list": self.list,
            "add": self.add,
            "update": self.update,
            "remove": self.remove,
            "fire": self.fire,
            "next": self.next,
            "preview": self.preview,
        }

    def list_keys(self) -> tuple[str, ...]:
        """``list_keys``: the names of all jobs, a frame each."""
        return tuple(self._manager.list_keys())

    def list(self, count: bytes = b"") -> dict[str, Any]:
        """``list [COUNT]``: all jobs with definition and state, and the next COUNT runs of each."""
        return self._manager.list(_count(count) if count else 0)

    def add(self, name: bytes, definition: bytes) -> dict[str, Any]:
        """``add NAME JSON``: a new job; the answer is the job."""
        text = names.check_name(name, "cron job")
        with self._keeper.open() as store:
            job = self._manager.add(store, text, names.json_object(definition, "a cron job"))
        return self._changed(job.to_json(), "added")

    def update(self, name: bytes, definition: bytes) -> dict[str, Any]:
        """``update NAME JSON``: the keys given replace the job's; null removes one."""
        text = names.check_name(name, "cron job")
        with self._keeper.open() as store:
            job = self._manager.update(store, text, names.json_object(definition, "a cron job"))
        return self._changed(job.to_json(), "changed")

    def remove(self, name: bytes) -> None:
        """``remove NAME``: forget the job."""
        text = names.check_name(name, "cron job")
        with self._keeper.open() as store:
            self._manager.remove(store, text)
        self._changed({"name": text}, "removed")

    def fire(self, name: bytes) -> None:
        """``fire NAME``: carry it out now, beside its plan."""
        self._manager.fire(names.check_name(name, "cron job"))
        self._log.info("cron job %s fired by hand", name.decode(), extra={"RASPY_REQUEST": self._asker()})

    def next(self, name: bytes, count: bytes = b"1") -> Sequence[float]:
        """``next NAME [COUNT]``: when it will run, seconds since the epoch."""
        return self._manager.next(names.check_name(name, "cron job"), _count(count))

    def preview(self, definition: bytes, count: bytes = b"5") -> dict[str, Any]:
        """``preview JSON [COUNT]``: the job completed, and when it would run; nothing is kept."""
        return self._manager.preview(names.json_object(definition, "a cron job"), _count(count))

    def _changed(self, job: dict[str, Any], what: str) -> dict[str, Any]:
        self._log.info("cron job %s %s", job["name"], what, extra={"RASPY_REQUEST": self._asker()})
        self._wake()
        return job


class ScenarioServices:
    """``HOST.core.scenario``, about one, and ``HOST.core.scenarios``, about all.

    Args: as for ``CronService``.
    """

    def __init__(self, manager: ScenarioManager, keeper: Keeper, asker: Callable[[], str]) -> None:
        self._manager = manager
        self._keeper = keeper
        self._asker = asker
        self._log = logging.getLogger("raspy.core.scenarios")

    def actions_of_one(self) -> Actions:
        """Handler by action, of ``scenario``."""
        return {
            "info": self.info,
            "start": self.start,
            "stop": self.stop,
            "status": self.status,
            "log": self.log,
        }

    def actions_of_all(self) -> Actions:
        """Handler by action, of ``scenarios``."""
        return {
            "list_keys": self.list_keys,
            "list": self.list,
            "add": self.add,
            "update": self.update,
            "delete": self.delete,
            "export": self.export,
            "import": self.import_,
        }

    def info(self, name: bytes) -> dict[str, Any]:
        """``info NAME``: definition and state."""
        with self._manager.lock:
            return self._manager.get(_scenario(name)).to_json()

    def start(self, name: bytes) -> bool:
        """``start NAME``: run it now; false if it runs already."""
        started = self._manager.start(_scenario(name), {"by": "hand", "who": self._asker()})
        self._say("started by hand" if started else "runs already", name)
        return started

    def stop(self, name: bytes) -> bool:
        """``stop NAME``: end it; false if it was not running."""
        stopped = self._manager.stop(_scenario(name), "stopped by hand")
        self._say("is to stop" if stopped else "was not running", name)
        return stopped

    def status(self, name: bytes) -> str:
        """``status NAME``: its state, one word."""
        with self._manager.lock:
            return self._manager.get(_scenario(name)).state

    def log(self, name: bytes, limit: bytes = str(LOG_LINES).encode()) -> Sequence[dict[str, Any]]:
        """``log NAME [LIMIT]``: its last lines since core started, newest last; the journal has all."""
        with self._manager.lock:
            lines = list(self._manager.get(_scenario(name)).lines)[-_count(limit) :]
        return [{"time": at, "level": level, "text": text} for at, level, text in lines]

    def list_keys(self) -> tuple[str, ...]:
        """``list_keys``: the names of all scenarios, a frame each."""
        return tuple(self._manager.list_keys())

    def list(self) -> dict[str, Any]:
        """``list``: all scenarios with definition and state."""
        return self._manager.list()

    def add(self, name: bytes, definition: bytes) -> dict[str, Any]:
        """``add NAME JSON``: a new scenario; the answer is the scenario."""
        text, parts = _scenario(name), _parts(definition)
        with self._keeper.open() as store:
            self._manager.add(text, **parts, store=store)
        self._say("added", name)
        return self.info(name)

    def update(self, name: bytes, definition: bytes) -> dict[str, Any]:
        """``update NAME JSON``: of entries, code and conf what is given replaces what it has."""
        text, parts = _scenario(name), _parts(definition)
        with self._keeper.open() as store:
            self._manager.update(text, **parts, store=store)
        self._say("changed", name)
        return self.info(name)

    def delete(self, name: bytes) -> None:
        """``delete NAME``: forget the scenario; what runs of it is stopped."""
        with self._keeper.open() as store:
            self._manager.delete(_scenario(name), store=store)
        self._say("deleted", name)

    def export(self, *wanted: bytes) -> dict[str, Any]:
        """``export [NAME]...``: these scenarios, or all, as one JSON object to keep in a file."""
        with self._manager.lock:
            chosen = [_scenario(name) for name in wanted] or self._manager.list_keys()
            return exchange.export([self._manager.get(name) for name in chosen])

    def import_(self, content: bytes, mode: bytes = b"") -> Sequence[str]:
        """``import JSON [replace]``: store what was exported, inactive; the answer is the names."""
        if mode not in (b"", exchange.REPLACE.encode()):
            raise MDP.ClientError(f"after the content only {exchange.REPLACE!r} may follow")
        found = exchange.read(content, self._manager.list_keys(), replace=bool(mode))
        with self._keeper.open() as store:
            self._manager.put_all(found, store)
        for name in found:
            self._say("imported, not active", name.encode())
        return sorted(found)

    def _say(self, what: str, name: bytes) -> None:
        text = name.decode()
        self._log.info(
            "scenario %s: %s", text, what, extra={"RASPY_SCENARIO": text, "RASPY_REQUEST": self._asker()}
        )


class ClockService:
    """``HOST.core.clock``.

    Args:
        clock: what time it is.
        trust: whether it is believed.
        place: its zone.
        asker: who asks, for the journal.
    """

    def __init__(self, clock: WallClock, trust: Trust, place: Place, asker: Callable[[], str]) -> None:
        self._clock = clock
        self._trust = trust
        self._place = place
        self._asker = asker
        self._log = logging.getLogger("raspy.core.clock")

    def actions(self) -> Actions:
        """Handler by action."""
        return {
            "status": self.status,
            "sync_ntp_to_rtc": self.sync_ntp_to_rtc,
            "sync_rtc_to_system": self.sync_rtc_to_system,
        }

    def status(self) -> dict[str, Any]:
        """``status``: the system's time, the RTC's, NTP, and whether the clock is trusted.

        ``ntp`` (switched on) and ``synchronised`` are null if timedated can't be asked; ``error`` says why.
        """
        now = self._clock.now()
        rtc = self._trust.rtc()
        status: dict[str, Any] = {
            "system": round(now.timestamp(), 3),
            "local": now.astimezone(self._place.zone).isoformat(timespec="seconds"),
            "timezone": str(self._place.zone),
            "rtc": None if rtc is None else {"name": rtc.name, "time": rtc.time},
            "ntp": None,
            "synchronised": None,
        }
        try:
            from raspy.servers.core.clock.timedate import TimeDate

            with TimeDate() as timedate:
                state = timedate.state()
            status["ntp"], status["synchronised"] = state.get("NTP"), state.get("NTPSynchronized")
            status["system_timezone"], status["local_rtc"] = state.get("Timezone"), state.get("LocalRTC")
        except MDP.ServerError as error:
            status["error"] = str(error)
        self._trust.look(lambda: bool(status["synchronised"]))
        return {**status, "trusted": self._trust.trusted, "source": self._trust.source or "none"}

    def sync_ntp_to_rtc(self) -> str:
        """``sync_ntp_to_rtc``: write the system's time, which NTP has set, to the battery-backed clock.

        Raises:
            ServerError: NTP has not set it, there is no such clock, or systemd does not do it.
        """
        from raspy.servers.core.clock.timedate import NTP_TO_RTC, TimeDate

        with TimeDate() as timedate:
            if not timedate.state().get("NTPSynchronized"):
                raise MDP.ServerError("NTP has not synchronised the clock yet, so the RTC is left as it is")
            timedate.start(NTP_TO_RTC)
        return self._done("the RTC now has the system's time")

    def sync_rtc_to_system(self) -> str:
        """``sync_rtc_to_system``: set the system's time from the battery-backed clock.

        Raises:
            ServerError: there is no such clock, or systemd does not do it.
        """
        from raspy.servers.core.clock.timedate import RTC_TO_SYSTEM, TimeDate

        with TimeDate() as timedate:
            timedate.start(RTC_TO_SYSTEM)
        return self._done("the system's time is now that of the RTC")

    def _done(self, what: str) -> str:
        self._log.info(what, extra={"RASPY_REQUEST": self._asker()})
        return what


def _scenario(name: bytes) -> str:
    return names.check_name(name, "scenario")


def _parts(definition: bytes) -> dict[str, Any]:
    found = names.json_object(definition, "a scenario")
    names.only(found, "a scenario", ("entries", "code", "conf"))
    return {part: found.get(part) for part in ("entries", "code", "conf")}


def _count(text: bytes) -> int:
    try:
        return int(names.number(json.loads(text), "the count", 1, 1000))
    except ValueError as error:
        raise MDP.ClientError(f"the count must be a whole number, not {text[:20]!r}") from error
