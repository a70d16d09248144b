# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running scenario may ask of core, each checked and limited; the other end is ``sandbox.api``.

A scenario commands only the devices that are among its entries, itself and by cron jobs of its own,
and publishes only below ``/scenario/ITS-NAME/`` and ``/event/scenario/ITS-NAME``: who reads its entries knows
what it touches.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from raspy.common import MDP, sun
from raspy.servers.core import names
from raspy.servers.core.clock.wall import WallClock
from raspy.servers.core.cron.triggers import Place
from raspy.servers.core.runner.courier import Courier
from raspy.servers.core.runner.run import Run
from raspy.servers.core.scenarios.manager import ScenarioManager
from raspy.servers.core.scenarios.scenario import Scenario, value_body

# Requests of one run that may be under way at once.
OPEN_MAX = 8
HOLD_S = 7 * 86400
LEVELS = ("debug", "info", "warning", "error")
TEXT = 2000
# Cron jobs that one scenario may have.
JOBS_MAX = 20
WHY = 200
# The key below /scenario/NAME/ that core itself writes.
RESERVED = "status"


class Requests:
    """Carries out what scenarios ask for.

    Args:
        manager: the scenarios.
        courier: takes requests to other servers, and to core's own cron.
        cron_service: core's own, ``HOST.core.cron``.
        job_names: the names of all cron jobs.
        place: where it is.
        clock: what time it is.
    """

    def __init__(
        self,
        manager: ScenarioManager,
        courier: Courier,
        cron_service: str,
        job_names: Callable[[], Iterable[str]],
        place: Place,
        clock: WallClock,
    ) -> None:
        self._manager = manager
        self._courier = courier
        self._cron_service = cron_service
        self._job_names = job_names
        self._place = place
        self._clock = clock
        self._actions: Mapping[str, Callable[[Scenario, dict[str, Any]], object]] = {
            "publish": self._publish,
            "event": self._event,
            "now": self._now,
            "sun": self._sun,
            "scenario.list_keys": lambda scenario, message: self._manager.list_keys(),
            "scenario.start": self._start,
            "scenario.stop": self._stop,
            "scenario.status": lambda scenario, message: self._manager.get(_name(message)).state,
        }

    def take(self, scenario: Scenario, run: Run, message: dict[str, Any]) -> None:
        """Take one message of a run, with the manager's lock held; an answer goes back by itself."""
        said, level = message.get("log"), message.get("level")
        if isinstance(said, str):
            scenario.say(level if level in LEVELS else "info", said[:TEXT])
            return
        number = message.get("id")
        if not isinstance(number, int):
            scenario.say("error", "it sent a message that core does not know; it is ignored")
            return
        run.open_requests += 1
        try:
            self._carry_out(scenario, run, number, message)
        except MDP.GenericError as error:
            run.answer(number, error=str(error))
        except (ValueError, TypeError, RecursionError) as error:
            # What JSON can carry here and not there: a list in a list in a list ..., half a character.
            run.answer(number, error=f"that can't be done: {error}")

    def _carry_out(self, scenario: Scenario, run: Run, number: int, message: dict[str, Any]) -> None:
        do = message.get("do")
        if run.open_requests > OPEN_MAX:
            raise MDP.ClientError(f"{OPEN_MAX} requests are under way already")
        action = self._actions.get(do) if isinstance(do, str) else None
        if action is not None:
            run.answer(number, action(scenario, message))
        elif do == "command":
            self._command(scenario, run, number, message)
        elif isinstance(do, str) and do.startswith("cron."):
            self._cron(scenario, run, number, do.removeprefix("cron."), message)
        else:
            raise MDP.ClientError(f"core can't do {do!r} for a scenario")

    # Answered at once.

    def _publish(self, scenario: Scenario, message: dict[str, Any]) -> None:
        key = names.check_name(message.get("key", ""), "published value")
        if key == RESERVED:
            raise MDP.ClientError(f"{RESERVED!r} is published by core; choose another name")
        value = message.get("value")
        body = b"" if value is None else value_body(value, names.text(message.get("unit", ""), "unit", 32))
        if len(body) > names.VALUE_BYTES:
            raise MDP.ClientError(f"a published value is limited to {names.VALUE_BYTES} bytes")
        if not self._manager.reporter.publish(scenario.name, key, body):
            raise MDP.ClientError("this scenario has published so many values already that no more fit")

    def _event(self, scenario: Scenario, message: dict[str, Any]) -> None:
        kind = names.check_name(message.get("kind", ""), "kind of event")
        text = names.text(message.get("message", ""), "message", TEXT)
        self._manager.reporter.event(scenario.name, kind, text)

    def _now(self, scenario: Scenario, message: dict[str, Any]) -> str:
        return self._clock.now().astimezone(self._place.zone).isoformat()

    def _sun(self, scenario: Scenario, message: dict[str, Any]) -> dict[str, str | None]:
        zone, latitude, longitude = self._place
        if latitude is None or longitude is None:
            raise MDP.ClientError(
                "core does not know where the sun is: set latitude and longitude in raspy.conf"
            )
        today = self._clock.now().astimezone(zone).date()
        return {
            event: None if moment is None else moment.isoformat()
            for event, moment in sun.times(today, latitude, longitude, zone).items()
        }

    def _start(self, scenario: Scenario, message: dict[str, Any]) -> bool:
        return self._manager.start(_name(message), {"by": "scenario", "scenario": scenario.name})

    def _stop(self, scenario: Scenario, message: dict[str, Any]) -> bool:
        return self._manager.stop(_name(message), f"scenario {scenario.name} wants it")

    # Answered when others have answered.

    def _command(self, scenario: Scenario, run: Run, number: int, message: dict[str, Any]) -> None:
        entry = scenario.watched.get(str(message.get("entry")))
        if entry is None:
            raise MDP.ClientError(
                f"scenario {scenario.name} has no entry {message.get('entry')!r} to command"
            )
        hold_s = None
        if message.get("hold") is not None:
            hold_s = names.number(message["hold"], "hold", 0.1, HOLD_S)
        why = f"scenario {scenario.name}: {names.text(message.get('why', ''), 'why', WHY)}".rstrip(": ")
        service, frames = command_frames(entry.key, message.get("value"), hold_s, why)
        self._courier.ask(service, frames, self._answer(run, number))

    def _cron(self, scenario: Scenario, run: Run, number: int, action: str, message: dict[str, Any]) -> None:
        """Through the bus, as everybody else: storing a job takes a time that core's loop has not."""
        frames = [action]
        if action != "list_keys":
            name = names.check_name(message.get("name", ""), "cron job")
            frames.append(name)
            if action not in ("next", "fire"):
                self._check_own(scenario, action, name)
        if action in ("add", "update"):
            frames.append(json.dumps(_own_definition(scenario, message.get("definition"))))
        keys = action == "list_keys"

        def done(result: list[bytes], error: str) -> None:
            with self._manager.lock:
                run.answer(number, [frame.decode() for frame in result] if keys else _answer(result), error)

        self._courier.ask(self._cron_service, frames, done)

    def _check_own(self, scenario: Scenario, action: str, name: str) -> None:
        """Refuse what a scenario may not do with a job of that name."""
        if name != scenario.name and not name.startswith(f"{scenario.name}_"):
            raise MDP.ClientError(
                f"{name} is not its own: its cron jobs are called {scenario.name} or {scenario.name}_..."
            )
        own = [one for one in self._job_names() if one.startswith(f"{scenario.name}_")]
        if action == "add" and len(own) >= JOBS_MAX:
            raise MDP.ClientError(f"scenario {scenario.name} has {JOBS_MAX} cron jobs already, no more fit")

    def _answer(self, run: Run, number: int) -> Callable[[list[bytes], str], None]:
        def done(result: list[bytes], error: str) -> None:
            with self._manager.lock:
                run.answer(number, _answer(result), error)

        return done


def command_frames(key: str, value: object, hold_s: float | None, why: str) -> tuple[str, list[str]]:
    """The request that sets a device's command: its service, and the frames of the body.

    Args:
        key: the command's key, ``/device/HOST/NAME/DEVICE/COMMAND``.
        value: what to set it to, anything JSON can carry; text goes as it is.
        hold_s: for how long, in seconds; None until the next command.
        why: the reason, for the journal.

    Raises:
        ClientError: the key is not of a device's command, or the value is too long.
    """
    command = names.device_command(key)
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) > names.VALUE_BYTES:
        raise MDP.ClientError(f"the value of a command is limited to {names.VALUE_BYTES} characters")
    options: dict[str, Any] = {"why": why}
    if hold_s is not None:
        options["hold"] = hold_s
    return command.service, ["exec", command.device, command.command, text, json.dumps(options)]


def _own_definition(scenario: Scenario, definition: object) -> dict[str, Any]:
    """The definition of a cron job, if a scenario may make such a one.

    Raises:
        ClientError: it would reach beyond the scenario's entries.
    """
    if not isinstance(definition, dict):
        raise MDP.ClientError("a cron job's definition is a JSON object")
    if definition.get("request") is not None:
        raise MDP.ClientError("a scenario's cron jobs send no requests; they command, and start scenarios")
    command = definition.get("command")
    if command is not None:
        key = command.get("key") if isinstance(command, dict) else None
        if key not in {entry.key for entry in scenario.watched.values()}:
            raise MDP.ClientError(f"scenario {scenario.name} has no entry with the key {key!r} to command")
    return definition


def _name(message: dict[str, Any]) -> str:
    return names.check_name(message.get("name", ""), "scenario")


def _answer(result: list[bytes]) -> object:
    """The first frame of a reply: JSON if it is, else as text; None if there is none."""
    if not result:
        return None
    try:
        return json.loads(result[0])
    except ValueError:
        return result[0].decode(errors="replace")
