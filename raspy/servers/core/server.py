# SPDX-License-Identifier: GPL-3.0-or-later
"""The Core server: cron jobs, scenarios and the clock, put together.

Threads: ``loop`` (time, scenarios, answers), ``entries`` (follows the key/value tree), ``keep`` (loads
what titanic keeps), and one for each service. Whoever dies takes the daemon with it; systemd starts it
again, the scenarios' processes have died with it, and the leases have put the devices in their safe states.
"""

from __future__ import annotations

import json
import os
import time
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from raspy.common import MDP, sun
from raspy.common.config import ConfigError, Option
from raspy.common.kvcliapi import KvSubscriberClient
from raspy.common.server import Server
from raspy.common.statistics import SNMPCounter
from raspy.common.store import Store
from raspy.servers.core import messages
from raspy.servers.core.clock.trust import Trust
from raspy.servers.core.clock.wall import WallClock
from raspy.servers.core.cron.job import Cron
from raspy.servers.core.cron.manager import CronManager
from raspy.servers.core.cron.triggers import Place
from raspy.servers.core.loop import Alarm, Loop
from raspy.servers.core.runner.courier import Courier
from raspy.servers.core.runner.requests import Requests, command_frames
from raspy.servers.core.runner.run import DIED, STOPPED, TIMEOUT
from raspy.servers.core.sandbox.wire import DONE, ERROR, MEMORY, PROCESSOR
from raspy.servers.core.scenarios.manager import ScenarioManager
from raspy.servers.core.services import ClockService, CronService, Keeper, ScenarioServices

TREES = ("/device/", "/event/", "/scenario/")
# How long scenarios get to leave things in order when core ends; less than the threads get to end.
FAREWELL_S = 3.0
# Titanic is asked again so often until it answers.
RETRY_S = 1.0
# While the clock is not trusted: look at files, and ask timedated, so often.
LOOK_S = 5.0
ASK_S = 60.0
LOCALTIME = Path("/etc/localtime")
MOUNTS = Path("/proc/self/mountinfo")
KINDS = (DONE, STOPPED, ERROR, MEMORY, PROCESSOR, TIMEOUT, DIED, "broken")


class _Publisher:
    """What the managers need of the server: updates under the name that ``KvPublisherClient`` has for it."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def send(self, subtree: str, key: str, body: str | bytes) -> None:
        """Send an update."""
        self._core.publish(subtree, key, body.encode() if isinstance(body, str) else body)


class Core(Server):
    """The Core server: cron, scenarios, and the clock they go by.

    Args: those of ``Server``; ``data_dir`` keeps a copy of what titanic keeps, and when jobs last ran.
    """

    SERVICE = "core"
    SETTINGS = (
        Option(
            "scenario_socket",
            Path,
            Path("/run/raspy/scenario.sock"),
            "the socket that starts a confined process for a scenario; without it a subprocess is used",
        ),
        Option(
            "trust_clock", bool, False, "take the system's time for right without NTP or RTC (containers)"
        ),
    )

    def __init__(self, hostname: str = "localhost", service: str = "core", *args: Any, **kwargs: Any) -> None:
        super().__init__(hostname, service, *args, **kwargs)
        self.clock = self.make_clock()
        self.alarm = Alarm()
        self._wrong: ConfigError | None = None
        self.place = Place(self._zone(), self.settings.latitude, self.settings.longitude)
        self.trust = Trust(self.clock.time, self.settings.trust_clock)
        publisher = _Publisher(self)
        self.subscriber = KvSubscriberClient(
            hostname,
            TREES,
            broker=self.broker,
            ctx=self.ctx,
            callback=lambda key, body: self.scenarios.update_key(key, body),
            on_idle=self._followed,
        )
        self.scenarios = ScenarioManager(
            publisher,
            values=self.subscriber.kvmap.get,
            wake=self.alarm.ring,
            socket_path=self.settings.scenario_socket,
        )
        handled = None if self.data_dir is None else self.data_dir / "cron-handled.json"
        self.cron = CronManager(self.place, self.clock, self._fire, self._tell, handled)
        self.courier = Courier(self.broker, self.ctx, self.alarm.ring)
        copy = None if self.data_dir is None else self.data_dir / "store-copy.json"
        self.keeper = Keeper(Store(self.broker, service, copy=copy))
        self._loaded = False
        self._look_at = 0.0
        self._ends = {
            kind: self.add_statistic(SNMPCounter(f"scenario.{kind}", f"scenario runs that ended: {kind}"))
            for kind in KINDS
        }
        self._cron_counts = {
            event: self.add_statistic(SNMPCounter(f"cron.{event}", f"cron runs that were {event}"))
            for event in ("fired", "missed", "failed")
        }
        self.scenarios.reporter.count = lambda kind: self._ends[kind].set(1)

    def make_clock(self) -> WallClock:
        """The clock that everything here goes by."""
        return WallClock()

    def _zone(self) -> tzinfo:
        name = self.settings.timezone or os.environ.get("TZ", "").lstrip(":")
        try:
            if name:
                return sun.zone_of(name)
            with LOCALTIME.open("rb") as file:
                return ZoneInfo.from_file(file, key=zone_name())
        except ValueError as error:
            self._wrong = ConfigError(f"[raspy] timezone: {error}")
            return ZoneInfo("UTC")
        except OSError:
            return ZoneInfo("UTC")

    # Life.

    def setup(self) -> None:
        """Check what could not be checked with the settings.

        Raises:
            ConfigError: there is no such time zone.
        """
        super().setup()
        if self._wrong is not None:
            raise self._wrong

    def teardown(self) -> None:
        """End what the threads have left."""
        self.scenarios.kill_all()
        self.cron.close()
        self.courier.close()
        self.subscriber.destroy()
        self.keeper.close()
        self.alarm.close()
        super().teardown()

    def shutdown(self) -> None:
        """Shutdown, from any thread or a signal handler."""
        super().shutdown()
        self.subscriber.shutdown()
        self.alarm.ring()

    def status_line(self) -> str:
        """How many run, what has given up, what waits, what comes next."""
        counts = self.scenarios.counts()
        parts = [f"{counts.pop('running', 0)} of {len(self.scenarios.scenarios)} scenarios running"]
        for state in ("gave up", "broken", "failed", "restarting"):
            if counts.get(state):
                named = [name for name, one in sorted(self.scenarios.scenarios.items()) if one.state == state]
                parts.append(f"{state}: {', '.join(named[:5])}{' ...' if len(named) > 5 else ''}")
        jobs = len(self.cron.jobs)
        parts.append(f"{jobs} cron job{'' if jobs == 1 else 's'}")
        if waiting := self.cron.waiting():
            parts.append(f"{waiting} of them wait for a trusted clock")
        if not self._loaded:
            parts.append("waiting for titanic to load what it keeps")
        return "; ".join(parts)

    # Threads.

    def worker_cron(self) -> None:
        """Create a worker to handle cron requests."""
        self.serve("cron", CronService(self.cron, self.keeper, self.requester, self.alarm.ring).actions())

    def worker_scenario(self) -> None:
        """Create a worker to handle scenario's requests."""
        self.serve("scenario", ScenarioServices(self.scenarios, self.keeper, self.requester).actions_of_one())

    def worker_scenarios(self) -> None:
        """Create a worker to handle scenarios requests (list_keys, ...)."""
        self.serve(
            "scenarios", ScenarioServices(self.scenarios, self.keeper, self.requester).actions_of_all()
        )

    def worker_clock(self) -> None:
        """Create a worker to handle requests about the clock."""
        self.serve("clock", ClockService(self.clock, self.trust, self.place, self.requester).actions())

    def worker_entries(self) -> None:
        """Follow the key/value tree."""
        self.subscriber.run()

    def worker_keep(self) -> None:
        """Load what titanic keeps, from the copy until it is there; then ask timedated while it matters."""
        ask_at = time.monotonic() + LOOK_S
        while True:
            self.alive()
            if not self._loaded:
                self._load()
            elif not self.trust.trusted and time.monotonic() >= ask_at:
                ask_at = time.monotonic() + ASK_S
                self.trust.look(self._ntp_synchronized)
            if self.stopping.wait(RETRY_S):
                return

    def worker_loop(self) -> None:
        """Core's loop; when core ends it goes on until the scenarios have ended, or their time is over."""
        cron_service = f"{self.get_instance_id()}.cron"
        requests = Requests(
            self.scenarios, self.courier, cron_service, self.cron.list_keys, self.place, self.clock
        )
        loop = Loop(self.alarm, self.scenarios, requests, self.courier, self._every_round, self.stopping)
        while not self.stopping.is_set():
            loop.turn()
        self.scenarios.shutdown()
        running = sorted({scenario.name for scenario, _ in self.scenarios.runs()})
        if running:
            self.log.info("core ends; scenarios get %g s to do so too: %s", FAREWELL_S, ", ".join(running))
        deadline = time.monotonic() + FAREWELL_S
        while self.scenarios.runs() and time.monotonic() < deadline:
            loop.turn()

    # What the threads call.

    def _followed(self) -> None:
        self.alive()
        if self.subscriber.synchronised:
            self.scenarios.go_live()

    def _load(self) -> None:
        with self.keeper.open() as store:
            # The scenarios first: jobs start them.
            self.scenarios.load(store)
            away = store.away
            self.cron.load(store)
            self._loaded = not away and not store.away
        self.alarm.ring()

    def _every_round(self) -> float:
        """What core's loop does besides the scenarios; returns when it should be called again, in seconds."""
        self.alive()
        now = time.monotonic()
        jumped_s = self.clock.jump()
        if jumped_s:
            self._clock_set(jumped_s)
        if not self.trust.trusted and now >= self._look_at:
            self._look_at = now + LOOK_S
            self.trust.look()
        if self.trust.trusted and not self.cron.trusted:
            self.cron.trusted = True
            self._event("clock/trusted", "trusted", f"the clock is trusted now: {self.trust.source}")
        if self._loaded and self.scenarios.live:
            self.scenarios.start_up()
        if self.stopping.is_set():
            return 1.0
        self.cron.process()
        return self.clock.real_s(self.cron.wait_s())

    def _ntp_synchronized(self) -> bool:
        from raspy.servers.core.clock.timedate import TimeDate

        try:
            with TimeDate() as timedate:
                return bool(timedate.state().get("NTPSynchronized"))
        except MDP.ServerError as error:
            self.log.debug("timedated can't be asked whether NTP has set the clock: %s", error)
            return False

    def _clock_set(self, seconds: float) -> None:
        self.log.warning(
            "the system's clock was set %s by %.1f s; cron jobs are planned anew",
            "forward" if seconds > 0 else "back",
            abs(seconds),
            extra={"MESSAGE_ID": messages.CLOCK_JUMPED},
        )
        self._event(
            "clock/jumped",
            "jumped",
            f"the system's clock was set by {seconds:+.1f} s",
            seconds=round(seconds, 3),
        )
        self.cron.clock_set(seconds)

    def _fire(self, job: Cron, due: datetime | None, late_s: float) -> None:
        """Carry out a cron job."""
        late = "" if late_s < 1 else f", {late_s:.0f} s late"
        self._tell(
            job,
            "fired",
            f"cron job {job.name} fired{' by hand' if due is None else late}",
            {"due": None if due is None else due.timestamp()},
        )
        definition = job.definition
        try:
            if "command" in definition:
                command = definition["command"]
                service, frames = command_frames(
                    command["key"], command["value"], command.get("hold"), f"cron job {job.name}"
                )
                self._send(job, service, frames)
            if "request" in definition:
                request = definition["request"]
                self._send(job, "titanic.request", [request["service"], *request["frames"]])
            if "scenario" in definition:
                name = definition["scenario"]
                if not self.scenarios.start(name, {"by": "cron", "job": job.name}):
                    self.log.info("cron job %s: scenario %s runs already", job.name, name)
        except MDP.GenericError as error:
            self._failed(job, str(error))

    def _send(self, job: Cron, service: str, frames: list[str]) -> None:
        def done(result: list[bytes], error: str) -> None:
            if error:
                self._failed(job, error)

        self.courier.ask(service, frames, done)

    def _failed(self, job: Cron, why: str) -> None:
        self._tell(job, "failed", f"cron job {job.name} fired, but could not do its work: {why}", {})

    def _tell(self, job: Cron, event: str, message: str, more: dict[str, Any]) -> None:
        self._cron_counts[event].set(1)
        if event == "fired":
            self.log.info(message)
        else:
            message_id = messages.CRON_MISSED if event == "missed" else messages.CRON_FAILED
            self.log.warning(message, extra={"MESSAGE_ID": message_id})
        self._event(f"cron/{job.name}", event, message, **more)

    def _event(self, key: str, event: str, message: str, **more: Any) -> None:
        """Publish ``/event/KEY``."""
        body = {"time": round(self.clock.time(), 6), "event": event, "message": message, **more}
        self.publish("/event/", key, json.dumps(body, ensure_ascii=False).encode())


def zone_name(link: Path = LOCALTIME, mounts: Path = MOUNTS) -> str:
    """The name of the zone that /etc/localtime links to, timedatectl(1); "localtime" if it is a copy.

    In a daemon's own root (systemd) it is no link but a mount of the file, whose source tells.
    Source: proc(5) on mountinfo.

    Args:
        link: /etc/localtime.
        mounts: what is mounted.
    """
    source = ""
    try:
        if link.is_symlink():
            source = os.readlink(link)
        else:
            entries = (line.split() for line in mounts.read_text(encoding="utf-8").splitlines())
            source = next((entry[3] for entry in entries if entry[4] == str(link)), "")
    except (OSError, ValueError):
        pass
    return source.partition("zoneinfo/")[2] or "localtime"
