# SPDX-License-Identifier: GPL-3.0-or-later
"""What a name means. A device is HOST/SERVER/DEVICE, with /COMMAND after it for one of its values.

Of HOST and SERVER either or both may be left out while what is left is clear: ``tank``, ``fake/tank``,
``pi/tank``. The same holds for what belongs to a server: the cron job ``morning``, or ``pi/morning``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from raspy.ctl.connection import Bus
from raspy.ctl.errors import CtlError, WrongUse, missing

TREE = "/device/"


class Device(NamedTuple):
    """A device on the bus.

    Args:
        host: the machine.
        server: whose device it is.
        name: its name; with a dot that of a part.
    """

    host: str
    server: str
    name: str

    @property
    def path(self) -> str:
        """Its whole name."""
        return "/".join(self)

    @property
    def service(self) -> str:
        """Who answers for it."""
        return f"{self.host}.{self.server}.devices"


class Value(NamedTuple):
    """A value of a device, or with an empty command its main one."""

    device: Device
    command: str

    @property
    def path(self) -> str:
        """Its whole name."""
        return f"{self.device.path}/{self.command}" if self.command else self.device.path


def published(values: Iterable[str]) -> dict[Device, list[str]]:
    """The devices of some keys of the tree, each with its commands."""
    found: dict[Device, list[str]] = {}
    for key in values:
        parts = key.split("/")
        if len(parts) == 6 and key.startswith(TREE):
            found.setdefault(Device(*parts[2:5]), []).append(parts[5])
    return found


def device_servers(bus: Bus) -> list[str]:
    """The services ``devices``: those that are there, and of sleeping servers those with devices configured.

    To ask one of the latter wakes it.
    """
    found = {name for name in bus.services() if name.endswith(".devices")}
    asleep = bus.asleep()
    if asleep:
        try:
            stored = set(bus.names("titanic.store", "list"))
            for server in asleep & stored:
                if "devices" in bus.names("titanic.store", "list", server):
                    found.add(f"{server}.devices")
        except CtlError:
            # Without titanic they stay asleep; what they last published is known all the same.
            pass
    return sorted(found)


def all_devices(bus: Bus, known: Mapping[Device, list[str]]) -> tuple[dict[Device, list[str]], list[str]]:
    """The devices of the tree and of all servers; and a sentence for each server that did not tell."""
    found, silent = dict(known), []
    for service in device_servers(bus):
        host, server, _ = service.rsplit(".", 2)
        try:
            for name in bus.names(service, "list_keys"):
                found.setdefault(Device(host, server, name), [])
        except CtlError as error:
            silent.append(str(error))
    return found, silent


def matching(text: str, devices: Mapping[Device, list[str]]) -> list[Value]:
    """What *text* may mean: devices of that name; when there are none, values."""
    parts = text.removeprefix(TREE).strip("/").split("/")
    found = [Value(device, "") for device in devices if _fits(parts, device)]
    if not found and len(parts) > 1:
        found = [Value(device, parts[-1]) for device in devices if _fits(parts[:-1], device)]
    return sorted(found)


def _fits(parts: list[str], device: Device) -> bool:
    if not 1 <= len(parts) <= len(device) or parts[-1] != device.name:
        return False
    before = parts[:-1]
    return not before or before in ([device.host, device.server], [device.host], [device.server])


def find(bus: Bus, text: str, known: Mapping[Device, list[str]] | None = None) -> Value:
    """The one device or value that *text* means.

    Args:
        bus: where to look.
        text: what was written.
        known: devices that are known already, to look at first; if left out, all are looked at.

    Raises:
        NotFound: there is none.
        WrongUse: there are several.
    """
    found = matching(text, known) if known is not None else []
    if not found:
        devices, silent = all_devices(bus, known if known is not None else published(bus.values()))
        found = matching(text, devices)
        if not found and silent:
            raise CtlError(f"there is no device {text!r} among those that are known, and {silent[0]}")
        if not found:
            raise missing("device", text, (device.path for device in devices))
    if len(found) > 1:
        choices = ", ".join(value.path for value in found)
        raise WrongUse(f"{text!r} can mean several: {choices}")
    return found[0]


def describe(bus: Bus, device: Device) -> dict[str, Any]:
    """What its server tells of a device, its commands with it; of a part, that of the whole device."""
    found: dict[str, Any] = bus.json(device.service, "get", device.name.partition(".")[0])
    return found


def main_command(described: Mapping[str, Any], device: Device) -> str:
    """The command that a device alone stands for: its main one, of a part its first."""
    _, dot, part = device.name.partition(".")
    if not dot:
        return str(described["main"])
    own = [key.removeprefix(f"{part}.") for key in described["commands"] if key.startswith(f"{part}.")]
    if not own:
        parts = {key.partition(".")[0] for key in described["commands"] if "." in key}
        raise missing(f"part of {device.name.partition('.')[0]}", part, parts)
    return str(own[0])


def listed_command(described: Mapping[str, Any], device: Device, command: str) -> dict[str, Any]:
    """What is told of a command of a device: ``type``, ``unit``, ``choices``...

    Raises:
        NotFound: it has no such command.
        WrongUse: that is no command, but something that is configured.
    """
    name, _, part = device.name.partition(".")
    key = f"{part}.{command}" if part else command
    commands = described["commands"]
    if key in described.get("config", {}):
        raise WrongUse(f"{key} is no command but configured: raspyctl devices config {name} {key}=VALUE")
    if key not in commands:
        raise missing(f"command of {name}", key, commands)
    found: dict[str, Any] = commands[key]
    return found


def find_service(bus: Bus, text: str) -> str:
    """The service that *text* means: its whole name, or an end of it that is clear, as ``core.cron``.

    Raises:
        NotFound: there is none.
        WrongUse: there are several.
    """
    services = bus.services()
    # Of a server that sleeps only two services are listed; it may have more.
    if text in services or text.startswith("mmi.") or text.rpartition(".")[0] in bus.asleep():
        return text
    found = [name for name in services if name.endswith(f".{text}")]
    if not found:
        raise missing("service", text, services)
    if len(found) > 1:
        raise WrongUse(f"{text!r} can mean several: {', '.join(found)}")
    return found[0]
