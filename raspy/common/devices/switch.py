# SPDX-License-Identifier: GPL-3.0-or-later
"""Switches: on or off, open or closed. Families only: a server's driver adds `write`."""

from __future__ import annotations

from typing import ClassVar

from raspy.common.devices.actuator import ActuatorDevice, safe_field
from raspy.common.devices.command import Command
from raspy.common.devices.field import Field


class SwitchDevice(ActuatorDevice):
    """A switch. Its ``state`` is true (on) or false (off); safe is off unless it is configured."""

    oid = "switch"
    info = "a switch"
    main = "state"
    fields: ClassVar[tuple[Field, ...]] = (safe_field("Bool", False),)
    commands = {"state": Command(type="Bool", info="on or off", datasource="GAUGE")}


class SwitchRelay(SwitchDevice):
    """A relay, and whatever hangs on it: a heater, a lamp, a fan."""

    oid = "switch.relay"
    info = "a relay"


class SwitchPump(SwitchDevice):
    """A pump. Where life depends on it (a filter's), configure ``"safe": true``."""

    oid = "switch.pump"
    info = "a pump"


class SwitchValve(SwitchDevice):
    """A valve; true is open. It also understands ``open`` and ``closed``."""

    oid = "switch.valve"
    info = "a valve"
    commands = {"state": Command(type="Bool", info="open or closed", datasource="GAUGE")}
