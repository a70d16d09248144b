# SPDX-License-Identifier: GPL-3.0-or-later
"""Interlocks as they are configured."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.common.devices.interlock import NEVER_WITH, ONLY_WHILE, Interlock, check_interlocks, read_interlock
from raspy.common.MDP import ClientError


def test_both_kinds() -> None:
    given_ = [
        {"never_with": "cooler"},
        {"only_while": "tank", "minimum": 18, "maximum": 27.5, "command": "temperature"},
        {"only_while": "tv.volume", "minimum": None},
    ]
    checked = check_interlocks(given_)
    assert checked == [*given_[:2], {"only_while": "tv.volume"}]
    assert [read_interlock(item) for item in checked] == [
        Interlock(NEVER_WITH, "cooler"),
        Interlock(ONLY_WHILE, "tank", "temperature", 18, 27.5),
        Interlock(ONLY_WHILE, "tv.volume"),
    ]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("tank", "must be a list of objects"),
        ([["never_with"]], "must be a list of objects"),
        ([{}], "must have one of"),
        ([{"never_with": "a", "only_while": "b"}], "must have one of"),
        ([{"never_with": "a", "minimum": 1}], '"minimum" is not known'),
        ([{"only_while": "a", "below": 1}], '"below" is not known; allowed: command, maximum'),
        ([{"never_with": "a/b"}], "interlocks[0].never_with: name"),
        ([{"never_with": 5}], "interlocks[0].never_with: name"),
        ([{"never_with": "a.b.c"}], "name"),
        ([{"only_while": "a"}, {"only_while": "a", "minimum": "1"}], "interlocks[1].minimum: must be"),
        ([{"only_while": "a", "maximum": True}], "must be a number"),
        ([{"only_while": "a", "maximum": float("nan")}], "must be a number"),
        ([{"only_while": "a", "minimum": 2, "maximum": 1}], "minimum 2 is above maximum 1"),
        ([{"only_while": "a", "command": "a b"}], "the name of a command"),
        ([{"never_with": "a"}] * 17, "at most 16"),
    ],
)
def test_refused(value: object, words: str) -> None:
    with pytest.raises(ClientError) as caught:
        check_interlocks(value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("minimum", "maximum", "value", "allowed", "words"),
    [
        (None, None, 5.0, True, "on"),
        (None, None, True, True, "on"),
        (None, None, False, False, "on"),
        (1, 2, 1, True, "between 1 and 2"),
        (1, 2, 2.001, False, "between 1 and 2"),
        (1, None, 0.9, False, "at least 1"),
        (None, 2, 1e9, False, "at most 2"),
        (0, 0, False, True, "between 0 and 0"),
        (0, 0, True, False, "between 0 and 0"),
        (0, 1, "on", False, "between 0 and 1"),
        (0, 1, None, False, "between 0 and 1"),
    ],
)
def test_limits(minimum: float, maximum: float, value: object, allowed: bool, words: str) -> None:
    interlock = Interlock(ONLY_WHILE, "x", "", minimum, maximum)
    assert interlock.allows(value) is allowed
    assert interlock.limits() == words


KEYS = st.sampled_from(["never_with", "only_while", "minimum", "maximum", "command", "x"])
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=4), max_size=3))
def test_whatever_is_accepted_is_accepted_again(value: list[dict[str, object]]) -> None:
    try:
        checked = check_interlocks(value)
    except ClientError as error:
        assert str(error).startswith("interlocks")
        return
    assert check_interlocks(checked) == checked
    for item in checked:
        read_interlock(item)
