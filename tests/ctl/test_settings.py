# SPDX-License-Identifier: GPL-3.0-or-later
"""KEY=VALUE, and JSON."""

from __future__ import annotations

import json
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.ctl.settings import json_text, read, value_of

CONTEXT = click.Context(click.Command("x"))
ARGUMENT = click.Argument(["x"])


def taken(*words: str) -> dict[str, Any]:
    return read(CONTEXT, ARGUMENT, words)


def test_assignments() -> None:
    assert taken("poll=5", "safe=off", "unit=°F", "path=a=b", "empty=", "gone=none", 'list=["a"]') == {
        "poll": 5, "safe": False, "unit": "°F", "path": "a=b", "empty": "", "gone": None, "list": ["a"],
    }  # fmt: skip
    assert taken("command.key=/x", "command.value=on", "a.b.c=1") == {
        "command": {"key": "/x", "value": True}, "a": {"b": {"c": 1}},
    }  # fmt: skip
    assert taken() == {}


def test_one_object() -> None:
    assert taken(' {"cron": "30 7 * * *"}') == {"cron": "30 7 * * *"}


@pytest.mark.parametrize(
    "words", [["poll"], ["=5"], ["a.=5"], [".a=5"], ["{x"], ["a=1", "a.b=2"], ['{"a"'], ["[" * 9]]
)
def test_what_is_none(words: list[str]) -> None:
    with pytest.raises(click.BadParameter):
        taken(*words)


def test_a_number_that_json_does_not_know_is_text() -> None:
    assert value_of("NaN") == "NaN"
    assert value_of("[" * 100_000) == "[" * 100_000


@given(st.text(max_size=50))
def test_whatever_the_value_it_can_be_sent(text: str) -> None:
    assert json.loads(json_text(value_of(text))) == value_of(text)
