# SPDX-License-Identifier: GPL-3.0-or-later
"""The editor of a scenario: from its definition to the form's fields, and back; where a reason belongs.

The entries are rows of fields with the same names: ``entry_name``, ``entry_key``, ``entry_test``,
``entry_value``, ``entry_hysteresis``, ``entry_for_s``. A row without name and key is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from werkzeug.datastructures import MultiDict

from raspyweb.app.fields import Fields, line_error, text_of, value_of, whole
from raspyweb.app.texts import _

CODE_MAX = 64 * 1024
ENTRIES_MAX = 50
NONE, BELOW, ABOVE, EQUALS, CHANGES, BAD = TESTS = ("", "below", "above", "equals", "changes", "bad")
ANY_ALL = ("any", "all")
RESTARTS = ("failure", "never", "always")
NUMBERS = ("max_runtime_s", "restart_delay_s", "parallel", "memory_mb", "cpu_s")
ROW = ("name", "key", "test", "value", "hysteresis", "for_s")

# What a new scenario begins with; the numbers are core's defaults.
NEW: dict[str, Any] = {
    "conf": {"active": True, "startup": False, "when": "any", "restart": "failure", "max_runtime_s": 0,
             "restart_delay_s": 2, "parallel": 1, "memory_mb": 64, "cpu_s": 10, "info": ""},
    "entries": {},
    "code": "",
}  # fmt: skip

_LINE = re.compile(r"line (\d{1,6})(?:, column (\d{1,6}))?")
_ENTRY = re.compile(r"entry '([^']{1,64})'")

Row = dict[str, str]


def read(sent: MultiDict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The definition that a form means, and what is wrong in the form; of an entry by ``entry N``.

    What only core can judge is left to it; ``field_of`` says where its answer belongs.
    """
    fields = Fields(sent)
    conf: dict[str, Any] = {key: fields.flag(key) for key in ("active", "startup")}
    conf["when"] = fields.choice("when", ANY_ALL)
    conf["restart"] = fields.choice("restart", RESTARTS)
    conf["info"] = fields.line("info", longest=500)
    for name in NUMBERS:
        value = fields.number(name)
        if value is not None:
            conf[name] = whole(value)
    code = sent.get("code", "").replace("\r\n", "\n")
    if len(code.encode(errors="replace")) > CODE_MAX:
        fields.wrong("code", _("The code is longer than {count} bytes.", count=CODE_MAX))
    return {"entries": _entries(rows(sent), fields), "code": code, "conf": conf}, fields.errors


def rows(sent: MultiDict[str, str]) -> list[Row]:
    """The rows of entries that a form has, those without name and key left out."""
    columns = {part: sent.getlist(f"entry_{part}") for part in ROW}
    found = []
    for index in range(len(columns["name"])):
        row = {part: column[index].strip() if index < len(column) else "" for part, column in columns.items()}
        if row["name"] or row["key"]:
            found.append(row)
    return found


def fill(definition: Mapping[str, Any]) -> tuple[dict[str, str], list[Row]]:
    """The form's fields for a definition, and its rows of entries."""
    conf = definition["conf"]
    fields = {key: "on" for key in ("active", "startup") if conf.get(key)}
    fields |= {name: str(whole(conf[name])) for name in NUMBERS if name in conf}
    fields |= {key: str(conf.get(key, "")) for key in ("when", "restart", "info")}
    fields["code"] = str(definition["code"])
    return fields, [_row(name, entry) for name, entry in definition["entries"].items()]


def _row(name: str, entry: Mapping[str, Any]) -> Row:
    test = next((test for test in TESTS if test and test in entry), NONE)
    numbers = {part: str(whole(entry[part])) if part in entry else "" for part in ("hysteresis", "for_s")}
    value = text_of(entry[test]) if test in (BELOW, ABOVE, EQUALS) else ""
    if test in (BELOW, ABOVE):
        value = str(whole(entry[test]))
    return {"name": name, "key": str(entry["key"]), "test": test, "value": value, **numbers}


def _entries(found: list[Row], fields: Fields) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    if len(found) > ENTRIES_MAX:
        fields.wrong("entries", _("A scenario has at most {count} entries.", count=ENTRIES_MAX))
    for number, row in enumerate(found[:ENTRIES_MAX]):
        place = f"entry {number}"
        why = next(filter(None, map(line_error, row.values())), "")
        if why:
            fields.wrong(place, why)
        elif not row["name"]:
            fields.wrong(place, _("It needs a name, by which the code knows it."))
        elif row["name"] in entries:
            fields.wrong(place, _("There is another entry of this name."))
        elif row["test"] not in TESTS:
            fields.wrong(place, _("Choose one of those offered."))
        else:
            entries[row["name"]] = _entry(row, place, fields)
    return entries


def _entry(row: Row, place: str, fields: Fields) -> dict[str, Any]:
    entry: dict[str, Any] = {"key": row["key"]}
    test = row["test"]
    if test in (BELOW, ABOVE):
        number = fields.as_number(place, row["value"])
        if number is None:
            fields.wrong(place, _("Its condition needs a number to compare with."))
        entry[test] = None if number is None else whole(number)
    elif test == EQUALS:
        entry[test] = value_of(row["value"])
    elif test:
        entry[test] = True
    wanted = {"hysteresis": test in (BELOW, ABOVE), "for_s": test not in (NONE, CHANGES)}
    for part, goes in wanted.items():
        number = fields.as_number(place, row[part])
        # A field that the condition has no use for is hidden by the page's script, and may still be filled.
        if number is not None and goes:
            entry[part] = whole(number)
    return entry


def field_of(reason: str, found: list[Row]) -> str:
    """The field that core's reason is about: its name, ``entry N``, or ``""`` for the form as a whole."""
    entry = _ENTRY.match(reason)
    if entry:
        names = [row["name"] for row in found]
        return f"entry {names.index(entry[1])}" if entry[1] in names else "entries"
    if reason.startswith(("the code of ", "code must")):
        return "code"
    if "name of a scenario" in reason or reason.startswith("there is a scenario"):
        return "name"
    known = (*NUMBERS, "when", "restart", "info", "active", "startup")
    return next((name for name in known if reason.startswith(f"{name} must")), "")


def line_of(reason: str) -> int | None:
    """The line of the code that a reason is about: the last one that it names."""
    found = _LINE.findall(reason)
    return int(found[-1][0]) if found else None
