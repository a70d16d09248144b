# SPDX-License-Identifier: GPL-3.0-or-later
"""``KEY=VALUE`` on the command line, and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

# How people write what JSON calls true, false and null.
_WORDS = {"on": True, "yes": True, "off": False, "no": False, "none": None}


def value_of(text: str) -> Any:
    """What VALUE means: JSON, ``on``, ``off`` and ``none``, or else the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    try:
        return json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text


def json_text(value: Any) -> str:
    """*value* as JSON in one line, as it is sent and shown."""
    return json.dumps(value, ensure_ascii=False)


def read(_ctx: click.Context, _parameter: click.Parameter, words: Sequence[str]) -> dict[str, Any]:
    """A definition, as the callback of an argument: one JSON object, or ``KEY=VALUE...``.

    A key with a dot in it is one within an object: ``command.value=on``.

    Raises:
        BadParameter: it is neither.
    """
    if len(words) == 1 and words[0].lstrip().startswith("{"):
        try:
            found = json.loads(words[0])
        except (ValueError, RecursionError) as error:
            raise click.BadParameter(f"not JSON: {error}") from error
        assert isinstance(found, dict)
        return found
    found = {}
    for word in words:
        path, sign, text = word.partition("=")
        *before, key = path.split(".")
        if not sign or not all((*before, key)):
            raise click.BadParameter(f"{word!r} is no KEY=VALUE")
        inner = found
        for part in before:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise click.BadParameter(f"{word!r}: {part} has a value of its own already")
        inner[key] = value_of(text)
    return found
