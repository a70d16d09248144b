# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of all device servers: the service ``devices``, and the engine behind it."""

from __future__ import annotations

import time
from typing import Any

from raspy.common import plugins
from raspy.common.device_server.configuration import Configuration
from raspy.common.device_server.engine import Engine
from raspy.common.device_server.entry import GOOD, Entry
from raspy.common.device_server.ledger import FILE, Ledger, boottime
from raspy.common.device_server.options import read_options
from raspy.common.device_server.reporter import Reporter
from raspy.common.devices.declaration import read_object
from raspy.common.devices.device import BaseDevice, Command, DeviceRegister
from raspy.common.devices.fault import DeviceFault
from raspy.common.MDP import ClientError
from raspy.common.server import Server
from raspy.common.statistics import SNMP, SNMPCounter
from raspy.common.store import Store

COPY = "devices.json"
"""The local copy of the configuration, in the server's data folder."""

RELOAD_S = 5.0
"""How often titanic is asked again for a configuration that came from the local copy."""

# Commands that change the configuration, which is checked and stored as with "update".
CONFIGURING = ("config", "poll", "log")


class DeviceServer(Server):
    """A server of devices; see the package.

    Args: those of ``Server``.

    Attributes:
        DEVICES: the kinds of devices that it offers, drivers all.
        engine: polls and drives the devices.
        kinds: the kinds of devices, those of plug-ins as well.
        configuration: what is configured.
        local: what is configured comes from the local copy, without asking titanic.
    """

    SERVICE = "devices"
    DEVICES: tuple[type[BaseDevice], ...] = ()
    local = False

    def __init__(
        self, hostname: str = "localhost", service: str = "devices", *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(hostname, service, *args, **kwargs)
        self.kinds = DeviceRegister(self.DEVICES)
        self._store: Store | None = None
        ledger = Ledger(self.data_dir and self.data_dir / FILE, self.log)
        self._reporter = Reporter(f"{hostname}/{service}", self._publish_value, self.log, boottime)
        self.engine = Engine(self._reporter, ledger, self.log, f"{service}-device")
        self._n_polls = self.add_statistic(SNMPCounter("devices.polls", "devices read"))
        self._n_faults = self.add_statistic(SNMPCounter("devices.faults", "reads that gave no value"))
        self._n_late = self.add_statistic(SNMPCounter("devices.late", "polls that were skipped"))
        self._n_lapses = self.add_statistic(
            SNMPCounter("devices.lapses", "actuators switched by a hold, a condition or the longest run")
        )
        self._n_devices = self.add_statistic(SNMP("devices.devices", "devices there are"))

    # -- what a subclass may add to ------------------------------------------------------------------

    def default_devices(self) -> list[dict[str, Any]]:
        """Devices that are there without being configured, as JSON. One that is configured under the
        same name goes before it."""
        return []

    def prepare(self, device: BaseDevice) -> None:
        """Called with each new device before it is used: give it what it needs of the server."""

    def attach(self, json: dict[str, Any]) -> str:
        """A device was found that is not configured: take it in; return its name.

        Raises:
            ClientError: it is not a valid device.
        """
        return self.configuration.attach(json)

    def detach(self, name: str) -> None:
        """A device that was found is gone again."""
        self.configuration.detach(name)

    def configured(self) -> None:
        """Called, in the thread of the request, after devices were added, changed or removed."""

    # -- life --------------------------------------------------------------------------------------

    def setup(self) -> None:
        super().setup()
        copy = None
        if self.data_dir is not None:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            copy = self.data_dir / COPY
        self._register_plugins()
        self._store = Store(self.broker, self.get_instance_id(), copy=copy)
        self.configuration = Configuration(self.kinds, self.engine, self._store, self.log, self.prepare)
        # First what is known without asking anybody: a heater must not wait for titanic to be made safe.
        self.configuration.load(local=True)
        if not self.local:
            self.configuration.load()
        self._attach_defaults()

    def _attach_defaults(self) -> None:
        for json in self.default_devices():
            self.attach(json)

    def _register_plugins(self) -> None:
        for name, kind in plugins.load(plugins.DEVICES).items():
            if getattr(kind, "server", None) != self.service:
                continue
            try:
                self.kinds.register(kind)
            except TypeError as error:
                self.log.error("the plug-in %s is no kind of device, and left out: %s", name, error)

    def teardown(self) -> None:
        self.engine.close()
        if self._store is not None:
            self._store.close()
        super().teardown()

    def worker_poll(self) -> None:
        """Poll and drive the devices; at the end put them in their safe states."""
        self.engine.run(self.stopping, self.alive)

    def worker_reload(self) -> None:
        """While titanic is away, ask for the configuration again."""
        while self.configuration.away and not self.stopping.wait(RELOAD_S):
            self.alive()
            self.configuration.load()
            self.configured()

    def worker_devices(self) -> None:
        """Serve ``HOST.NAME.devices``."""
        self.serve(
            "devices",
            {
                "list_keys": self.devices_list_keys,
                "list": self.devices_list,
                "get": self.devices_get,
                "templates": self.devices_templates,
                "add": self.devices_add,
                "update": self.devices_update,
                "remove": self.devices_remove,
                "exec": self.devices_exec,
            },
        )

    def tick(self) -> None:
        super().tick()
        self._n_polls.value = self.engine.outcome.polls
        self._n_faults.value = self.engine.outcome.faults
        self._n_late.value = self.engine.late
        self._n_lapses.value = self.engine.lapses
        self._n_devices.value = len(self.engine.table.entries)

    def busy(self) -> bool:
        """Whether a device is polled, or an actuator is not in its safe state."""
        entries = self.engine.table.entries.values()
        return any(
            entry.device.poll > 0 or entry.busy or (entry.guard is not None and entry.guard.away)
            for entry in entries
        )

    def status_line(self) -> str:
        entries = list(self.engine.table.entries.values())
        ill = [
            entry.device.name
            for entry in entries
            # A copy: the engine may be adding a value in its own thread.
            if any(value.quality != GOOD for value in list(entry.values.values()))
        ]
        if not entries:
            return "no devices configured"
        plural = "s" if len(entries) > 1 else ""
        if not ill:
            return f"{len(entries)} device{plural}, all well"
        more = f" and {len(ill) - 3} more" if len(ill) > 3 else ""
        return f"{len(entries)} device{plural}, without a good value: {', '.join(ill[:3])}{more}"

    def _publish_value(self, key: str, body: bytes) -> None:
        self.publish("/device/", key, body)

    # -- HOST.NAME.devices -------------------------------------------------------------------------

    def devices_list_keys(self) -> tuple[str, ...]:
        """Action ``list_keys``: the names of the devices, a frame each."""
        return tuple(sorted(self.engine.table.entries))

    def devices_list(self) -> dict[str, Any]:
        """Action ``list``: all devices by name, each as ``get`` gives it but without its commands."""
        return {name: self._describe(entry) for name, entry in sorted(self.engine.table.entries.items())}

    def devices_get(self, name: bytes) -> dict[str, Any]:
        """Action ``get DEVICE``: its JSON, with ``main`` (its main command), ``commands``, ``values`` (as
        they were last published), ``configured`` (False: it was found), and for an actuator ``state``.

        Raises:
            NotFoundError: there is no such device.
        """
        entry = self.engine.table.find(_text(name))
        return {**self._describe(entry), "commands": entry.device.cmd_commands()}

    def devices_templates(self) -> dict[str, Any]:
        """Action ``templates``: the kinds of devices there are, by oid: ``info``, ``main``, ``form``,
        ``commands``."""
        return self.kinds.templates()

    def devices_add(self, first: bytes, second: bytes = b"") -> str:
        """Action ``add [NAME] JSON``: add a device; the reply is its name.

        Raises:
            ClientError: it is not a valid device, or there is one of its name.
            ServerError: titanic could not store it.
        """
        name = self.configuration.add(_named(first, second))
        self.configured()
        return name

    def devices_update(self, first: bytes, second: bytes = b"") -> str:
        """Action ``update [NAME] JSON``: change what the JSON has of a device; the reply is its name.

        An actuator whose configuration changes goes to its safe state.

        Raises:
            NotFoundError: there is no such device.
            ClientError: it would not be valid any more.
            ServerError: titanic could not store it.
        """
        name = self.configuration.update(_named(first, second))
        self.configured()
        return name

    def devices_remove(self, name: bytes) -> None:
        """Action ``remove DEVICE``: forget a device; an actuator goes to its safe state first.

        Raises:
            NotFoundError: there is no such device.
            ClientError: another device needs it.
            ServerError: titanic could not store it.
        """
        self.configuration.remove(_text(name))
        self._attach_defaults()
        self.configured()

    def devices_exec(
        self, device: bytes, command: bytes, value: bytes = b"", options: bytes = b""
    ) -> dict[str, Any]:
        """Action ``exec DEVICE COMMAND [VALUE [OPTIONS]]``: send a command, or without a value read it.

        Args:
            device: its name; a part's is ``tv.volume``.
            command: the command.
            value: text, or JSON; empty to read. For a Bool also ``on`` and ``off``.
            options: a JSON object, see options.py: ``{"hold": 5, "why": "too cold"}``.

        Returns:
            ``value``; of a command that is published also ``unit``, ``quality``, ``time``, and so on; of an
            actuator's main command also its ``state``.

        Raises:
            NotFoundError: there is no such device or part.
            ClientError: there is no such command, the value is wrong, or it may not have it now.
            ServerError: it did not take it, or gave no value.
        """
        name, _, part = _text(device).partition(".")
        entry = self.engine.table.find(name)
        key = f"{part}.{_text(command)}" if part else _text(command)
        found = entry.device.find(key)
        if not value and found.type != "Button":
            return self._read(entry, key, found)
        if found.readonly:
            raise ClientError(f"{name} {key}: can only be read")
        how = read_options(options)
        if key in CONFIGURING:
            changes = found.parse(value)
            self.configuration.update({key: changes}, name)
            self.configured()
            return {"value": found.callback and found.callback(self.engine.table.find(name).device, None)}
        wanted = found.parse(value)
        if entry.guard is not None and key == entry.device.main:
            self.engine.command(
                entry, wanted, hold_s=how.hold_s, who=self.requester(), why=how.why, alive=self.alive
            )
            return self._value(entry, key)
        if how.hold_s is not None:
            raise ClientError(f"{name} {key}: takes no hold; only the main command of an actuator does")
        if found.immediate:
            answer = _exec(entry.device, key, wanted)
        else:
            answer = self.engine.call(entry, lambda: _exec(entry.device, key, wanted), alive=self.alive)
        self.engine.sent(entry, key, wanted, self.requester(), how.why)
        return {"value": answer}

    def _read(self, entry: Entry, key: str, command: Command) -> dict[str, Any]:
        if command.writeonly:
            raise ClientError(f"{entry.device.name} {key}: can't be read, only sent")
        if command.callback is not None:
            return {"value": command.callback(entry.device, None)}
        # What is not measured is what was sent last; to measure the rest would not show it.
        if command.readonly or key in entry.measured:
            self.engine.poll(entry, alive=self.alive)
        return self._value(entry, key)

    def _value(self, entry: Entry, key: str) -> dict[str, Any]:
        if key not in entry.values:
            return {"value": entry.device.find(key).value}
        body = self._reporter.body(entry, key)
        if "error" in body:
            raise DeviceFault(f"{entry.device.name}: {body['error']}")
        if entry.guard is not None and key == entry.device.main:
            body["state"] = self._state(entry)
        return body

    def _describe(self, entry: Entry) -> dict[str, Any]:
        described = {
            **entry.device.json,
            "main": entry.device.main,
            "configured": entry.device.name in self.configuration.stored,
            "values": {key: self._reporter.body(entry, key) for key in list(entry.values)},
        }
        if entry.guard is not None:
            described["state"] = self._state(entry)
        return described

    def _state(self, entry: Entry) -> dict[str, Any]:
        """How it stands with an actuator: ``safe``; ``held_by``, ``hold_s`` and ``left_s`` of a hold;
        ``later`` and ``later_s`` of a command that waits for a minimum time; ``tripped``."""
        guard = entry.guard
        assert guard is not None
        now_s = boottime()
        held, later = guard.held_by, guard.later
        return {
            "safe": guard.device.safe,
            "held_by": held,
            "hold_s": guard.hold_s,
            "left_s": round(max(0.0, guard.until_s - now_s), 3) if guard.hold_s else 0.0,
            "until": round(time.time() + guard.until_s - now_s, 3) if guard.hold_s else None,
            "later": None if later is None else later.value,
            "later_s": 0.0 if later is None else round(max(0.0, later.at_s - now_s), 3),
            "tripped": guard.tripped,
        }


def _exec(device: BaseDevice, key: str, value: Any) -> Any:
    part, _, command = key.rpartition(".")
    return device.exec_cmd(device.part(part).oid if part else device.oid, command, value)


def _text(frame: bytes) -> str:
    try:
        return frame.decode()
    except UnicodeDecodeError:
        raise ClientError(f"{frame[:40]!r} is not UTF-8 text") from None


def _named(first: bytes, second: bytes) -> Any:
    """The JSON of ``[NAME] JSON``; a name of its own goes into it."""
    if not second:
        return read_object(first, "the device")
    json = read_object(second, "the device")
    name = _text(first)
    if json.get("name", name) != name:
        raise ClientError(f"name: the device is {json['name']!r:.80} in its JSON, and {name!r:.80} before it")
    return {**json, "name": name}
