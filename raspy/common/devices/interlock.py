# SPDX-License-Identifier: GPL-3.0-or-later
"""What an actuator's configuration says about other devices of the same server.

An interlock is a JSON object of one of two kinds::

    {"never_with": "cooler"}
        never both on: this device and `cooler` (it counts for both, wherever it is written)

    {"only_while": "tank", "minimum": 18, "maximum": 27.5, "command": "temperature"}
        away from its safe state only while `tank` is good, and its value between the two

Of `minimum` and `maximum` either or both may be left out, and `command` where it is the other
device's main one. A Bool counts as 1 or 0; with no limit given it must be true, so that
``{"only_while": "pump"}`` means "while the pump is on".
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from raspy.common.devices.field import check_name, show
from raspy.common.MDP import ClientError

INTERLOCKS_MAX = 16
"""The most interlocks of one device."""

NEVER_WITH = "never_with"
ONLY_WHILE = "only_while"


class Interlock(NamedTuple):
    """One interlock, checked.

    Args:
        kind: `NEVER_WITH` or `ONLY_WHILE`.
        device: the other device's name; with a subdevice's after a dot.
        command: which of its values; ``""`` for the main one.
        minimum: the least value; None for no limit.
        maximum: the greatest value; None for no limit.
    """

    kind: str
    device: str
    command: str = ""
    minimum: float | None = None
    maximum: float | None = None

    def allows(self, value: Any) -> bool:
        """Whether a good value of the other device lies where it must."""
        if isinstance(value, bool) and self.minimum is None and self.maximum is None:
            return value
        if self.minimum is None and self.maximum is None:
            return True
        if not isinstance(value, (int, float)):
            return False
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        return low <= value <= high

    def limits(self) -> str:
        """The limits in words, for a sentence."""
        if self.minimum is not None and self.maximum is not None:
            return f"between {self.minimum:g} and {self.maximum:g}"
        if self.minimum is not None:
            return f"at least {self.minimum:g}"
        return f"at most {self.maximum:g}" if self.maximum is not None else "on"


def read_interlock(item: dict[str, Any]) -> Interlock:
    """The interlock that a checked JSON object means."""
    if NEVER_WITH in item:
        return Interlock(NEVER_WITH, item[NEVER_WITH])
    limits = item.get("minimum"), item.get("maximum")
    return Interlock(ONLY_WHILE, item[ONLY_WHILE], item.get("command", ""), *limits)


def check_interlocks(value: object) -> list[dict[str, Any]]:
    """Check the `interlocks` of a configuration.

    Raises:
        ClientError: not a list of the objects above, or too many of them.
    """
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ClientError(f"interlocks: must be a list of objects, not {show(value)}")
    if len(value) > INTERLOCKS_MAX:
        raise ClientError(f"interlocks: {len(value)} of them, at most {INTERLOCKS_MAX} are allowed")
    return [_check_one(f"interlocks[{number}]", item) for number, item in enumerate(value)]


def _check_one(where: str, item: dict[str, Any]) -> dict[str, Any]:
    kinds = [kind for kind in (NEVER_WITH, ONLY_WHILE) if kind in item]
    if len(kinds) != 1:
        raise ClientError(f"{where}: must have one of {NEVER_WITH!r} and {ONLY_WHILE!r}, not {show(item)}")
    kind = kinds[0]
    allowed = {kind} if kind == NEVER_WITH else {kind, "command", "minimum", "maximum"}
    for key in item:
        if key not in allowed:
            raise ClientError(f"{where}: {show(key)} is not known; allowed: {', '.join(sorted(allowed))}")
    checked: dict[str, Any] = {kind: _check_device(f"{where}.{kind}", item[kind])}
    for key in ("minimum", "maximum"):
        limit = item.get(key)
        if limit is None:
            continue
        if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not abs(limit) < 1e12:
            raise ClientError(f"{where}.{key}: must be a number, not {show(limit)}")
        checked[key] = limit
    if "minimum" in checked and "maximum" in checked and checked["minimum"] > checked["maximum"]:
        raise ClientError(f"{where}: minimum {checked['minimum']:g} is above maximum {checked['maximum']:g}")
    command = item.get("command")
    if command is not None:
        if not isinstance(command, str) or not command.isidentifier():
            raise ClientError(f"{where}.command: must be the name of a command, not {show(command)}")
        checked["command"] = command
    return checked


def _check_device(where: str, name: object) -> str:
    try:
        if not isinstance(name, str):
            return check_name(name)
        return ".".join(check_name(part) for part in name.split(".", 1))
    except ClientError as error:
        raise ClientError(f"{where}: {error}") from None
