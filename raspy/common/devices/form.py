# SPDX-License-Identifier: GPL-3.0-or-later
"""From what an HTML form sends to a device's JSON, by the description that `Declaration.form` gave.

The description travels as JSON (``HOST.SERVER.devices templates``), so this needs no class: a page can
show and read the form of a kind of device that is installed only where the server runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raspy.common.devices.field import load_json
from raspy.common.MDP import ClientError


def read_form(oid: str, description: Sequence[Mapping[str, Any]], sent: Mapping[str, str]) -> dict[str, Any]:
    """A device's JSON from a form that was sent. Its values are checked by the server, not here.

    Args:
        oid: the kind of device.
        description: the fields, as `Declaration.form` describes them.
        sent: text by name; a checkbox that is not ticked is not there, as browsers do.

    Raises:
        ClientError: a number or JSON that can't be read.
    """
    device: dict[str, Any] = {"oid": oid, "config": {}}
    for field in description:
        name = field["name"]
        text = sent.get(name)
        section = device["config"] if field["section"] else device
        if field["type"] == "checkbox" and not field["nullable"]:
            section[name] = text is not None
        elif text is not None:
            section[name] = _value(field, text)
    return device


def _value(field: Mapping[str, Any], text: str) -> Any:
    kind, name = field["type"], field["name"]
    if kind == "json":
        return load_json(text or "[]", name)
    if not text.strip() and (field["nullable"] or kind in ("number", "checkbox")):
        return None if field["nullable"] else field["default"]
    if kind == "checkbox":
        # One that may also be empty is shown as a choice of three.
        return text in ("on", "true", "1")
    if kind == "number":
        try:
            number = float(text.replace(",", ".", 1))
        except ValueError:
            raise ClientError(f"{name}: must be a number, not {text!r:.40}") from None
        return int(number) if field["step"] == 1 and number.is_integer() else number
    return text
