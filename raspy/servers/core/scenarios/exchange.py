# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios as one JSON file, to share with friends.

    {"format": "raspy-scenarios", "version": 1, "scenarios": [{"name", "entries", "code", "conf"}, ...]}

What is imported is checked whole before anything is stored, and is not active until its new owner has
read it, put his own keys into the entries, and switched it on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from raspy.common import MDP
from raspy.servers.core import names
from raspy.servers.core.scenarios import definition as parts
from raspy.servers.core.scenarios.scenario import Scenario

FORMAT = "raspy-scenarios"
VERSION = 1
FILE_BYTES = 4 * 1024 * 1024
REPLACE = "replace"


def export(scenarios: Iterable[Scenario]) -> dict[str, Any]:
    """The file's content for these scenarios; their states and values stay at home."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "scenarios": [{"name": one.name, **one.definition()} for one in scenarios],
    }


def read(body: bytes, existing: Iterable[str], replace: bool = False) -> dict[str, dict[str, Any]]:
    """The scenarios in a file, checked, each set inactive.

    Args:
        body: the file's content.
        existing: the names that are taken.
        replace: whether a scenario of the same name is replaced; else it is an error.

    Raises:
        ClientError: it is no such file, of a version not known here, or one of the scenarios is wrong.
    """
    if len(body) > FILE_BYTES:
        raise MDP.ClientError(f"the file is larger than {FILE_BYTES} bytes")
    content = names.json_object(body, "an export of scenarios")
    if content.get("format") != FORMAT:
        raise MDP.ClientError(f"this is no export of scenarios: its format is not {FORMAT!r}")
    if content.get("version") != VERSION:
        raise MDP.ClientError(
            f"this export has version {content.get('version')!r}, and RasPy here reads version {VERSION}:"
            " update RasPy, or export it from the older one again"
        )
    found = content.get("scenarios")
    if not isinstance(found, list) or not found:
        raise MDP.ClientError("the export has no scenarios")
    taken = set(existing)
    checked: dict[str, dict[str, Any]] = {}
    for entry in found:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise MDP.ClientError("a scenario of the export has no name")
        name = entry["name"]
        if name in checked:
            raise MDP.ClientError(f"the export has two scenarios {name}")
        if name in taken and not replace:
            raise MDP.ClientError(
                f"there is a scenario {name} already: delete it, or import with {REPLACE!r}"
            )
        definition = parts.check_definition(
            name, {key: value for key, value in entry.items() if key != "name"}
        )
        definition["conf"]["active"] = False
        checked[name] = definition
    return checked
