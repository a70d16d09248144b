# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices: what one is and does.

A device has an oid, which says its kind (``sensor.temperature``, ``media.tv``), a name that is unique
in its server, a configuration that is checked against the template of its kind, and commands. JSON,
the object and the HTML form come from the one declaration::

    {"oid": "sensor.temperature", "name": "tank", "poll": 5.0, "log": true, "config": {"unit": "°C"}}

On the network a device is ``HOST.SERVER.NAME``, a part of it (the volume of a TV) is
``HOST.SERVER.NAME.PART``, and the part's oid is ``media.tv-volume``.

A kind of device is a class. A driver is a subclass that says how: `read`, `write`, and if it needs them
`open` and `close`. Templates and commands are inherited, so it declares only what is its own.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from raspy.common.devices.command import Command
from raspy.common.devices.declaration import LOG_FIELD, POLL_MAX_S, Declaration, read_object
from raspy.common.devices.fault import DeviceFault
from raspy.common.devices.field import show
from raspy.common.MDP import ClientError, NotFoundError


class BaseDevice(Declaration):
    """The base of all devices.

    Args:
        json: the device as JSON: text, or the object that it stands for; None for a device that is not
            configured yet.
        kwargs: keys of that object, as ``name="tank"``.

    Raises:
        ClientError: the JSON is not a valid device of this kind.

    Attributes:
        oid, info, fields, templates, commands, main, poll, log: see `Declaration`.
        config: the configuration by key, with the ``name``; all of the template's keys are there.
        subdevices: its parts by name; None if it has none.
        server: the name of the device server that offers the kind, such as ``fake``; ``""`` for the
            families, which need a driver.
        fast: `read` and `write` return within a millisecond, whatever happens, and need no thread.
        timeout_s: how long `read` or `write` may take before the device is at fault.
    """

    commands: dict[str, Command] = {
        "config": Command(
            type="Json", info="the configuration", callback=lambda device, value: device.cmd_config(value)
        ),
        "poll": Command(
            type="Float", info="how often it is read", unit="s", minimum=-1, maximum=POLL_MAX_S,
            callback=lambda device, value: device.cmd_poll(value),
        ),
        "log": Command(
            type="Bool", info=LOG_FIELD.info, callback=lambda device, value: device.cmd_log(value)
        ),
        "reset": Command(
            type="Button", info="forget values and faults and begin anew", writeonly=True,
            callback=lambda device, value: device.cmd_reset(value),
        ),
        "commands": Command(
            type="Json", info="the commands there are", readonly=True,
            callback=lambda device, value: device.cmd_commands(value),
        ),
    }  # fmt: skip
    config: dict[str, Any] = {"name": None}
    subdevices: dict[str, SubDevice] | None = None
    server = ""
    fast = False
    timeout_s = 5.0

    def __init__(self, json: Mapping[str, Any] | str | bytes | None = None, **kwargs: Any) -> None:
        self.config = {"name": None}
        self.commands = {name: copy.copy(command) for name, command in type(self).commands.items()}
        if json is not None or kwargs:
            self.json = {**read_object({} if json is None else json, "the device"), **kwargs}

    @property
    def name(self) -> str:
        """The name of the device, unique in its server."""
        return str(self.config["name"])

    @property
    def template(self) -> Mapping[str, Any]:
        """The template of the device: the fields of its configuration by name."""
        return self.templates[self.oid]

    @property
    def json(self) -> dict[str, Any]:
        """The device for JSON; set it to configure the device (checked first)."""
        config = {key: value for key, value in self.config.items() if key != "name"}
        return {
            "oid": self.oid,
            "name": self.config["name"],
            "poll": self.poll,
            "log": self.log,
            "config": config,
        }  # fmt: skip

    @json.setter
    def json(self, json: Any) -> None:
        checked = self.check(json)
        self.config = {"name": checked["name"], **checked["config"]}
        self.poll = checked["poll"]
        self.log = checked["log"]
        self.configured()

    def configured(self) -> None:
        """Called when the device has its configuration. A subclass that overrides this calls it too."""

    def fullname(self, prefix: str) -> str:
        """The name on the network.

        Args:
            prefix: the server's, ``routing_key(hostname, service)``.
        """
        return f"{prefix}.{self.name}"

    @classmethod
    def new(cls, json: Mapping[str, Any] | str | bytes | None = None, **kwargs: Any) -> BaseDevice:
        """Create a new device of this kind and return it; arguments and errors as of the class."""
        return cls(json, **kwargs)

    # -- what a driver says ------------------------------------------------------------------------

    def open(self) -> None:
        """Get ready to be read and written. Raises DeviceFault or OSError; it is tried again then."""

    def close(self) -> None:
        """Let go of what `open` took."""

    def read(self) -> Any:
        """Measure.

        Returns:
            The main command's value, or a dict of values by command. A value may be a `DeviceFault`.

        Raises:
            DeviceFault: there is no value. (An OSError counts as one, with its words.)
        """
        raise DeviceFault("can't be read")

    def write(self, command: str, value: Any) -> Any:
        """Drive the device.

        Args:
            command: the command's name; of a part's it is ``part.command``.
            value: its value, checked; None for a Button.

        Returns:
            What the command answers, for the one who sent it; None for nothing.

        Raises:
            DeviceFault: it did not take it. (An OSError counts as one, with its words.)
        """
        raise DeviceFault(f"does not take {command}")

    # -- what a server does ------------------------------------------------------------------------

    def do_poll(self) -> dict[str, Any]:
        """Grab the values and return them.

        Returns:
            By command (a part's as ``part.command``): the value, or the `DeviceFault` it has.

        Raises:
            DeviceFault, OSError: there is none at all.
        """
        raw = self.read()
        if not isinstance(raw, dict):
            raw = {self.main: raw}
        values: dict[str, Any] = {}
        for name, value in raw.items():
            command = self.find(name)
            try:
                if isinstance(value, DeviceFault):
                    raise value
                values[name] = command.value = self.accept(command, value)
            except DeviceFault as fault:
                values[name] = fault
                command.value = None
        return values

    def accept(self, command: Command, value: Any) -> Any:
        """What is published for a value that `read` gave: the one place where it is looked at.

        Raises:
            DeviceFault: it is implausible.
        """
        try:
            return command.check(value)
        except ClientError as error:
            raise DeviceFault(f"read an implausible value: {error}") from None

    def find(self, name: str) -> Command:
        """The command of that name, ``command`` or ``part.command``.

        Raises:
            NotFoundError: there is no such part.
            ClientError: there is no such command.
        """
        part, separator, rest = name.partition(".")
        if separator:
            return self.part(part).find(rest)
        command = self.commands.get(name)
        if command is None:
            raise ClientError(f"{self.name} has no command {show(name)}; it has: {', '.join(self.commands)}")
        return command

    def part(self, name: str) -> SubDevice:
        """The subdevice, by its name or its oid.

        Raises:
            NotFoundError: there is none.
        """
        for key, device in (self.subdevices or {}).items():
            if name in (key, device.oid):
                return device
        parts = ", ".join(self.subdevices or ["none"])
        raise NotFoundError(f"{self.name} has no part {show(name)}; it has: {parts}")

    def exec_cmd(self, oid: str, command: str, value: Any = None) -> Any:
        """Execute a command, now and in this thread.

        Args:
            oid: the device's oid, or that of one of its parts (``media.tv-volume``).
            command: the command's name.
            value: its value; None to read it.

        Returns:
            The value of the command; for a command that answers something, that.

        Raises:
            ClientError: no such part or command, or the value is not allowed.
            DeviceFault: the device did not do it.
        """
        if oid != self.oid:
            return self.part(oid).exec_cmd(oid, command, value)
        found = self.find(command)
        if found.callback is not None:
            return found.callback(self, value)
        if value is None and found.type != "Button":
            if found.writeonly:
                raise ClientError(f"{self.name} {command}: can't be read, only sent")
            return self._read_one(command)
        if found.readonly:
            raise ClientError(f"{self.name} {command}: can only be read")
        checked = found.check(value)
        answer = self.write(command, checked)
        found.value = checked
        return checked if answer is None else answer

    def _read_one(self, command: str) -> Any:
        value = self.do_poll().get(command, self.commands[command].value)
        if isinstance(value, DeviceFault):
            raise value
        return value

    def cmd_config(self, value: Any = None) -> dict[str, Any]:
        """The configuration; with a value (an object of the fields to change) it is changed first."""
        if value is not None:
            changes = read_object(value, "config")
            self.json = {**self.json, "config": {**self.json["config"], **changes}}
        return self.config

    def cmd_poll(self, value: Any = None) -> float:
        """The poll interval in seconds; with a value it is changed first."""
        if value is not None:
            self.poll = self.check_poll(value)
        return self.poll

    def cmd_log(self, value: Any = None) -> bool:
        """Whether the logger keeps its values; with a value it is changed first."""
        if value is not None:
            self.log = LOG_FIELD.check(value)
        return self.log

    def cmd_reset(self, value: Any = None) -> None:
        """Forget the values. A subclass that overrides this calls it too."""
        for command in self.commands.values():
            command.value = None

    def cmd_commands(self, value: Any = None) -> dict[str, Any]:
        """All commands as JSON, the parts' as ``part.command``."""
        if value is not None:
            raise ClientError(f"{self.name} commands: can only be read")
        commands = {name: command.to_json() for name, command in self.commands.items()}
        for part, device in (self.subdevices or {}).items():
            commands.update({f"{part}.{name}": own.to_json() for name, own in device.commands.items()})
        return commands


class SubDevice(BaseDevice):
    """A part of a device. The device drives it: `write` gets its commands as ``part.command``.

    Args:
        parent: the device that it is a part of.
        part: its name in it; its oid is the parent's, ``-``, and this.
    """

    def __init__(self, parent: BaseDevice, part: str) -> None:
        super().__init__()
        self.parent = parent
        self.part_name = part
        # What the device has of its own: a part is configured and read with the whole.
        self.commands = {name: command for name, command in self.commands.items() if command.callback is None}

    @property
    def name(self) -> str:
        """The device's name, a dot, and the part's."""
        return f"{self.parent.name}.{self.part_name}"

    def read(self) -> Any:
        """The part's values among those that the device reads."""
        prefix = self.part_name + "."
        values = self.parent.read()
        if not isinstance(values, dict):
            return {}
        return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}

    def write(self, command: str, value: Any) -> Any:
        """Have the device do it."""
        return self.parent.write(f"{self.part_name}.{command}", value)


class DeviceRegister:
    """The kinds of devices that a server offers. All must be registered in its main module."""

    def __init__(self, types: Iterable[type[BaseDevice]] = ()) -> None:
        self.types: dict[str, type[BaseDevice]] = {}
        for device_type in types:
            self.register(device_type)

    def register(self, device_type: type[BaseDevice]) -> None:
        """Register a kind under its oid; a later one of the same oid takes its place.

        Raises:
            TypeError: it is not a subclass of BaseDevice, or a part.
        """
        if not (isinstance(device_type, type) and issubclass(device_type, BaseDevice)):
            raise TypeError(f"{device_type!r} is not a subclass of BaseDevice")
        if issubclass(device_type, SubDevice) or device_type is BaseDevice:
            raise TypeError(f"{device_type.__name__} is no device of its own")
        self.types[device_type.oid] = device_type

    def find(self, json: Any) -> type[BaseDevice]:
        """The kind that a device's JSON (text, or the object) names.

        Raises:
            ClientError: it is no object, or its oid is not known here.
        """
        oid = read_object(json, "the device").get("oid")
        if not isinstance(oid, str) or oid not in self.types:
            raise ClientError(f"oid: {show(oid)} is not known here; allowed: {', '.join(sorted(self.types))}")
        return self.types[oid]

    def check(self, json: Any = None) -> dict[str, Any]:
        """Check that the JSON is a valid device of a kind that is registered.

        Returns:
            The object as it is kept.

        Raises:
            ClientError: it is not; the sentence names the field and what is allowed.
        """
        return self.find(json).check(json)

    def new(self, **kwargs: Any) -> BaseDevice:
        """Create a new device and return it.

        Args:
            kwargs: the keys of its JSON, as ``oid="sensor.temperature", name="tank"``.

        Raises:
            ClientError: it would not be a valid device.
        """
        return self.find(kwargs).new(kwargs)

    def templates(self) -> dict[str, Any]:
        """By oid: what the kind is, the form of its configuration, and its commands."""
        described: dict[str, Any] = {}
        for oid, device_type in sorted(self.types.items()):
            described[oid] = {
                "oid": oid,
                "info": device_type.info,
                "main": device_type.main,
                "form": device_type.form(),
                "commands": device_type().cmd_commands(),
            }
        return described


__all__ = ["BaseDevice", "Command", "DeviceFault", "DeviceRegister", "SubDevice"]
