# SPDX-License-Identifier: GPL-3.0-or-later
"""One declared value: what JSON may hold, what a form shows, and the sentence when it is wrong.

A `Field` is a key of a device's configuration; a `Command` (in device.py) is one with a direction.
Everything that comes from outside passes `check` or `parse` here and nowhere else.

==========  ================================================  ==================
type        JSON                                              HTML input
==========  ================================================  ==================
Bool        ``true``, ``false``                               checkbox
Int, Float  a number; never NaN or infinite                   number
String      text of one line                                  text
List        one of `choices`                                  select
Color       ``"#rrggbb"``                                     color
Button      nothing: the command is the message               button
Json        what the field's own `checker` allows                json
==========  ================================================  ==================
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from raspy.common.MDP import ClientError

TEXT_MAX = 256
"""The longest String, in characters."""

JSON_MAX = 65536
"""The longest JSON text that is looked at, in bytes."""

NAME_MAX = 64
"""The longest name of a device, in characters; in bytes of UTF-8 it is half as much again."""

TYPES = ("Bool", "Int", "Float", "String", "List", "Color", "Button", "Json")

INPUTS = {
    "Bool": "checkbox", "Int": "number", "Float": "number", "String": "text", "List": "select",
    "Color": "color", "Button": "button", "Json": "json",
}  # fmt: skip

# What people and scripts write for a Bool in a command, besides JSON.
WORDS = {
    "true": True, "on": True, "1": True, "yes": True, "open": True,
    "false": False, "off": False, "0": False, "no": False, "closed": False, "close": False,
}  # fmt: skip


def show(value: object) -> str:
    """*value* for a sentence: as JSON, and short."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= 60 else text[:57] + "..."


def load_json(text: str | bytes, what: str) -> Any:
    """Read JSON from outside.

    Args:
        text: the JSON, at most `JSON_MAX` bytes of UTF-8.
        what: what it should be, for the sentence, such as ``"the device"``.

    Raises:
        ClientError: too long, not UTF-8, not JSON, or NaN or an infinity in it.
    """
    if len(text) > JSON_MAX:
        raise ClientError(f"{what}: {len(text)} bytes of JSON, at most {JSON_MAX} are read")
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise ClientError(f"{what}: not JSON ({reason})") from None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number that JSON knows")


def check_name(name: object) -> str:
    """A device's name: letters and digits of any script, ``-``, ``_``, and spaces inside.

    It becomes part of keys (`/device/HOST/SERVER/NAME/COMMAND`) and of file names elsewhere, so there
    is no ``/`` and no ``.`` (which stands before a subdevice) and no control character in it.

    Raises:
        ClientError: it is something else.
    """
    if not isinstance(name, str):
        raise ClientError(f"name: must be a text, not {show(name)}")
    good = name == name.strip() and all(letter.isalnum() or letter in "-_ " for letter in name)
    if not good or not 1 <= len(name) <= NAME_MAX or len(name.encode()) > NAME_MAX * 3 // 2:
        raise ClientError(
            f"name: {show(name)} must be 1 to {NAME_MAX} letters, digits, '-' or '_', with spaces inside only"
        )
    return name


class Field:
    """One declared value.

    Args:
        name: its key.
        type: one of `TYPES`.
        default: its value where none is given; None if it is nullable or required.
        info: what it is, in a sentence for a person.
        unit: the unit, such as ``"s"``; ``""`` for none.
        minimum: the least number allowed; None for no limit.
        maximum: the greatest number allowed; None for no limit.
        choices: what a List may be.
        nullable: ``null`` is allowed, and means "not set".
        required: there is no default, it must be given.
        checker: for Json: returns the value as it is kept, raises ClientError.
    """

    name = ""
    type = "List"
    default: Any = None
    info = "info"
    unit = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: Sequence[str] = ()
    nullable = False
    required = False
    checker: Callable[[Any], Any] | None = None

    def __init__(self, name: str = "", type: str | None = None, default: Any = None, info: str = "",
                 **others: Any) -> None:  # fmt: skip
        given = {"name": name, "type": type, "default": default, "info": info or None, **others}
        for key, value in given.items():
            if key.startswith("_") or callable(getattr(self.__class__, key, len)):
                raise TypeError(f"{self.__class__.__name__} has no {key!r}")
            # Only what differs is kept in the instance: a server has thousands of these.
            if value is not None and value != getattr(self.__class__, key):
                setattr(self, key, value)
        if self.type not in TYPES:
            raise TypeError(f"{name}: type must be one of {', '.join(TYPES)}, not {self.type!r}")

    def allowed(self) -> str:
        """What may be written, in words."""
        if self.type == "List":
            return "one of " + ", ".join(self.choices)
        if self.type in ("Int", "Float"):
            kind = "a whole number" if self.type == "Int" else "a number"
            unit = f" {self.unit}" if self.unit else ""
            if self.minimum is not None and self.maximum is not None:
                return f"{kind} from {self.minimum:g} to {self.maximum:g}{unit}"
            if self.minimum is not None:
                return f"{kind} of at least {self.minimum:g}{unit}"
            return f"{kind} of at most {self.maximum:g}{unit}" if self.maximum is not None else kind
        return {
            "Bool": "true or false", "String": f"a line of text, at most {TEXT_MAX} characters",
            "Color": "a colour such as #ff8000", "Button": "left out: this command takes no value",
            "Json": self.info,
        }[self.type]  # fmt: skip

    def check(self, value: object, where: str = "") -> Any:
        """The value as it is kept, from JSON or Python.

        Args:
            value: what was given.
            where: its name for the sentence, if it is not the field's own.

        Raises:
            ClientError: it is not allowed; the sentence names the field and what is.
        """
        if value is None and self.nullable:
            return None
        checked = _CHECKS[self.type](self, value)
        if checked is None and self.type != "Button":
            raise ClientError(f"{where or self.name}: must be {self.allowed()}, not {show(value)}")
        return checked

    def parse(self, frame: bytes) -> Any:
        """The value that a request's frame means: text for a String, a word such as ``on`` for a Bool,
        else JSON.

        Raises:
            ClientError: it is not allowed.
        """
        try:
            text = frame.decode()
        except UnicodeDecodeError:
            raise ClientError(f"{self.name}: not UTF-8 text") from None
        if self.type in ("String", "List", "Color"):
            return self.check(text)
        if self.type == "Button" or not text:
            return self.check(text or None)
        if self.type == "Bool":
            return self.check(WORDS.get(text.strip().lower(), text))
        try:
            value = load_json(text, self.name)
        except ClientError:
            raise ClientError(f"{self.name}: must be {self.allowed()}, not {show(text)}") from None
        return self.check(value)

    def describe(self) -> dict[str, Any]:
        """The field for a form: what an HTML page needs to render its input. Nothing is escaped here."""
        return {
            "name": self.name,
            "label": self.name.removesuffix("_s").replace("_", " ").capitalize(),
            "type": INPUTS[self.type],
            "unit": self.unit,
            "min": self.minimum,
            "max": self.maximum,
            "step": {"Int": 1, "Float": "any"}.get(self.type),
            "choices": list(self.choices),
            "readonly": False,
            "required": self.required,
            "nullable": self.nullable,
            "default": self.default,
            "help": self.info,
        }


def _bool(field: Field, value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _float(field: Field, value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    low = -math.inf if field.minimum is None else field.minimum
    high = math.inf if field.maximum is None else field.maximum
    return number if math.isfinite(number) and low <= number <= high else None


def _int(field: Field, value: object) -> int | None:
    number = _float(field, value)
    return int(number) if number is not None and number == int(number) else None


def _string(field: Field, value: object) -> str | None:
    return value if isinstance(value, str) and len(value) <= TEXT_MAX and value.isprintable() else None


def _list(field: Field, value: object) -> str | None:
    return value if isinstance(value, str) and value in field.choices else None


def _color(field: Field, value: object) -> str | None:
    if not isinstance(value, str) or len(value) != 7 or value[0] != "#":
        return None
    return value.lower() if all(digit in "0123456789abcdefABCDEF" for digit in value[1:]) else None


def _button(field: Field, value: object) -> None:
    if value is not None:
        raise ClientError(f"{field.name}: takes no value, not {show(value)}")


def _json(field: Field, value: object) -> Any:
    return field.checker(value) if field.checker is not None else value


_CHECKS: Mapping[str, Any] = {
    "Bool": _bool, "Float": _float, "Int": _int, "String": _string, "List": _list, "Color": _color,
    "Button": _button, "Json": _json,
}  # fmt: skip
