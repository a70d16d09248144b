# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of devices in words and colours."""

from __future__ import annotations

import json
from typing import Any

from raspy.ctl.output import Cell

_SWITCHED = {True: "on", False: "off"}
_STYLES = {"stale": "warn", "fault": "bad"}


def body_of(body: bytes | None) -> dict[str, Any]:
    """What a key of the tree holds, as JSON; of what is no JSON object, the value alone."""
    try:
        value = json.loads(body or b"")
    except (ValueError, RecursionError):
        return {"value": (body or b"").decode(errors="replace")}
    return value if isinstance(value, dict) else {"value": value}


def in_words(value: Any) -> str:
    """A value alone: ``on``, ``21.5``, text; lists and objects as JSON."""
    if isinstance(value, bool):
        return _SWITCHED[value]
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.2f}"
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def styled(body: dict[str, Any]) -> Cell:
    """A value as it is published: with its unit, and its quality when that is not good."""
    quality = body.get("quality")
    if quality == "fault" or "error" in body:
        return Cell(f"fault: {body.get('error', 'no reason given')}", "bad")
    text = f"{in_words(body.get('value'))} {body.get('unit') or ''}".strip()
    if quality in (None, "good"):
        return Cell(text)
    return Cell(f"{text} ({quality})", _STYLES.get(str(quality), "warn"))
