# SPDX-License-Identifier: GPL-3.0-or-later
"""Lights. Families only: a server's driver adds `write`."""

from __future__ import annotations

from typing import ClassVar

from raspy.common.devices.actuator import ActuatorDevice, safe_field
from raspy.common.devices.command import Command
from raspy.common.devices.field import Field


class LightDevice(ActuatorDevice):
    """A light that is on or off."""

    oid = "light"
    info = "a light"
    main = "state"
    fields: ClassVar[tuple[Field, ...]] = (safe_field("Bool", False),)
    commands = {"state": Command(type="Bool", info="on or off", datasource="GAUGE")}


class LightDimmer(ActuatorDevice):
    """A light, or anything else, with a level from 0 (off) to 100 %."""

    oid = "light.dimmer"
    info = "a dimmer"
    main = "level"
    off = 0.0
    fields: ClassVar[tuple[Field, ...]] = (safe_field("Float", 0.0, unit="%", minimum=0, maximum=100),)
    commands = {
        "level": Command(
            type="Float", info="how bright", unit="%", minimum=0, maximum=100, datasource="GAUGE"
        ),
    }


class LightRGB(ActuatorDevice):
    """A light with a colour; black is off."""

    oid = "light.rgb"
    info = "a coloured light"
    main = "color"
    off = "#000000"
    fields: ClassVar[tuple[Field, ...]] = (safe_field("Color", "#000000"),)
    commands = {"color": Command(type="Color", info="the colour, as #rrggbb")}
