# SPDX-License-Identifier: GPL-3.0-or-later
"""Values in words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.ctl import values
from raspy.ctl.output import Cell


@pytest.mark.parametrize(
    ("body", "cell"),
    [
        ({"value": 21.5, "unit": "°C", "quality": "good"}, Cell("21.5 °C")),
        ({"value": True, "unit": "", "quality": "good"}, Cell("on")),
        ({"value": 20.123456789}, Cell("20.1235")),
        ({"value": 12345678.9}, Cell("12345678.90")),
        ({"value": "#ff8800"}, Cell("#ff8800")),
        ({"value": {"a": 1}}, Cell('{"a": 1}')),
        ({"value": 3, "quality": "stale"}, Cell("3 (stale)", "warn")),
        ({"value": 3, "quality": "odd"}, Cell("3 (odd)", "warn")),
        ({"value": None, "quality": "fault", "error": "CRC error"}, Cell("fault: CRC error", "bad")),
        ({"value": None, "quality": "fault"}, Cell("fault: no reason given", "bad")),
    ],
)
def test_a_value_in_words(body: dict[str, Any], cell: Cell) -> None:
    assert values.styled(body) == cell


def test_what_is_no_value_of_a_device() -> None:
    assert values.body_of(b'{"value": 1}') == {"value": 1}
    assert values.body_of(b"[1]") == {"value": [1]}
    assert values.body_of(b"bare \xff") == {"value": "bare \ufffd"}
    assert values.body_of(None) == {"value": ""}


@given(st.binary(max_size=200))
def test_whatever_is_published_can_be_shown(body: bytes) -> None:
    assert isinstance(values.styled(values.body_of(body)).text, str)
