# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that come from outside, and where a command for a device goes: checked in one place."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from raspy.common import MDP

# One part of a key or of a service's name: no slash, no dot, nothing to escape.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}\Z")
KEY_BYTES = 400
TREES = ("/device/", "/event/", "/scenario/")
# What a command may carry, in bytes of JSON.
VALUE_BYTES = 4096


class DeviceCommand(NamedTuple):
    """One command of one device, as its key/value key names it.

    Args:
        service: who carries it out, ``HOST.NAME.devices``.
        device: the device's name there.
        command: the command's name.
    """

    service: str
    device: str
    command: str


def check_name(name: str | bytes, what: str) -> str:
    """The name as text, if it can be one of *what* (``"scenario"``, ``"cron job"``).

    Raises:
        ClientError: it is empty, too long, or has other characters than letters, digits, _ and -.
    """
    text = name.decode(errors="replace") if isinstance(name, bytes) else name
    if not isinstance(text, str) or not NAME.match(text):
        raise MDP.ClientError(
            f"{_short(text)} can't be the name of a {what}: use 1 to 64 letters, digits, _ and -,"
            " and don't begin with -"
        )
    return text


def check_key(key: object) -> str:
    """A key of the key/value tree that can be looked at.

    Raises:
        ClientError: it is not below one of the trees.
    """
    if not isinstance(key, str) or len(key.encode()) > KEY_BYTES or not key.startswith(TREES) or "//" in key:
        raise MDP.ClientError(
            f"{_short(key)} is no key: it begins with {', '.join(TREES)}, as /device/HOST/NAME/DEVICE/COMMAND"
        )
    return key


def device_command(key: object) -> DeviceCommand:
    """Where the command goes that ``/device/HOST/NAME/DEVICE/COMMAND`` is the value of.

    Raises:
        ClientError: the key is not of a device's command.
    """
    parts = check_key(key).split("/")
    if len(parts) != 6 or parts[1] != "device" or not all(parts[2:]):
        raise MDP.ClientError(f"{_short(key)} is not of a device's command: /device/HOST/NAME/DEVICE/COMMAND")
    return DeviceCommand(MDP.routing_key(parts[2], parts[3]) + ".devices", parts[4], parts[5])


def json_object(body: bytes | str, what: str) -> dict[str, Any]:
    """The JSON object in *body*.

    Raises:
        ClientError: it is not JSON, or another kind of value.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MDP.ClientError(f"{what} must be JSON: {error}") from error
    if not isinstance(value, dict):
        raise MDP.ClientError(f"{what} must be a JSON object {{...}}, not {_short(value)}")
    return value


def number(value: object, what: str, minimum: float, maximum: float) -> float:
    """*value* as a float in the range.

    Raises:
        ClientError: it is not a number, or out of range.
    """
    # Written so that a NaN, which compares false with everything, is refused.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not minimum <= value <= maximum:
        raise MDP.ClientError(f"{what} must be a number from {minimum:g} to {maximum:g}, not {_short(value)}")
    return float(value)


def flag(value: object, what: str) -> bool:
    """*value*, if it is true or false.

    Raises:
        ClientError: it is something else.
    """
    if not isinstance(value, bool):
        raise MDP.ClientError(f"{what} must be true or false, not {_short(value)}")
    return value


def text(value: object, what: str, longest: int) -> str:
    """*value*, if it is a text of at most *longest* characters.

    Raises:
        ClientError: it is something else.
    """
    if not isinstance(value, str) or len(value) > longest:
        raise MDP.ClientError(f"{what} must be a text of at most {longest} characters, not {_short(value)}")
    return value


def one_of(value: object, what: str, choices: tuple[str, ...]) -> str:
    """*value*, if it is one of *choices*.

    Raises:
        ClientError: it is something else.
    """
    if not isinstance(value, str) or value not in choices:
        raise MDP.ClientError(f"{what} must be one of {', '.join(choices)}, not {_short(value)}")
    return value


def only(values: dict[str, Any], what: str, allowed: tuple[str, ...]) -> None:
    """Refuse what *what* does not have, so that a misspelt key does not pass unseen.

    Raises:
        ClientError: there is another key than those *allowed*.
    """
    for key in values:
        if key not in allowed:
            raise MDP.ClientError(f"{what} has no {_short(key)}; it has: {', '.join(allowed)}")


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."
