# SPDX-License-Identifier: GPL-3.0-or-later
"""All texts in the reader's language. English stands in the pages; ``texts/LANGUAGE.json`` has the others.

A catalogue is one JSON object, keyed by the English text. ``{name}`` in a text stands for a value.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path

from flask import g, has_request_context, request

FOLDER = Path(__file__).with_name("texts")

LANGUAGES = {"en": "English", "fr": "Français"}
"""The languages there are, by code, each in its own words."""


@functools.cache
def catalogue(language: str) -> Mapping[str, str]:
    """The texts of a language by the English ones; empty for English."""
    path = FOLDER / f"{language}.json"
    if language not in LANGUAGES or language == "en" or not path.exists():
        return {}
    texts: Mapping[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return texts


def language() -> str:
    """The reader's language: what the user chose, else the first of what the browser asks for."""
    if not has_request_context():
        return "en"
    chosen: str | None = g.get("language")
    if chosen is None:
        # Here, or the two modules would need each other while they load.
        from raspyweb.app.auth import current_user

        user = current_user()
        preferred = user.preferences.get("language") if user is not None else None
        chosen = preferred if preferred in LANGUAGES else request.accept_languages.best_match(LANGUAGES)
        g.language = chosen = chosen or "en"
    return chosen


def _(text: str, **values: object) -> str:
    """A text in the reader's language.

    Args:
        text: in English; a text that the catalogue lacks stays so.
        values: for its ``{name}`` places.
    """
    found = catalogue(language()).get(text, text)
    return found.format(**values) if values else found
