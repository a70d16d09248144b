# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors that say what was perhaps meant."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from raspy.ctl import errors


def test_what_was_perhaps_meant() -> None:
    there = ["pi/fake/tank", "pi/fake/heater", "house/fake/heater"]
    assert (
        str(errors.missing("device", "tnk", there)) == "there is no device 'tnk'; did you mean pi/fake/tank?"
    )
    assert errors.nearest("heatr", there) == ["pi/fake/heater", "house/fake/heater"]
    assert str(errors.missing("device", "x", [])) == "there is no device 'x', nor any other"
    assert str(errors.missing("job", "x", ["zebra"])) == "there is no job 'x'; there are: zebra"
    many = errors.missing("job", "x", [f"zebra{number}" for number in range(12)])
    assert str(many).endswith("zebra5 and 4 more")


def test_each_has_its_status() -> None:
    found = [one.status for one in (errors.CtlError, errors.WrongUse, errors.NotFound, errors.NoBroker)]
    assert found == [1, 2, 3, 4]


@given(st.text(max_size=20), st.lists(st.text(max_size=20), max_size=10))
def test_whatever_the_names(name: str, there: list[str]) -> None:
    assert repr(name) in str(errors.missing("device", name, there))
