# SPDX-License-Identifier: GPL-3.0-or-later
"""All texts of the pages are in every catalogue, no other is, and their places for values are the same."""

from __future__ import annotations

import ast
import json
import re
import string
from collections.abc import Iterator
from pathlib import Path

import jinja2
import pytest
from jinja2 import nodes

import raspyweb
from raspyweb.accounts import ROLES, SCOPES
from raspyweb.app import MENU, create_app, shown, texts
from raspyweb.app.texts import LANGUAGES, _

ROOT = Path(raspyweb.__file__).parent
PYTHON = sorted(ROOT.rglob("*.py"))
TEMPLATES = sorted((ROOT / "app" / "templates").rglob("*.html"))
SCRIPTS = sorted((ROOT / "app" / "static").glob("*.js"))

# Whoever raises one of these says something that a page translates later.
TRANSLATED_LATER = {"_", "AccountError"}

# Words that come as values: systemd's states, the qualities, how a server is, the ranges of a graph.
WORDS = {
    *ROLES, *SCOPES,
    "active", "inactive", "failed", "activating", "deactivating", "reloading",
    "good", "stale", "fault", "running", "asleep", "silent", "day", "week", "month", "year",
}  # fmt: skip


def of_python(path: Path) -> Iterator[str]:
    """The texts of a module: the first argument of each call that translates."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
            continue
        if node.func.id in TRANSLATED_LATER:
            yield from _literals(node.args[0], path)


def _literals(node: ast.expr, path: Path) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _literals(node.body, path)
        yield from _literals(node.orelse, path)
    else:
        assert not isinstance(node, ast.JoinedStr), f"{path}:{node.lineno}: an f-string can't be translated"


def of_template(path: Path) -> Iterator[str]:
    """The texts of a template, in the same way."""
    tree = jinja2.Environment(autoescape=True).parse(path.read_text(encoding="utf-8"))
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name == "_" and call.args:
            for constant in [call.args[0]] if isinstance(call.args[0], nodes.Const) else []:
                yield constant.value


def used() -> set[str]:
    """All texts that a page may ask for."""
    found = {text for path in PYTHON for text in of_python(path)}
    found |= {text for path in TEMPLATES for text in of_template(path)}
    return found | {entry.text for entry in MENU} | {text for _s, text in shown._STEPS} | WORDS


def places(text: str) -> set[str]:
    """The names in braces."""
    return {name for _literal, name, _spec, _how in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
def test_a_catalogue_has_all_texts_and_no_other(language: str) -> None:
    catalogue = texts.catalogue(language)
    wanted = used()
    assert len(wanted) > 300, "the texts were not found"
    assert sorted(wanted - catalogue.keys()) == [], "texts without a translation"
    assert sorted(catalogue.keys() - wanted) == [], "translations of texts that nobody uses"


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
def test_a_translation_has_the_same_places_and_no_markup(language: str) -> None:
    for english, other in texts.catalogue(language).items():
        assert places(english) == places(other), english
        assert other.strip() and "<" not in other, english
        assert english[-1:] not in ".?" or other[-1:] in ".?", english


def test_a_catalogue_is_sorted_and_has_no_text_twice() -> None:
    for path in texts.FOLDER.glob("*.json"):
        pairs = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=list)
        names = [name for name, _text in pairs]
        assert names == sorted(set(names)), path


def test_no_script_has_texts_of_its_own_that_no_catalogue_knows() -> None:
    known = used()
    for path in SCRIPTS:
        for text in re.findall(r'\btext\("([^"]+)"', path.read_text(encoding="utf-8")):
            assert text in known, f"{path.name}: {text!r}"


def test_the_language_is_the_users_choice_or_the_browsers(tmp_path: Path) -> None:
    app = create_app({"TESTING": True, "DATA_DIR": tmp_path, "BROKER": f"ipc://{tmp_path}"})
    for asked, language in (
        ("fr-FR,fr;q=0.9,en;q=0.5", "fr"), ("en-GB", "en"), ("de", "en"), ("", "en"), ("x" * 900, "en"),
    ):  # fmt: skip
        with app.test_request_context(headers={"Accept-Language": asked}):
            assert texts.language() == language
            assert _("Journal of {name}", name="{x}") == (
                "Journal de {x}" if language == "fr" else "Journal of {x}"
            )
    app.extensions["raspy.bus"].close()


def test_outside_a_request_and_an_unknown_text() -> None:
    assert _("nobody has written this") == "nobody has written this"
    assert texts.catalogue("xx") == {}
