# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading what a person typed into a form, with what is wrong beside each field."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from raspyweb.app.texts import _

# What may stand in one line of a form, in characters.
LINE_MAX = 4096


class Fields:
    """One form that was sent.

    Args:
        form: its fields, as Flask has them.

    Attributes:
        errors: what is wrong, by the name of the field; ``""`` is the form as a whole.
    """

    def __init__(self, form: Mapping[str, str]) -> None:
        self.form = form
        self.errors: dict[str, str] = {}

    def wrong(self, name: str, why: str) -> None:
        """Note what is wrong with a field; the first thing noted stays."""
        self.errors.setdefault(name, why)

    def line(self, name: str, *, longest: int = LINE_MAX) -> str:
        """One line of text, without spaces around it; "" if it is not there, or is wrong."""
        value = self.form.get(name, "").strip()
        why = line_error(value, longest)
        if why:
            self.wrong(name, why)
            return ""
        return value

    def flag(self, name: str) -> bool:
        """A checkbox."""
        return name in self.form

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of several; the first one if it is none of them, and an error."""
        value = self.form.get(name, choices[0])
        if value not in choices:
            self.wrong(name, _("Choose one of those offered."))
            return choices[0]
        return value

    def number(self, name: str) -> float | None:
        """A number; None if the field is empty, or wrong."""
        return self.as_number(name, self.line(name, longest=40))

    def as_number(self, name: str, text: str) -> float | None:
        """The number in *text*, which belongs to the field *name*; as above."""
        if not text:
            return None
        try:
            value = float(text.replace(",", "."))
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            self.wrong(name, _("This must be a number."))
            return None
        return value


def line_error(value: str, longest: int = LINE_MAX) -> str:
    """What is wrong with a line of text; "" if nothing is."""
    if len(value) > longest:
        return _(
            "This is too long: {count} characters, {longest} are allowed.", count=len(value), longest=longest
        )
    if not value.isprintable():
        return _("This has characters that can't be shown; write it on one line, without control characters.")
    return ""


def whole(value: float) -> float | int:
    """The same number, without a fraction if it has none, so that 60.0 is shown as 60."""
    return int(value) if value == int(value) else value


def value_of(text: str) -> Any:
    """The value that a person means: ``true``, ``21.5`` and ``[1, 2]`` as in JSON, else the text itself."""
    try:
        value = json.loads(text)
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return text
    return value


def text_of(value: Any) -> str:
    """The text for which ``value_of`` gives this value."""
    if isinstance(value, str) and value_of(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)
