# SPDX-License-Identifier: GPL-3.0-or-later
"""``raspyctl devices``: list, add, remove and configure devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from raspy.ctl import complete
from raspy.ctl.errors import CtlError, WrongUse, missing
from raspy.ctl.frame import family
from raspy.ctl.output import Cell, Row
from raspy.ctl.session import Session
from raspy.ctl.settings import json_text, read
from raspy.ctl.words import ago

if TYPE_CHECKING:
    from raspy.ctl.names import Device


@family("devices")
def command() -> None:
    """List, add, remove and configure devices.

    \b
      raspyctl devices
      raspyctl devices add fake/tank sensor.temperature.tank poll=1 speed=60
      raspyctl devices config tank poll=5
      raspyctl devices remove tank
    """


@command.command("list")
@click.argument("server", required=False, default="")
@click.pass_obj
def list_(session: Session, server: str) -> None:
    """List the devices, of one SERVER or of all, with their values."""
    from raspy.ctl.names import device_servers

    services = _narrowed(device_servers(session.bus), server)
    found: dict[str, dict[str, Any]] = {}
    silent = []
    for service in services:
        place = service.removesuffix(".devices").replace(".", "/")
        try:
            listed = session.bus.json(service, "list")
        except CtlError as error:
            silent.append(str(error))
            continue
        found.update({f"{place}/{name}": one for name, one in listed.items()})
    if session.as_json:
        session.print_json(found)
    else:
        rows = [row for path, one in found.items() for row in _rows(path, one)]
        session.table(("device", "kind", "", "value", "since"), rows, "There are no devices.")
    if silent:
        raise CtlError("; ".join(silent))


def _narrowed(services: list[str], server: str) -> list[str]:
    """The services of a server, ``fake`` or ``pi/fake``; of all when it is empty."""
    if not server:
        return services
    places = {service.removesuffix(".devices").replace(".", "/"): service for service in services}
    found = [service for place, service in places.items() if server in (place, *place.split("/"))]
    if not found:
        raise missing("server of devices", server, places)
    return found


def _rows(path: str, one: dict[str, Any]) -> list[Row]:
    from raspy.ctl.values import styled

    values = one.get("values") or {"": {"value": None}}
    rows: list[Row] = []
    for name, body in sorted(values.items(), key=lambda item: item[0] != one.get("main")):
        value = styled(body)
        hold = _hold(one) if name == one.get("main") else ""
        since = ago(body.get("time"))
        if rows:
            rows.append(("", "", name, value, since))
        else:
            rows.append((Cell(path, "strong"), Cell(str(one.get("oid", "")), "dim"), name,
                         Cell(value.text + hold, value.style), since))  # fmt: skip
    return rows


def _hold(one: dict[str, Any]) -> str:
    state = one.get("state") or {}
    return f", for {state['left_s']:.0f} s more" if state.get("left_s") else ""


@command.command()
@click.argument("server", required=False, default="")
@click.pass_obj
def kinds(session: Session, server: str) -> None:
    """List the kinds of devices that can be added, to SERVER or to all, with what they have to configure."""
    from raspy.ctl.names import device_servers

    found: dict[str, dict[str, Any]] = {}
    for service in _narrowed(device_servers(session.bus), server):
        templates = session.bus.json(service, "templates")
        found[service.removesuffix(".devices").replace(".", "/")] = templates
    if session.as_json:
        session.print_json(found)
        return
    session.table(("server", "kind", "what", "configuration"), [
        (Cell(place, "dim"), Cell(oid, "strong"), str(kind.get("info", "")), _fields(kind))
        for place, templates in found.items()
        for oid, kind in sorted(templates.items())
    ], "There are no servers of devices.")  # fmt: skip


def _fields(kind: dict[str, Any]) -> str:
    return " ".join(field["name"] for field in kind.get("form", ()) if field.get("section"))


@command.command()
@click.argument("name", metavar="SERVER/NAME")
@click.argument("kind")
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...", callback=read)
@click.pass_obj
def add(session: Session, name: str, kind: str, settings: dict[str, Any]) -> None:
    """Add a device of a KIND to a server; "raspyctl devices kinds" lists them.

    \b
      raspyctl devices add fake/tank sensor.temperature.tank poll=1 speed=60
      raspyctl devices add fake/heater switch.relay heats=tank safe=off
    """
    from raspy.ctl.keepers import Keeper

    before, slash, own = name.rpartition("/")
    if not slash:
        raise WrongUse(f"{name!r}: write which server is to have it, as fake/{name}")
    machine, slash, server = before.rpartition("/")
    host, _ = Keeper("device", server, "devices").room(session.bus, f"{machine}{slash}{own}")
    device = {"oid": kind, "name": own, **_sorted_in(settings)}
    session.bus.call(f"{host}.{server}.devices", "add", json_text(device))
    session.done(f"{host}/{server}/{own} is added.", f"{host}/{server}/{own}")


def _sorted_in(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings where a device's JSON has them: most are part of ``config``."""
    own = {key: value for key, value in settings.items() if key in ("poll", "log")}
    config = {key: value for key, value in settings.items() if key not in own}
    return {**own, **({"config": config} if config else {})}


@command.command()
@click.argument("name", metavar="DEVICE", shell_complete=complete.devices)
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...", callback=read)
@click.pass_obj
def config(session: Session, name: str, settings: dict[str, Any]) -> None:
    """Show how a device is configured, or change it: "raspyctl devices config tank poll=5".

    An actuator goes to its safe state when its configuration changes.
    """
    device = _device(session, name)
    if settings:
        changes = {"name": device.name, **_sorted_in(settings)}
        session.bus.call(device.service, "update", json_text(changes))
    one = session.bus.json(device.service, "get", device.name)
    shown = {key: one.get(key) for key in ("oid", "name", "poll", "log", "config", "configured")}
    if session.as_json:
        session.print_json({"device": device.path, **shown})
        return
    rows: list[Row] = [("kind", str(one.get("oid", "")))]
    flat = {"poll": one.get("poll"), "log": one.get("log"), **one.get("config", {})}
    rows += [
        (key, Cell(json_text(value), "strong" if key in settings else "")) for key, value in flat.items()
    ]
    session.say(device.path, "strong")
    session.table(("setting", "value"), rows)


@command.command()
@click.argument("name", metavar="DEVICE", shell_complete=complete.devices)
@click.pass_obj
def remove(session: Session, name: str) -> None:
    """Remove a device; an actuator goes to its safe state first."""
    device = _device(session, name)
    session.bus.call(device.service, "remove", device.name)
    session.done(f"{device.path} is removed.", device.path)


def _device(session: Session, name: str) -> Device:
    from raspy.ctl.names import find

    found = find(session.bus, name)
    if found.command:
        raise WrongUse(f"{name!r} is a value; the device is {found.device.path}")
    return found.device
