# SPDX-License-Identifier: GPL-3.0-or-later
"""A scenario as one text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.ctl import scenario_text
from raspy.ctl.errors import CtlError

LINES = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r"), max_size=200)


@given(LINES, st.dictionaries(st.text(max_size=10), st.integers() | st.text(max_size=10), max_size=3))
def test_what_is_written_is_read(code: str, conf: dict[str, object]) -> None:
    definition = {"conf": conf, "entries": {"lamp": "/device/a/b/c/d"}, "code": code}
    read = scenario_text.read(scenario_text.write(definition))
    assert read == {**definition, "code": code if code.endswith("\n") else code + "\n"}


def test_what_core_tells_besides_is_left_out() -> None:
    told = {"t": {"key": "/device/a/b/c/d", "below": 3, "value": 2, "quality": "good", "holds": True}}
    read = scenario_text.read(scenario_text.write({"conf": {}, "entries": told, "code": "pass\n"}))
    assert read["entries"] == {"t": {"key": "/device/a/b/c/d", "below": 3}}


def test_a_new_one_can_be_read() -> None:
    found = scenario_text.read(scenario_text.new())
    assert set(found) == {"conf", "entries", "code"}
    compile(found["code"], "new", "exec")


def test_line_ends_of_another_system() -> None:
    text = scenario_text.new().replace("\n", "\r\n")
    assert scenario_text.read(text)["code"].startswith("while")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{}", "is missing"),
        ("{\n--- code ---\n", "not JSON"),
        ("[]\n--- code ---\n", "must be"),
        ('{"code": ""}\n--- code ---\n', "must be"),
        ("[" * 100_000 + "\n--- code ---\n", "not JSON"),
    ],
)
def test_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(CtlError, match=reason):
        scenario_text.read(text)


@given(st.text(max_size=300))
def test_whatever_the_text_it_is_read_or_refused(text: str) -> None:
    try:
        found = scenario_text.read(text)
    except CtlError:
        return
    assert isinstance(found["code"], str)
