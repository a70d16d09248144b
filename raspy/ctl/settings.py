# SPDX-License-Identifier: GPL-3.0-or-later
"""``KEY=VALUE`` on the command line, and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

# How people write what JSON calls true and false.
_WORDS = {"on": True, "yes": True, "off": False, "no": False}


def value_of(text: str) -> Any:
    """What VALUE means: JSON, ``on`` and ``off``, or else the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    try:
        return json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text


def json_text(value: Any) -> str:
    """*value* as JSON in one line, as it is sent and shown."""
    return json.dumps(value, ensure_ascii=False)


def read(_ctx: click.Context, _parameter: click.Parameter, assignments: Sequence[str]) -> dict[str, Any]:
    """The assignments of an argument ``KEY=VALUE...``, as its callback.

    Raises:
        BadParameter: one is none.
    """
    found = {}
    for text in assignments:
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise click.BadParameter(f"{text!r} is no KEY=VALUE")
        found[key] = value_of(value)
    return found
