# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices that drive something, and what keeps them from doing harm.

An actuator has one main command (a switch's ``state``, a dimmer's ``level``). Its configuration says
what the server that owns it sees to, whoever commands it:

``safe``
    the value it gets when the server starts and stops, when a hold is not renewed, and when an interlock
    is broken; null leaves the device as it is, and then it takes no hold.
``min_on_s``, ``min_off_s``
    once switched on (off) it stays so for this long; a safe state does not wait for it.
``max_run_s``
    on for so long without a break, it is switched off, and stays off until it was commanded off.
``interlocks``
    see interlock.py.
"""

from __future__ import annotations

from typing import Any, ClassVar

from raspy.common.devices.declaration import POLL_MAX_S, POLL_MIN_S
from raspy.common.devices.device import BaseDevice, DeviceFault
from raspy.common.devices.field import Field
from raspy.common.devices.interlock import NEVER_WITH, ONLY_WHILE, check_interlocks
from raspy.common.MDP import ClientError

TIME_MAX_S = 7 * 86400.0
"""The longest time that may be configured or held, in seconds."""


def safe_field(type: str, default: Any, **limits: Any) -> Field:
    """The field `safe` of a family of actuators.

    Args:
        type: the type of the main command.
        default: the safe value where none is configured; None: the device is left as it is.
        limits: unit, minimum and maximum, as the main command has them.
    """
    info = "its value when nobody is in charge; null: it is left as it is"
    return Field("safe", type, default, info, nullable=True, **limits)


class ActuatorDevice(BaseDevice):
    """The base of all devices that drive something.

    Attributes:
        off: the value of the main command that means "not running"; every other one is "on".
    """

    off: Any = False
    # A device that can't be read back shows what was written last; that is published as often.
    poll = 10.0
    fields: ClassVar[tuple[Field, ...]] = (
        Field("min_on_s", "Float", 0.0, "once on, it stays on for at least this long", unit="s",
              minimum=0, maximum=TIME_MAX_S),
        Field("min_off_s", "Float", 0.0, "once off, it stays off for at least this long", unit="s",
              minimum=0, maximum=TIME_MAX_S),
        Field("max_run_s", "Float", 0.0, "switched off after being on for this long; 0 for no limit",
              unit="s", minimum=0, maximum=TIME_MAX_S),
        Field("interlocks", "Json", [], 'a list of {"never_with": NAME} and {"only_while": NAME, ...}',
              checker=check_interlocks),
    )  # fmt: skip

    @property
    def safe(self) -> Any:
        """The safe value of the main command; None: the device is left as it is."""
        return self.config.get("safe")

    def is_on(self, value: Any) -> bool:
        """Whether *value* of the main command means "running"."""
        return bool(value != self.off)

    def words(self, value: Any) -> str:
        """A value of the main command for a sentence."""
        if isinstance(value, bool):
            return "on" if value else "off"
        return "unknown" if value is None else f"{value}{self.commands[self.main].unit}"

    @classmethod
    def check_poll(cls, poll: object) -> float:
        """The poll interval in seconds; an actuator has one, for its state would look live without end."""
        seconds = super().check_poll(poll)
        if seconds <= 0:
            raise ClientError(
                f"poll: must be from {POLL_MIN_S:g} to {POLL_MAX_S:g} s, not {seconds:g}: with each poll"
                " an actuator's state is published"
            )
        return seconds

    @classmethod
    def check_config(cls, config: dict[str, Any]) -> None:
        super().check_config(config)
        safe = config.get("safe")
        runs_when_safe = safe is not None and safe != cls.off
        if runs_when_safe and config["max_run_s"]:
            raise ClientError("config.max_run_s: must be 0 where the safe state is on: it would have no end")
        if config["max_run_s"] and config["min_on_s"] > config["max_run_s"]:
            raise ClientError("config.min_on_s: must not be above max_run_s")
        if safe is None and any(ONLY_WHILE in item for item in config["interlocks"]):
            raise ClientError(f"config.interlocks: {ONLY_WHILE!r} needs a safe state to go to")
        if runs_when_safe and any(NEVER_WITH in item for item in config["interlocks"]):
            raise ClientError(f"config.interlocks: {NEVER_WITH!r} can't be kept where the safe state is on")

    def read(self) -> Any:
        """What was written last: most actuators can't be asked. A driver that can ask overrides this.

        Raises:
            DeviceFault: nothing was written yet.
        """
        value = self.commands[self.main].value
        if value is None:
            raise DeviceFault("its state is not known: it was not commanded yet")
        return value

    def cmd_reset(self, value: Any = None) -> None:
        """Forget the values, but for what was written last, which can't be measured anew."""
        last = self.commands[self.main].value
        super().cmd_reset(value)
        self.commands[self.main].value = last
