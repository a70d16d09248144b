# SPDX-License-Identifier: GPL-3.0-or-later
"""What the journal explains with ``journalctl -x``, from the message catalog."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

CATALOG = Path(__file__).resolve().parents[3] / "systemd" / "catalog" / "raspy.catalog"


def markdown(_argument: str) -> Iterator[str]:
    """The entries of the catalog, as a list of definitions."""
    for entry in re.split(r"^-- [0-9a-f]{32}$", CATALOG.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        head, _, text = entry.strip().partition("\n\n")
        subject = re.search(r"^Subject: (.+)$", head, re.MULTILINE)
        assert subject, f"an entry of {CATALOG} has no subject"
        yield f"{_shown(subject[1])}"
        first, *more = re.split(r"\n\n+", text)
        yield f":   {_shown(first)}\n"
        for paragraph in more:
            yield f"    {_shown(paragraph)}\n"


def _shown(text: str) -> str:
    """One line; fields of the message as names, commands as code."""
    flowing = re.sub(r"@RASPY_(\w+)@", lambda field: field[1], " ".join(text.split()))
    return re.sub(r"'((?:journalctl|systemctl|timedatectl) [^']*(?:\"[^\"]*\")?[^']*)'", r"`\1`", flowing)
