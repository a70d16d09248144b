# SPDX-License-Identifier: GPL-3.0-or-later
"""What a verb is handed."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raspy.ctl.session import Session

TEXT = st.text(st.characters(), max_size=60)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.recursive(TEXT | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=3)))
def test_json_is_harmless_and_what_it_was(capsys: pytest.CaptureFixture[str], value: object) -> None:
    Session().print_json(value, one_line=True)
    shown = capsys.readouterr().out
    assert json.loads(shown) == value
    assert not any(ord(letter) in range(0x7F, 0xA0) or letter in "\x1b\u202e\u2028" for letter in shown)


def test_what_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    session = Session()
    session.done("it is added", ["x"])
    assert capsys.readouterr() == ("it is added\n", "")
    session.as_json = True
    session.done("it is added", ["x"])
    session.say("by the way")
    assert capsys.readouterr() == ('[\n  "x"\n]\n', "by the way\n")


def test_an_empty_table(capsys: pytest.CaptureFixture[str]) -> None:
    session = Session()
    session.table(("a", "b"), [], "nothing")
    session.table(("a", "b"), [])
    assert capsys.readouterr().out == "nothing\n"
    session.close()
