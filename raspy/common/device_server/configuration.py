# SPDX-License-Identifier: GPL-3.0-or-later
"""The configured devices of one server: kept in titanic's store, checked before anything is changed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from raspy.common.device_server.engine import Engine
from raspy.common.devices.actuator import ActuatorDevice
from raspy.common.devices.declaration import read_object
from raspy.common.devices.device import BaseDevice, DeviceRegister
from raspy.common.devices.field import show
from raspy.common.devices.interlock import NEVER_WITH, read_interlock
from raspy.common.MDP import ClientError, NotFoundError
from raspy.common.store import Store

SECTION = "devices"

DEVICES_MAX = 1000
"""The most devices of one server."""


class Configuration:
    """What devices there are, and how they are configured.

    Args:
        kinds: the kinds of devices that the server offers.
        engine: polls and drives them.
        store: where they are kept.
        log: the server's logger.
        prepare: called with each new device before it is used.

    Attributes:
        changing: held while something is changed; a change is checked, stored, and then made.
        stored: the names of those that are in the store; others are there of themselves (`attach`).
    """

    def __init__(
        self,
        kinds: DeviceRegister,
        engine: Engine,
        store: Store,
        log: logging.Logger,
        prepare: Callable[[BaseDevice], None],
    ) -> None:
        self.changing = threading.Lock()
        self.stored: set[str] = set()
        self._kinds = kinds
        self._engine = engine
        self._store = store
        self._log = log
        self._prepare = prepare
        self._complaints: set[str] = set()

    @property
    def away(self) -> bool:
        """Whether the store could not be asked, and what is configured comes from the local copy."""
        return self._store.away

    def load(self, *, local: bool = False) -> None:
        """Make the devices what the store says. One that is wrong is logged, left out, and stays stored.

        A store that knows of none of the devices that were there has lost them, for nobody but this server
        removes them: then they are stored again from the local copy.

        Args:
            local: what the local copy says, without asking the store.
        """
        with self.changing:
            before = self._store.copied(SECTION)
            kept = before if local else self._store.load(SECTION)
            if before and not kept:
                self._log.warning(
                    "titanic has lost the configuration of %d devices; they are stored again", len(before)
                )
                self._store.save(SECTION, before)
                kept = before
            wanted: dict[str, dict[str, Any]] = {}
            for name, json in kept.items():
                try:
                    wanted[name] = self._kinds.check(json)
                    if wanted[name]["name"] != name:
                        raise ClientError(f"name: is {show(wanted[name]['name'])} in the device itself")
                except ClientError as error:
                    wanted.pop(name, None)
                    self._complain(f"the stored device {show(name)} is left out: {error}")
            for name in self.stored - set(wanted):
                self._give_up(name)
            for json in wanted.values():
                self._take(json)
            self.stored = set(wanted)
            if not local:
                self._warn_of_dangling()

    def _warn_of_dangling(self) -> None:
        for name, entry in self._engine.table.entries.items():
            try:
                self._check_interlocks(entry.device, {})
            except ClientError as error:
                self._complain(f"{name}: {error}. It stays in its safe state")

    def _complain(self, text: str) -> None:
        """Log what is wrong with what is stored, once: it is loaded again and again while titanic is away."""
        if text not in self._complaints:
            self._complaints.add(text)
            self._log.error("%s", text)

    def add(self, json: Any) -> str:
        """Add a device; return its name.

        Raises:
            ClientError: it is not a valid device, or there is one of its name.
            ServerError: it could not be stored.
        """
        with self.changing:
            checked = self._kinds.check(json)
            name: str = checked["name"]
            if name in self.stored:
                raise ClientError(f"name: there is a device {show(name)} already; 'update' changes it")
            if len(self._engine.table.entries) >= DEVICES_MAX:
                raise ClientError(f"there are {DEVICES_MAX} devices already, which is the most")
            self._change(checked)
            return name

    def update(self, json: Any, name: str = "") -> str:
        """Change a device; return its name.

        Args:
            json: the keys to change; of ``config`` those within it.
            name: which; if left out, the JSON says.

        Raises:
            NotFoundError: there is no such device.
            ClientError: it would not be a valid device any more.
            ServerError: it could not be stored.
        """
        with self.changing:
            changes = read_object(json, "the device")
            name = name or _name(changes)
            if changes.get("name", name) != name:
                raise ClientError(f"name: can't be changed, neither from nor to {show(changes['name'])}")
            old = self._engine.table.find(name).device.json
            config = {**old["config"], **read_object(changes.get("config", {}), "config")}
            self._change(self._kinds.check({**old, **changes, "config": config}))
            return name

    def remove(self, name: str) -> None:
        """Remove a device; an actuator is put in its safe state first.

        Raises:
            NotFoundError: there is no such device.
            ClientError: another device's interlock needs it, or it is not a configured one.
            ServerError: it could not be stored.
        """
        with self.changing:
            self._engine.table.find(name)
            for other, entry in self._engine.table.entries.items():
                for interlock in _interlocks(entry.device):
                    if interlock.device.partition(".")[0] == name:
                        raise ClientError(f"{name} is needed by an interlock of {other}; change that first")
            if name not in self.stored:
                raise ClientError(f"{name} was found, not configured: it is there for as long as it is found")
            self._store.save(SECTION, {name: None})
            self.stored.discard(name)
            self._give_up(name)

    def attach(self, json: Any) -> str:
        """Take in a device that is there without being configured; it is not stored.

        Returns:
            Its name. A configured device of this name goes before it.

        Raises:
            ClientError: it is not a valid device.
        """
        with self.changing:
            checked = self._kinds.check(json)
            if checked["name"] not in self.stored:
                self._take(checked)
            return str(checked["name"])

    def detach(self, name: str) -> None:
        """Give up a device that was attached; one that is not there, or is configured, is no error."""
        with self.changing:
            if name not in self.stored and name in self._engine.table.entries:
                self._give_up(name)

    def _change(self, checked: dict[str, Any]) -> None:
        device = self._kinds.find(checked).new(checked)
        self._check_interlocks(device, {checked["name"]: device})
        # Those that depend on it must still be able to.
        for other, entry in self._engine.table.entries.items():
            if other != checked["name"]:
                self._check_interlocks(entry.device, {checked["name"]: device}, only=checked["name"])
        self._store.save(SECTION, {checked["name"]: checked})
        self.stored.add(checked["name"])
        self._take(checked)

    def _take(self, checked: dict[str, Any]) -> None:
        """Make a device be what was checked. Only another poll or log is taken over as it runs."""
        entry = self._engine.table.entries.get(checked["name"])
        if entry is not None:
            old = entry.device.json
            if old == checked:
                return
            if (old["oid"], old["config"]) == (checked["oid"], checked["config"]):
                entry.device.poll, entry.device.log = checked["poll"], checked["log"]
                self._engine.retime(entry)
                return
            self._engine.remove(entry)
        device = self._kinds.find(checked).new(checked)
        self._prepare(device)
        self._engine.add(device)

    def _give_up(self, name: str) -> None:
        self._engine.remove(self._engine.table.find(name))

    def _check_interlocks(
        self, device: BaseDevice, fresh: Mapping[str, BaseDevice], only: str | None = None
    ) -> None:
        """Check what the interlocks of a device refer to.

        Args:
            device: the device.
            fresh: devices that are about to take the place of those of their names.
            only: look at the interlocks on this device alone.

        Raises:
            ClientError: to something that is not there, or can't serve.
        """
        for interlock in _interlocks(device):
            name, _, part = interlock.device.partition(".")
            if only is not None and name != only:
                continue
            where = f"config.interlocks of {device.name}: {interlock.device}"
            other = fresh.get(name)
            if other is None:
                entry = self._engine.table.entries.get(name)
                if entry is None:
                    raise ClientError(f"{where} is not a device of this server")
                other = entry.device
            if name == device.name:
                raise ClientError(f"{where} is the device itself")
            if interlock.kind == NEVER_WITH:
                if not isinstance(other, ActuatorDevice) or part:
                    raise ClientError(f"{where} is nothing that can be on")
                if other.safe is not None and other.is_on(other.safe):
                    raise ClientError(f"{where} is on in its safe state, so 'never_with' can't be kept")
                continue
            try:
                target = other.part(part) if part else other
                target.find(interlock.command or target.main)
            except (ClientError, NotFoundError) as error:
                raise ClientError(f"{where}: {error}") from None
            if not isinstance(other, ActuatorDevice) and other.poll <= 0:
                raise ClientError(f"{where} is not polled, so nobody would notice when it fails")


def _interlocks(device: BaseDevice) -> Iterable[Any]:
    return [read_interlock(item) for item in device.config.get("interlocks") or ()]


def _name(json: Mapping[str, Any]) -> str:
    name = json.get("name")
    if not isinstance(name, str):
        raise ClientError(f"name: must say which device is meant, and is {show(name)}")
    return name


