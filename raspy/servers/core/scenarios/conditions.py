# SPDX-License-Identifier: GPL-3.0-or-later
"""What an entry of a scenario looks at, and whether its condition holds.

An entry is a friendly name for a key of the key/value tree, with at most one condition:

=============== =======================================================================
``key``         ``/device/HOST/NAME/DEVICE/COMMAND``, ``/event/...`` or ``/scenario/...``
``below``       a number: holds when the value is less
``above``       a number: holds when the value is greater
``equals``      any JSON value: holds when the value is the same
``changes``     true: holds for a moment, each time the value changes
``bad``         true: holds while there is no value to trust: missing, stale or fault
``hysteresis``  with ``below`` and ``above``: by how much the value must come back before it holds no more
``for_s``       how long it must have held without a break, in seconds, before it counts
=============== =======================================================================

Only ``bad`` holds for a value that is missing, stale or a fault: such a value is never "below" anything.
"""

from __future__ import annotations

import json
import math
from typing import Any

from raspy.common import MDP
from raspy.servers.core import names

TESTS = ("below", "above", "equals", "changes", "bad")
KEYS = ("key", *TESTS, "hysteresis", "for_s")
GOOD, STALE, FAULT, MISSING = "good", "stale", "fault", "missing"
NUMBER = 1e12
FOR_S = 30 * 86400
# A value that is longer, or has more lists and objects in it, is none for a scenario.
BODY_BYTES = 4096
BRACKETS = 100
# A value is stale when three polls are overdue, as the broker has it.
POLLS = 3


def check_entry(entry: object) -> dict[str, Any]:
    """The entry, if it is one.

    Raises:
        ClientError: something in it is wrong.
    """
    if isinstance(entry, str):
        entry = {"key": entry}
    if not isinstance(entry, dict):
        raise MDP.ClientError('an entry is {"key": "/device/..."} with a condition if you want one')
    names.only(entry, "an entry", KEYS)
    checked: dict[str, Any] = {"key": names.check_key(entry.get("key"))}
    tests = [test for test in TESTS if test in entry]
    if len(tests) > 1:
        raise MDP.ClientError(f"an entry has at most one condition, and this one has {' and '.join(tests)}")
    for test in tests:
        checked[test] = _CHECKS[test](entry[test])
    if "hysteresis" in entry:
        if not {"below", "above"} & set(tests):
            raise MDP.ClientError("hysteresis goes with below and above only")
        checked["hysteresis"] = names.number(entry["hysteresis"], "hysteresis", 0, NUMBER)
    if "for_s" in entry:
        if not tests or "changes" in tests:
            raise MDP.ClientError("for_s goes with below, above, equals and bad only")
        checked["for_s"] = names.number(entry["for_s"], "for_s", 0, FOR_S)
    return checked


def _equals(value: object) -> object:
    if len(json.dumps(value)) > names.VALUE_BYTES:
        raise MDP.ClientError(f"equals is limited to {names.VALUE_BYTES} characters")
    return value


def _true(value: object) -> bool:
    if value is not True:
        raise MDP.ClientError("changes and bad are either true or left out")
    return True


_CHECKS = {
    "below": lambda value: names.number(value, "below", -NUMBER, NUMBER),
    "above": lambda value: names.number(value, "above", -NUMBER, NUMBER),
    "equals": _equals,
    "changes": _true,
    "bad": _true,
}


class Entry:
    """One entry of a scenario: the last value of its key, and the state of its condition.

    Args:
        name: the friendly name.
        definition: as ``check_entry`` returned it.

    Attributes:
        value: the last value; None when it is missing or a fault.
        quality: good, stale, fault or missing.
        unit: the value's unit, "" if it has none.
        time: when the value was measured, seconds since the epoch; None when it is missing.
        error: with a fault: why.
        holds: whether the condition counts now, ``for_s`` included.
    """

    __slots__ = (
        "_changed",
        "_event_time",
        "_stale_at",
        "_true_since",
        "definition",
        "error",
        "holds",
        "key",
        "name",
        "quality",
        "time",
        "unit",
        "value",
    )

    def __init__(self, name: str, definition: dict[str, Any]) -> None:
        self.name = name
        self.definition = definition
        self.key: str = definition["key"]
        self.value: Any = None
        self.quality = MISSING
        self.unit = ""
        self.time: float | None = None
        self.error = ""
        self.holds = False
        self._true_since: float | None = None
        self._changed = False
        self._event_time: float | None = None
        self._stale_at: float | None = None

    @property
    def seen(self) -> bool:
        """Whether its key was there at the last look."""
        return self.quality != MISSING

    @property
    def conditional(self) -> bool:
        """Whether it has a condition; without one it never fires anything."""
        return any(test in self.definition for test in TESTS)

    def update(self, body: bytes, now: float, live: bool = True) -> bool:
        """Take a new body of the key.

        Args:
            body: as it came from the broker; empty when the key was deleted.
            now: monotonic time, in seconds.
            live: it happened now; False for what was there when core began to look.

        Returns:
            Whether anything that the scenario can see is different.
        """
        before = (self.value, self.quality, self.time)
        if not body:
            self._missing()
        elif self.key.startswith("/event/"):
            self._event(body)
            # The same event comes again after a restart of the broker; it carries the same time.
            self._changed = live and self.time != self._event_time
            self._event_time = self.time
        else:
            self._value(body, now)
            # The first value that is seen is no change: it was there before, only core was not.
            self._changed = before[1] != MISSING and self.quality == GOOD and self.value != before[0]
        return before != (self.value, self.quality, self.time)

    def age(self, now: float) -> bool:
        """Make a value stale whose polls are overdue: its server or the broker is gone. True if it did."""
        if self._stale_at is None or now < self._stale_at or self.quality != GOOD:
            return False
        self.quality = STALE
        return True

    def evaluate(self, now: float) -> bool:
        """Whether the condition came true with this look: the moment that fires a scenario.

        Args:
            now: monotonic time, in seconds.
        """
        if "changes" in self.definition:
            came, self._changed = self._changed, False
            self.holds = came
            return came
        if not self._test():
            self._true_since = None
            self.holds = False
            return False
        if self._true_since is None:
            self._true_since = now
        held = self.holds
        self.holds = now - self._true_since >= self.definition.get("for_s", 0)
        return self.holds and not held

    def due_at(self) -> float | None:
        """When ``age`` or ``evaluate`` may find something without an update, monotonic; None for never."""
        due = []
        if self._true_since is not None and not self.holds:
            due.append(self._true_since + self.definition.get("for_s", 0))
        if self._stale_at is not None and self.quality == GOOD:
            due.append(self._stale_at)
        return min(due, default=None)

    def view(self) -> dict[str, Any]:
        """What the scenario's code sees of it."""
        seen: dict[str, Any] = {
            "value": self.value,
            "quality": self.quality,
            "unit": self.unit,
            "time": self.time,
        }
        if self.error:
            seen["error"] = self.error
        return seen

    def _missing(self) -> None:
        self.value, self.quality, self.unit, self.time, self.error = None, MISSING, "", None, ""
        self._stale_at = None

    def _event(self, body: bytes) -> None:
        parsed = _parse(body)
        self.quality, self.unit, self.error = GOOD, "", ""
        self.value = parsed.get("event", parsed.get("value"))
        self.time = _number(parsed.get("time"))

    def _value(self, body: bytes, now: float) -> None:
        parsed = _parse(body)
        quality = parsed.get("quality", GOOD)
        self.quality = quality if quality in (GOOD, STALE, FAULT) else FAULT
        self.value = None if self.quality == FAULT else parsed.get("value")
        if self.value is None:
            self.quality = FAULT
        self.unit = str(parsed.get("unit") or "")[:32]
        self.time = _number(parsed.get("time"))
        self.error = str(parsed.get("error") or "")[:500] if self.quality == FAULT else ""
        poll_s = _number(parsed.get("poll")) or 0.0
        self._stale_at = now + POLLS * poll_s if poll_s > 0 and self.quality == GOOD else None

    def _test(self) -> bool:
        definition = self.definition
        if "bad" in definition:
            return self.quality != GOOD
        if self.quality != GOOD:
            return False
        if "equals" in definition:
            # JSON's true is no 1, Python's is.
            wanted = definition["equals"]
            return bool(self.value == wanted) and isinstance(self.value, bool) == isinstance(wanted, bool)
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)):
            return False
        margin = definition.get("hysteresis", 0.0) if self._true_since is not None else 0.0
        if "below" in definition:
            return bool(self.value < definition["below"] + margin)
        if "above" in definition:
            return bool(self.value > definition["above"] - margin)
        return False


def _parse(body: bytes) -> dict[str, Any]:
    """The JSON object of a body; what is not one counts as a fault with the text for its error."""
    parsed = None
    # Only so deep that whoever passes it on can write it down again.
    if len(body) <= BODY_BYTES and body.count(b"[") + body.count(b"{") <= BRACKETS:
        try:
            parsed = json.loads(body, parse_constant=_finite, parse_float=_finite)
        except ValueError:
            parsed = None
    if isinstance(parsed, dict):
        return parsed
    return {"quality": FAULT, "error": f"not a value: {body[:60]!r}"}


def _finite(text: str) -> float:
    """A number, if it is one that JSON has: NaN, Infinity and 1e999 are not.

    Raises:
        ValueError: it is not.
    """
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _number(value: object) -> float | None:
    """The value as a float; None if it is no number, or no float holds it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
