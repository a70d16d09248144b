# SPDX-License-Identifier: GPL-3.0-or-later
"""The store's interface over a dictionary, for what needs no titanic; and one whose titanic is away."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from raspy.common.MDP import ServerError


class MemoryStore:
    """Keeps JSON, as titanic does, so that nothing is shared with who saved it."""

    away = False

    def __init__(self) -> None:
        self.sections: dict[str, dict[str, str]] = {}

    def load(self, section: str) -> dict[str, Any]:
        return {key: json.loads(text) for key, text in self.sections.get(section, {}).items()}

    def save(self, section: str, values: Mapping[str, Any]) -> None:
        kept = self.sections.setdefault(section, {})
        for key, value in values.items():
            kept.pop(key, None)
            if value is not None:
                kept[key] = json.dumps(value)


class AwayStore(MemoryStore):
    """Titanic does not answer."""

    away = True

    def save(self, section: str, values: Mapping[str, Any]) -> None:
        raise ServerError("titanic is away")
