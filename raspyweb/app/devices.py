# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices on the bus, as the pages show them.

A server that sleeps is left asleep: its devices are those that the key/value map still knows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import abort

from raspyweb.app.bus import Bus, BusAway, Refused

SUFFIX = ".devices"
SUBTREE = "/device/"

LIST_S = 2.0
"""How long a page with all devices waits for one server, in seconds."""

CONFIGURING = ("config", "poll", "log", "commands")
"""Commands that every device has, and that have a place of their own on its page."""


@dataclass
class Device:
    """A device, or what is known of it.

    Args:
        server: ``HOST.SERVER``.
        name: its name there.
        oid: its kind; empty if only its values are known.
        info: the kind in a sentence.
        main: its main command; ``""`` if there is none.
        values: its values by command, a part's as ``volume.level``, each as in the key/value map.
        commands: what can be done with it, by name, as its declaration says.
        json: all that its server says of it.
    """

    server: str
    name: str
    oid: str = ""
    info: str = ""
    main: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    commands: Mapping[str, Any] = field(default_factory=dict)
    json: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """``HOST.SERVER.NAME``."""
        return f"{self.server}.{self.name}"

    @property
    def category(self) -> str:
        """The first word of its kind: ``sensor``, ``switch``, ``light``, ..."""
        return self.oid.partition(".")[0]

    @property
    def state(self) -> Mapping[str, Any] | None:
        """How it stands with an actuator: its safe value, who holds it; None for other devices."""
        state = self.json.get("state")
        return state if isinstance(state, Mapping) else None

    @property
    def control(self) -> Mapping[str, Any] | None:
        """The declaration of the main command, if it can be sent."""
        command = self.commands.get(self.main)
        return command if self.state is not None and command and not command.get("readonly") else None

    def key(self, command: str) -> str:
        """The key of a value in the key/value map."""
        part, _dot, name = command.rpartition(".")
        whole = f"{self.name}.{part}" if part else self.name
        return f"{SUBTREE}{self.server.replace('.', '/', 1)}/{whole}/{name}"

    def series(self, command: str) -> str:
        """The key of its history in the logger; empty if it has none."""
        declared = self.commands.get(command)
        known = declared is None or bool(declared.get("datasource"))
        return self.key(command).removeprefix(SUBTREE) if known and self.json.get("log", True) else ""

    def shown(self) -> list[str]:
        """The commands whose values are shown, the main one first, then as they are declared."""
        declared = [self.main, *self.commands]
        known = {command: place for place, command in reversed(list(enumerate(declared)))}
        return sorted(self.values, key=lambda command: (known.get(command, len(declared)), command))

    def sendable(self) -> dict[str, Mapping[str, Any]]:
        """The commands that can be sent, the main one first; not those that configure it."""
        found = [name for name, one in self.commands.items() if not one.get("readonly")]
        ordered = sorted(found, key=lambda name: name != self.main)
        return {name: self.commands[name] for name in ordered if name not in CONFIGURING}

    @property
    def tile(self) -> str:
        """The command that its tile shows; empty if there is no value."""
        shown = self.shown()
        return shown[0] if shown else self.main


@dataclass
class Server:
    """A server of devices.

    Args:
        name: ``HOST.SERVER``.
        devices: its devices, by name.
        trouble: why its devices are only what the key/value map knows; empty if they are not.
        asleep: it is not running, and starts when it is asked.
    """

    name: str
    devices: list[Device]
    trouble: str = ""
    asleep: bool = False


def servers(bus: Bus) -> list[Server]:
    """All servers of devices, with their devices.

    Raises:
        BusAway: the broker is away.
    """
    awake = bus.awake()
    known = {name.removesuffix(SUFFIX) for name in bus.services() if name.endswith(SUFFIX)}
    remembered = _remembered(bus.values.snapshot(SUBTREE))
    return [_server(bus, name, awake, remembered) for name in sorted(known | set(remembered))]


def _server(bus: Bus, name: str, awake: set[str], remembered: Mapping[str, list[Device]]) -> Server:
    if name + SUFFIX not in awake:
        return Server(name, remembered.get(name, []), asleep=True)
    try:
        listed = bus.json(name + SUFFIX, "list", timeout_s=LIST_S)
        kinds = bus.kinds(name + SUFFIX)
    except (BusAway, Refused) as error:
        return Server(name, remembered.get(name, []), str(error))
    return Server(name, [_device(name, one, json, kinds) for one, json in sorted(listed.items())])


def _device(server: str, name: str, json: Mapping[str, Any], kinds: Mapping[str, Any]) -> Device:
    oid = str(json.get("oid", ""))
    kind = kinds.get(oid, {})
    return Device(
        server, name, oid, kind.get("info", ""), json.get("main", ""), dict(json.get("values", {})),
        json.get("commands") or kind.get("commands", {}), json,
    )  # fmt: skip


def _remembered(values: Mapping[str, Any]) -> dict[str, list[Device]]:
    """By server, what the map knows of devices."""
    found: dict[str, dict[str, Device]] = {}
    for key, body in values.items():
        parts = key.removeprefix(SUBTREE).split("/")
        if len(parts) != 4 or not isinstance(body, Mapping):
            continue
        host, server, whole, command = parts
        name, _dot, part = whole.partition(".")
        devices = found.setdefault(f"{host}.{server}", {})
        device = devices.setdefault(name, Device(f"{host}.{server}", name))
        device.values[f"{part}.{command}" if part else command] = body
    return {server: sorted(devices.values(), key=lambda one: one.name) for server, devices in found.items()}


def existing(bus: Bus, server: str) -> str:
    """The service of a server's devices; a page that says so if there is none.

    Args:
        server: ``HOST.SERVER``, as it stands in an address.
    """
    service = server + SUFFIX
    if service not in bus.services():
        abort(404)
    return service


def find(bus: Bus, server: str, name: str) -> Device:
    """One device with all that its server says of it; wakes the server.

    Raises:
        BusAway: it does not answer.
        Refused: there is no such device.
    """
    service = existing(bus, server)
    return _device(server, name, bus.json(service, "get", name), bus.kinds(service))


def steer(bus: Bus, server: str, name: str, command: str, value: str, hold_s: float, why: str) -> Any:
    """Send a command to a device.

    Args:
        command: its name; a part's is ``volume.level``.
        value: as typed; empty for a button.
        hold_s: for how long, in seconds; 0 for no limit.
        why: the reason, for the journal.

    Returns:
        What the server answers.

    Raises:
        BusAway: it does not answer.
        Refused: it does not take the command.
    """
    part, _dot, plain = command.rpartition(".")
    whole = f"{name}.{part}" if part else name
    options = {**({"hold": hold_s} if hold_s else {}), **({"why": why} if why else {})}
    frames = [whole, plain, value, json.dumps(options, ensure_ascii=False)]
    return bus.json(existing(bus, server), "exec", *frames)


def forms(
    description: Sequence[Mapping[str, Any]], given: Mapping[str, Any] | None
) -> Iterator[dict[str, Any]]:
    """The fields of a form, with what the device has in them.

    Args:
        description: the fields, as ``templates`` describes them.
        given: the device's JSON; None for a new one, which gets the defaults.
    """
    for one in description:
        section = (given or {}).get("config", {}) if one["section"] else (given or {})
        value = one["default"] if given is None else section.get(one["name"], one["default"])
        if one["type"] == "json":
            value = json.dumps(value, ensure_ascii=False)
        elif isinstance(value, float) and value.is_integer():
            value = int(value)
        yield {**one, "value": "" if value is None else value}
