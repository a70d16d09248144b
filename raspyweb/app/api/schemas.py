# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes of what the JSON interface answers, as JSON Schema (draft 2020-12)."""

from __future__ import annotations

from typing import Any

from raspy.common.journal_reader import PRIORITIES
from raspyweb.accounts import ROLES

TEXT = {"type": "string"}
NUMBER = {"type": "number"}
TIME = {"type": "number", "description": "Seconds since 1970."}
FLAG = {"type": "boolean"}
OBJECT = {"type": "object"}


def ref(name: str) -> dict[str, Any]:
    """Where another schema stands."""
    return {"$ref": f"#/components/schemas/{name}"}


def shape(required: dict[str, Any], optional: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """An object with these members."""
    members = {**required, **(optional or {})}
    return {"type": "object", "properties": members, "required": list(required), **more}


def listed(item: Any) -> dict[str, Any]:
    """An array of *item*."""
    return {"type": "array", "items": item}


def named(value: Any) -> dict[str, Any]:
    """An object of any names with *value*."""
    return {"type": "object", "additionalProperties": value}


def or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """That or null."""
    return {**schema, "type": [schema["type"], "null"]}


NOTHING = shape({}, additionalProperties=False)

SCHEMAS: dict[str, Any] = {
    "Error": shape(
        {"error": {**TEXT, "description": "What is wrong, for a person."}, "status": {"type": "integer"}},
        {"title": TEXT},
    ),
    "Me": shape(
        {"user": TEXT, "role": {"enum": list(ROLES)}, "version": TEXT, "host": TEXT},
        additionalProperties=False,
    ),
    "Value": shape(
        {
            "value": {"description": "A number, a text, true, false; null at fault."},
            "unit": TEXT,
            "quality": {"enum": ["good", "stale", "fault"]},
            "time": TIME,
        },
        {"error": TEXT, "polled": TIME, "poll": NUMBER, "state": OBJECT},
    ),
    "Command": shape(
        {"type": TEXT, "info": TEXT, "unit": TEXT, "readonly": FLAG, "writeonly": FLAG},
        {"minimum": or_null(NUMBER), "maximum": or_null(NUMBER), "choices": {"type": "array"}},
    ),
    "Device": shape(
        {
            "host": TEXT,
            "server": TEXT,
            "name": TEXT,
            "oid": {**TEXT, "description": "Its kind, such as switch.relay."},
            "main": {**TEXT, "description": "The command whose value stands for the device."},
            "poll": NUMBER,
            "log": FLAG,
            "config": OBJECT,
            "values": named(ref("Value")),
        },
        {
            "commands": {**named(ref("Command")), "description": "Only where one device is asked for."},
            "state": {**OBJECT, "description": "Of an actuator: its hold and its safe value."},
        },
    ),
    "Scenario": shape(
        {"name": TEXT, "conf": OBJECT, "entries": OBJECT, "code": TEXT, "state": TEXT},
        {
            "last": {"type": ["object", "null"]},
            "starts": {"type": "integer"},
            "failures": {"type": "integer"},
        },
    ),
    "CronJob": shape(
        {"name": TEXT, "active": FLAG, "next": {"type": ["number", "null"]}},
        {"state": TEXT, "last": {"type": ["number", "null"]}, "info": TEXT},
    ),
    "Graph": shape({"title": TEXT, "series": listed(OBJECT), "units": listed(TEXT), "added": FLAG}),
    "Series": shape(
        {
            "key": TEXT,
            "label": TEXT,
            "unit": TEXT,
            "time": listed(NUMBER),
            "average": listed({"type": ["number", "null"]}),
            "minimum": listed({"type": ["number", "null"]}),
            "maximum": listed({"type": ["number", "null"]}),
        }
    ),
    "Chart": shape(
        {"key": TEXT, "title": TEXT, "start": TIME, "end": TIME, "series": listed(ref("Series"))},
    ),
    "Event": shape({"key": TEXT, "body": {}}, additionalProperties=False),
    "LogLine": shape({"time": TIME, "level": TEXT, "message": TEXT}),
    "Unit": shape(
        {
            "name": TEXT,
            "description": TEXT,
            "state": TEXT,
            "sub": TEXT,
            "since": {"type": ["number", "null"]},
            "status": TEXT,
            "result": TEXT,
            "pid": {"type": "integer"},
            "memory": {"type": ["integer", "null"], "description": "Bytes."},
            "cpu_s": {"type": ["number", "null"]},
            "restarts": {"type": "integer"},
            "watchdog_s": NUMBER,
            "fed": {"type": ["number", "null"]},
            "enabled": TEXT,
            "exposure": {"type": ["number", "null"], "description": "systemd's score, 0 to 10."},
        },
        additionalProperties=False,
    ),
    "Server": shape(
        {"name": TEXT, "state": {"enum": ["running", "asleep", "silent"]}, "status": TEXT},
        {
            "version": TEXT,
            "pid": {"type": "integer"},
            "started": TIME,
            "memory": {"type": ["integer", "null"]},
        },
    ),
    "Services": shape(
        {
            "units": {**listed(ref("Unit")), "description": "Empty where systemd does not run RasPy."},
            "why": {**TEXT, "description": "Why there are no units."},
            "servers": listed(ref("Server")),
        },
        additionalProperties=False,
    ),
    "Line": shape(
        {
            "time": TIME,
            "priority": {"enum": list(PRIORITIES)},
            "server": TEXT,
            "message": TEXT,
            "device": TEXT,
            "scenario": TEXT,
            "request": TEXT,
        },
        additionalProperties=False,
    ),
    "Lines": shape(
        {
            "lines": listed(ref("Line")),
            "first": {**TEXT, "description": "For before=, to read on into the past."},
            "last": {**TEXT, "description": "For after=, to follow."},
            "more": FLAG,
            "why": {
                **TEXT,
                "description": "Why this is not the journal but the logger's text logs; else empty.",
            },
        },
        additionalProperties=False,
    ),
}
