# SPDX-License-Identifier: GPL-3.0-or-later
"""A scenario as one text to edit: conf and entries as JSON, a line, and the code::

{
    "conf": {"startup": true},
    "entries": {"lamp": "/device/pi/fake/lamp/state"}
}
---------------- code ----------------
scenario.command("lamp", True, hold=60)
"""

from __future__ import annotations

import json
import re
from typing import Any

from raspy.ctl.errors import CtlError

LINE = "-" * 16 + " code " + "-" * 16
_LINE = re.compile(r"^-{3,} *code *-{3,}[ \t\r]*$", re.MULTILINE)
# What core tells of an entry besides how it was defined.
_DEFINED = ("key", "below", "above", "equals", "changes", "bad", "hysteresis", "for_s")

NEW = {"conf": {}, "entries": {"tank": "/device/HOST/SERVER/DEVICE/COMMAND"}}
NEW_CODE = """\
while scenario.wait(60):
    if scenario["tank"].good:
        scenario.log(f"the tank has {scenario['tank'].value}")
"""


def write(definition: dict[str, Any]) -> str:
    """A scenario, as core tells it or as ``read`` returns it, as text."""
    entries = {}
    for name, entry in definition["entries"].items():
        own = {key: entry[key] for key in _DEFINED if key in entry} if isinstance(entry, dict) else entry
        entries[name] = own["key"] if isinstance(own, dict) and set(own) == {"key"} else own
    head = json.dumps({"conf": definition["conf"], "entries": entries}, ensure_ascii=False, indent=4)
    code = definition["code"]
    return f"{head}\n{LINE}\n{code}" + ("" if code.endswith("\n") else "\n")


def new() -> str:
    """The text of a scenario that is to be written."""
    return write({**NEW, "code": NEW_CODE})


def read(text: str) -> dict[str, Any]:
    """A scenario from its text.

    Raises:
        CtlError: the line is missing, or what stands before it is no JSON object.
    """
    line = _LINE.search(text)
    if line is None:
        raise CtlError(f"the line '{LINE}' between the JSON and the code is missing")
    try:
        head = json.loads(text[: line.start()])
    except (ValueError, RecursionError) as error:
        raise CtlError(f"what stands before the code is not JSON: {error}") from error
    if not isinstance(head, dict) or set(head) - {"conf", "entries"}:
        raise CtlError('what stands before the code must be {"conf": {...}, "entries": {...}}')
    return {**head, "code": text[line.end() :].removeprefix("\n")}
