# SPDX-License-Identifier: GPL-3.0-or-later
"""Media devices. Families only: a server's driver adds `read` and `write`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from raspy.common.devices.actuator import ActuatorDevice, safe_field
from raspy.common.devices.command import Command
from raspy.common.devices.device import BaseDevice, SubDevice
from raspy.common.devices.field import Field


class MediaDevice(BaseDevice):
    """The base of media devices."""

    oid = "media"
    info = "a media device"


class MediaCamera(MediaDevice):
    """A camera. A driver's ``write("photo", None)`` takes one and returns where it is."""

    oid = "media.camera"
    info = "a camera"
    main = "image"
    poll = 0.0
    fields = (
        Field("width", "Int", 1280, "width of a photo", unit="px", minimum=16, maximum=16384),
        Field("height", "Int", 720, "height of a photo", unit="px", minimum=16, maximum=16384),
    )
    commands = {
        "photo": Command(type="Button", info="take a photo", writeonly=True),
        "image": Command(type="String", info="where the last photo is", readonly=True),
    }


class TVVolume(SubDevice):
    """How loud a TV is."""

    oid = "media.tv-volume"
    info = "the volume of a TV"
    main = "level"
    commands = {
        "level": Command(type="Int", info="how loud", unit="%", minimum=0, maximum=100),
        "up": Command(type="Button", info="louder", writeonly=True),
        "down": Command(type="Button", info="quieter", writeonly=True),
        "mute": Command(type="Bool", info="silent"),
    }


class TVChannel(SubDevice):
    """What a TV shows."""

    oid = "media.tv-channel"
    info = "the channel of a TV"
    main = "number"
    commands = {
        "number": Command(type="Int", info="which channel", minimum=0, maximum=9999),
        "up": Command(type="Button", info="the next channel", writeonly=True),
        "down": Command(type="Button", info="the channel before", writeonly=True),
    }


class MediaTV(ActuatorDevice, MediaDevice):
    """A TV: its power, and as parts its volume and its channel.

    A driver's `write` gets ``power``, ``volume.level``, ``channel.up`` and so on, and its `read` may
    return a dict of the same names. A TV is left as it is when the server starts, unless ``safe`` is set.
    """

    oid = "media.tv"
    info = "a TV"
    main = "power"
    fields: ClassVar[tuple[Field, ...]] = (safe_field("Bool", None),)
    commands = {"power": Command(type="Bool", info="on or off")}

    def __init__(self, json: Mapping[str, Any] | str | bytes | None = None, **kwargs: Any) -> None:
        super().__init__(json, **kwargs)
        self.subdevices = {"volume": TVVolume(self, "volume"), "channel": TVChannel(self, "channel")}
