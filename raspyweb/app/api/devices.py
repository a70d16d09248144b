# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON interface: devices, their values and commands, and events."""

from __future__ import annotations

import json
from typing import Any

from flask import abort

from raspyweb.app.api.declare import Parameter, Route, wrong
from raspyweb.app.api.schemas import listed, named, ref, shape
from raspyweb.app.bus import BusAway, Refused, bus

SUFFIX = ".devices"
HOLD_MAX_S = 604800.0
"""The longest hold, as with a device's own commands, in seconds."""

# What a service's or device's name may be in a URL; whether there is one, the bus says.
PART = r"[^\x00-\x1f\x7f/]+"
HOST = Parameter("host", "string", "the machine", "path", True, 1, 64, pattern=r"[^\x00-\x1f\x7f/.]+")
SERVER = Parameter(
    "server", "string", "the server, such as host", "path", True, 1, 64, pattern=r"[^\x00-\x1f\x7f/.]+"
)
DEVICE = Parameter("device", "string", "the device's name", "path", True, 1, 128, pattern=PART)
COMMAND = Parameter("command", "string", "the command's name", "path", True, 1, 128, pattern=PART)


def list_devices() -> dict[str, Any]:
    """All devices of the servers that are awake."""
    link = bus()
    awake = link.awake()
    devices: list[dict[str, Any]] = []
    asleep: list[str] = []
    for service in link.services():
        if not service.endswith(SUFFIX) or service.count(".") != 2:
            continue
        if service not in awake:
            asleep.append(service.removesuffix(SUFFIX))
            continue
        try:
            found = link.json(service, "list")
        except (BusAway, Refused):
            asleep.append(service.removesuffix(SUFFIX))
            continue
        devices += (_device(service, device) for device in found.values())
    return {"devices": devices, "asleep": asleep}


def get_device(host: str, server: str, device: str) -> dict[str, Any]:
    """One device, with its commands."""
    service = _service(host, server)
    found = bus().json(service, "get", device)
    kind = bus().kinds(service).get(found.get("oid"), {})
    commands = kind.get("commands", {})
    shown = ("type", "info", "unit", "readonly", "writeonly", "minimum", "maximum", "choices")
    return _device(service, found) | {
        "commands": {
            name: {field: command[field] for field in shown if field in command}
            for name, command in commands.items()
        }
    }


def command(host: str, server: str, device: str, command: str, **body: Any) -> dict[str, Any]:
    """Carry out a command; the answer is the value that the device has then."""
    arguments = []
    if "value" in body:
        arguments.append(json.dumps(body["value"], ensure_ascii=False))
    if "hold" in body:
        if "value" not in body:
            wrong("hold: goes with a value")
        arguments.append(json.dumps({"hold": body["hold"]}))
    frames = bus().call(_service(host, server), "exec", device, command, *arguments)
    try:
        return {"result": json.loads(frames[0])} if frames else {"result": None}
    except ValueError:
        return {"result": frames[0].decode(errors="replace")}


def list_values(prefix: str = "/") -> dict[str, Any]:
    """The key/value map, as it is now."""
    return {"values": bus().values.snapshot(prefix), "current": bus().values.present}


def list_events(prefix: str = "/event/") -> dict[str, Any]:
    """The last event of each kind."""
    if not prefix.startswith("/event/"):
        wrong("prefix: of events begins with /event/")
    found = bus().values.snapshot(prefix)
    return {"events": [{"key": key, "body": body} for key, body in sorted(found.items())]}


def _service(host: str, server: str) -> str:
    """The service of a server's devices; a 404 if nobody has it, or the request would wait for it in vain."""
    service = f"{host}.{server}{SUFFIX}"
    if service not in bus().services():
        abort(404, f"there is no server {host}.{server} with devices")
    return service


def _device(service: str, device: dict[str, Any]) -> dict[str, Any]:
    host, server, _suffix = service.split(".")
    kept = ("name", "oid", "main", "poll", "log", "config", "values", "state")
    return {"host": host, "server": server} | {field: device[field] for field in kept if field in device}


ROUTES = (
    Route(
        "GET", "/devices", "viewer", "devices",
        "All devices of the servers that are awake, with their values.", list_devices,
        shape({
            "devices": listed(ref("Device")),
            "asleep": {**listed({"type": "string"}), "description": "HOST.SERVER, started by a request."},
        }),
    ),
    Route(
        "GET", "/devices/{host}/{server}/{device}", "viewer", "devices",
        "One device, with its commands.", get_device, ref("Device"), (HOST, SERVER, DEVICE),
    ),
    Route(
        "POST", "/devices/{host}/{server}/{device}/{command}", "operator", "devices",
        "Carry out a command of a device. With hold the server itself puts the device in its safe state when"
        " the time is up, unless the command is repeated.", command,
        shape({"result": {"description": "The value that the device has then, or the command's answer."}}),
        (
            HOST, SERVER, DEVICE, COMMAND,
            Parameter("value", "any", "what the command is given; leave it out for a button", "body"),
            Parameter("hold", "number", "for how long, in seconds", "body", minimum=0, maximum=HOLD_MAX_S),
        ),
    ),
    Route(
        "GET", "/values", "viewer", "devices",
        "The key/value map: /device/HOST/SERVER/DEVICE/COMMAND, /event/..., /scenario/...", list_values,
        shape({
            "values": named({}),
            "current": {"type": "boolean", "description": "False while the broker is away."},
        }),
        (Parameter("prefix", "string", "only the keys that begin so"),),
    ),
    Route(
        "GET", "/events", "viewer", "devices", "The last event of each kind.", list_events,
        shape({"events": listed(ref("Event"))}),
        (Parameter("prefix", "string", "only the keys that begin so, such as /event/cron/"),),
    ),
)  # fmt: skip
