# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages between core and a scenario: whole, bounded, or refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raspy.servers.core.sandbox.wire import LINE_BYTES, Lines, WireError, encode

objects = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=9)
        | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=5,
    ),
    max_size=4,
)


@settings(max_examples=50)
@given(st.lists(objects, max_size=5), st.integers(1, 40))
def test_arrives_whole_however_it_is_cut(messages: list[dict[str, Any]], size: int) -> None:
    stream = b"".join(map(encode, messages))
    lines = Lines()
    found = [one for at in range(0, len(stream), size) for one in lines.feed(stream[at : at + size])]
    assert found == messages


@given(st.binary(max_size=100))
def test_anything_is_a_message_or_refused(data: bytes) -> None:
    lines = Lines()
    try:
        for message in lines.feed(data + b"\n"):
            assert isinstance(message, dict)
    except WireError as error:
        assert str(error)


@pytest.mark.parametrize("line", [b"\n", b"[]\n", b"7\n", b"{\n", b"\xff\n", b"[" * 100_000 + b"\n"])
def test_what_is_no_message(line: bytes) -> None:
    with pytest.raises(WireError):
        list(Lines().feed(line))


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_has_an_end(end: bytes) -> None:
    with pytest.raises(WireError, match="more than"):
        list(Lines().feed(b" " * (LINE_BYTES + 1) + end))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), "x" * LINE_BYTES])
def test_what_can_t_be_sent(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        encode({"x": value})


def test_half_a_character_comes_over() -> None:
    assert (
        list(Lines().feed(encode({"x": "\ud800"}))) == [{"x": "\ud800"}] == [json.loads('{"x": "\\ud800"}')]
    )
