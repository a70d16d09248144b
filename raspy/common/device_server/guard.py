# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be done with one actuator, and what must be done now: holds, minimum times, interlocks.

Pure logic: it has no thread, no device and no clock of its own. The engine asks it with every command
(`command`) and whenever time has passed or another device changed (`due`); it answers with what to
drive, and is told what became of it (`done`, `failed`).

The rules, and which goes before which:

1. The safe state waits for nothing. It is driven when a hold runs out, when a condition
   (``only_while``) is broken, and again and again after a command that failed, since then nobody knows
   what the device does.
2. ``max_run_s``: on for so long, it is switched off, and refuses to go on until it was commanded off.
3. A command *towards* the safe state is never refused. Where a minimum time is not over yet it is done
   when it is ("later").
4. A command *away* from the safe state is refused while a minimum time is not over, a condition is not
   met, or the device would be on together with one that it must never be on with. What is not known
   counts against it: a sensor that is at fault, stale or was never read is not good; a device whose state is
   unknown may be on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from raspy.common.devices.actuator import ActuatorDevice
from raspy.common.devices.interlock import NEVER_WITH, Interlock, read_interlock
from raspy.common.MDP import ClientError

RETRY_S = 1.0
"""How long after a failed command the safe state is tried, and tried again."""


class State(NamedTuple):
    """What is known of a device, for those that depend on it.

    Args:
        quality: ``good``, ``stale``, ``fault``; or in words why there is no value.
        value: the value, when it is good.
        drives: whether it is an actuator.
        may_be_on: for an actuator: it is on, or may be for all one knows.
    """

    quality: str
    value: Any = None
    drives: bool = False
    may_be_on: bool = True


Look = Callable[[str, str], State]
"""Find out about a device: by its name, and the command (``""`` for the main one)."""


class Drive(NamedTuple):
    """What to write to the device.

    Args:
        value: the value of its main command.
        event: ``command``, ``hold``, ``interlock``, ``max_run``, ``later``, ``retry``, ``start``, ``stop``.
        why: the reason, for the journal.
        who: who asked; ``""`` for the server itself.
        generation: of the guard; a drive of an older one is not carried out any more.
    """

    value: Any
    event: str
    why: str
    who: str
    generation: int


class Later(NamedTuple):
    """A command that waits for a minimum time."""

    value: Any
    at_s: float
    why: str
    who: str


class Guard:
    """The guard of one actuator.

    Args:
        device: the actuator.
        look: finds out about the others of the server.
        now_s: the clock, in seconds; any that never goes back.

    Attributes:
        value: what it was last driven to; None: not known.
        since_s: since when it is on, or off, as it is.
        until_s: when its hold ends; infinite when nothing is held.
        held_by: who holds it.
        later: the command that waits; None.
        tripped: it was switched off by ``max_run_s``, and not commanded off since.
        rivals: the names of those that it must never be on with; the engine sets them, for they may
            be configured on either side.
    """

    def __init__(self, device: ActuatorDevice, look: Look, now_s: float) -> None:
        self.device = device
        self._look = look
        self.value: Any = None
        self.since_s = now_s
        self.until_s = math.inf
        self.held_by = ""
        self.hold_s = 0.0
        self.later: Later | None = None
        self.tripped = False
        self.rivals: tuple[str, ...] = ()
        self._target: Any = None
        self._writing: tuple[Any, ...] = ()
        self._generation = 0
        self._retry_s = math.inf
        self._rested = False
        self.configure()

    def configure(self) -> None:
        """Take over the device's configuration, after a change of it."""
        config = self.device.config
        self._min_on_s: float = config["min_on_s"]
        self._min_off_s: float = config["min_off_s"]
        self._max_run_s: float = config["max_run_s"]
        interlocks = [read_interlock(item) for item in config["interlocks"]]
        self._conditions: list[Interlock] = [one for one in interlocks if one.kind != NEVER_WITH]

    def rested(self, since_s: float) -> None:
        """Before anything was driven: it was off since then; to be switched off does not begin that anew."""
        self.since_s = since_s
        self._rested = True

    # -- what is -----------------------------------------------------------------------------------

    @property
    def current(self) -> Any:
        """What it is being driven to, or was; None: not known."""
        return self.value if self._target is None else self._target

    @property
    def settled(self) -> bool:
        """Whether it is known what it is, and nothing else is on its way."""
        return self.value is not None and self._target is None

    @property
    def may_be_on(self) -> bool:
        """Whether it is on, or may be for all one knows."""
        return any(
            value is None or self.device.is_on(value) for value in (self.value, self.current, *self._writing)
        )

    @property
    def away(self) -> bool:
        """Whether it is, or may be, in another state than its safe one. Without a safe state: no."""
        return self.device.safe is not None and (self.value, self.current) != (self.device.safe,) * 2

    def state(self) -> State:
        """What the others may know of it."""
        if self.value is None:
            return State("in an unknown state", None, True, self.may_be_on)
        return State("good", self.value, True, self.may_be_on)

    def next_s(self) -> float:
        """When `due` wants to be asked next; infinite: when something happens."""
        times = [self.until_s]
        if self._target is None:
            times.append(self._retry_s)
        if self.later is not None:
            times.append(self.later.at_s)
        if self._runs():
            times.append(self.since_s + self._max_run_s)
        return min(times)

    def _runs(self) -> bool:
        """Whether its longest run is being counted."""
        on = (value is not None and self.device.is_on(value) for value in (self.value, self.current))
        return bool(self._max_run_s) and all(on)

    @property
    def remembers(self) -> bool:
        """Whether it has times that a restart must not cut short."""
        return bool(self._min_on_s or self._min_off_s or self._max_run_s)

    def broken(self) -> str:
        """Why it may not be away from its safe state now; empty when it may."""
        for condition in self._conditions:
            state = self._look(condition.device, condition.command)
            if state.quality != "good":
                return f"{condition.device} is {state.quality}"
            unlimited = condition.minimum is None and condition.maximum is None
            allowed = state.may_be_on if state.drives and unlimited else condition.allows(state.value)
            if not allowed:
                return f"{condition.device} is {_text(state.value)}, and must be {condition.limits()}"
        return ""

    # -- what is asked for -------------------------------------------------------------------------

    def command(
        self, value: Any, hold_s: float | None, now_s: float, who: str = "", why: str = ""
    ) -> Drive | None:
        """Somebody wants the device to have a value.

        Args:
            value: of its main command, checked.
            hold_s: how long it holds unless it is asked for again, in seconds; None: until the next command.
            now_s: the clock.
            who: who asks.
            why: the reason given.

        Returns:
            What to drive; None when the device has the value already, or will get it later.

        Raises:
            ClientError: it may not have it now; the sentence says why.
        """
        name, safe, is_on = self.device.name, self.device.safe, self.device.is_on
        if hold_s is not None and safe is None:
            raise ClientError(f"{name} has no safe state configured, so it takes no hold")
        away = safe is not None and value != safe
        reason = self.broken() if away else ""
        if reason:
            raise ClientError(f"{name} must stay in its safe state: {reason}")
        if is_on(value):
            self._check_on()
        left_s = self._minimum_left(value, now_s)
        if left_s > 0:
            if away or (safe is None and is_on(value)):
                state, least = ("off", self._min_off_s) if is_on(value) else ("on", self._min_on_s)
                raise ClientError(
                    f"{name} was switched {state} {now_s - self.since_s:.0f} s ago and stays so for at least"
                    f" {least:g} s: ask again in {math.ceil(left_s)} s"
                )
            self.later = Later(value, now_s + left_s, why, who)
            self._let_go()
            return None
        self.later = None
        if not is_on(value):
            self.tripped = False
        self._let_go()
        if away and hold_s is not None:
            self.until_s, self.held_by, self.hold_s = now_s + hold_s, who, hold_s
        if value == self.current and self.value is not None:
            return None
        return self._go(value, "command", why, who)

    def _check_on(self) -> None:
        """Raise ClientError when it may not be switched on."""
        name, current = self.device.name, self.current
        if self.tripped:
            raise ClientError(
                f"{name} was switched off after {self._max_run_s:g} s, its longest run: command it off first"
            )
        if current is not None and self.device.is_on(current):
            return
        for rival in self.rivals:
            if self._look(rival, "").may_be_on:
                raise ClientError(f"{name} must never be on together with {rival}, which is or may be on")

    def _minimum_left(self, value: Any, now_s: float) -> float:
        """How long until a minimum time lets it have *value*, in seconds; 0 or less: now."""
        is_on = self.device.is_on
        was_on = self.current is not None and is_on(self.current)
        if is_on(value) and not was_on:
            return self.since_s + self._min_off_s - now_s
        if was_on and not is_on(value):
            return self.since_s + self._min_on_s - now_s
        return 0.0

    def due(self, now_s: float) -> Drive | None:
        """What must be driven now without anybody asking; None: nothing."""
        device, current = self.device, self.current
        if device.safe is not None:
            if now_s >= self._retry_s and self._target is None:
                return self.safe_now("retry", "what it was last told failed")
            if current is not None and current != device.safe:
                if now_s >= self.until_s:
                    return self.safe_now("hold", f"the hold of {self.hold_s:g} s was not renewed")
                reason = self.broken()
                if reason:
                    return self.safe_now("interlock", reason)
        if self._runs():
            ran_s = now_s - self.since_s
            if ran_s >= self._max_run_s:
                self.tripped = True
                self.later = None
                self._let_go()
                return self._go(device.off, "max_run", f"on for {ran_s:.0f} s, its longest run")
        if self.later is not None and now_s >= self.later.at_s:
            value, _, why, who = self.later
            self.later = None
            return self._go(value, "later", why, who)
        return None

    def safe_now(self, event: str, why: str) -> Drive | None:
        """Drive the safe state, whatever else was asked for; None: there is none."""
        if self.device.safe is None:
            return None
        self.later = None
        self._let_go()
        return self._go(self.device.safe, event, why)

    def _let_go(self) -> None:
        self.until_s, self.held_by, self.hold_s = math.inf, "", 0.0

    def _go(self, value: Any, event: str, why: str, who: str = "") -> Drive:
        self._generation += 1
        self._target = value
        return Drive(value, event, why, who, self._generation)

    # -- what became of it -------------------------------------------------------------------------

    def wanted(self, drive: Drive) -> bool:
        """Whether a drive is still the last word."""
        return drive.generation == self._generation

    def begun(self, drive: Drive) -> None:
        """The device is being driven: it may get the value at any moment, wanted any more or not."""
        self._writing = (drive.value,)

    def ended(self) -> None:
        """Nothing is being written any more; `done` or `failed` says what came of it."""
        self._writing = ()

    def done(self, drive: Drive, now_s: float) -> None:
        """The device took it."""
        is_on = self.device.is_on
        rested = self._rested and not is_on(drive.value)
        self._rested = False
        if not rested and (self.value is None or is_on(self.value) != is_on(drive.value)):
            self.since_s = now_s
        self.value = drive.value
        if self.wanted(drive):
            self._target = None
            self._retry_s = math.inf

    def found(self, value: Any, now_s: float) -> None:
        """A device without a safe state is not ours alone: somebody else switched it."""
        if self.value is None or self.device.is_on(self.value) != self.device.is_on(value):
            self.since_s = now_s
        self.value = value

    def failed(self, now_s: float, drive: Drive | None = None) -> None:
        """The device did not take it, or is in another state than it was driven to: nobody knows any more.

        Args:
            now_s: the clock.
            drive: what it did not take; None when it was found to be in another state.
        """
        self.value = None
        if drive is not None and not self.wanted(drive):
            return
        self._target = None
        self.later = None
        self._let_go()
        self._generation += 1
        self._retry_s = now_s + RETRY_S if self.device.safe is not None else math.inf

    def reset(self) -> None:
        """Forget that it was switched off by ``max_run_s``."""
        self.tripped = False


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)
