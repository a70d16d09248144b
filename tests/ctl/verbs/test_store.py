# SPDX-License-Identifier: GPL-3.0-or-later
"""raspyctl store."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.ctl import Ctl, CtlStack


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[CtlStack]:
    started = CtlStack(home, "titanic")
    started.ask("titanic.store", "set", "pi.fake", "devices", "tank", '{"oid": "x"}', "lamp", "bare")
    yield started
    started.close()


@pytest.fixture
def ready(ctl: Ctl, stack: CtlStack) -> Ctl:
    return ctl.use(stack.url)


def test_list(ready: Ctl) -> None:
    assert ["pi.fake"] in ready("store").rows()
    assert ready("store", "list", "pi.fake").rows() == [["devices"]]
    assert ready("store", "list", "pi.fake", "devices", "--json").json() == ["lamp", "tank"]
    assert ready("store", "list", "pi.fke").err == (
        "raspyctl: there is no service in the store 'pi.fke'; did you mean pi.fake?\n"
    )
    assert ready("store", "list", "pi.fake", "device").status == 3


def test_get(ready: Ctl) -> None:
    assert ready("store", "get", "pi.fake", "devices", "tank").out == '{"oid": "x"}\n'
    assert ready("store", "get", "pi.fake", "devices", "tank", "--json").json() == {"oid": "x"}
    assert ready("store", "get", "pi.fake", "devices").rows() == [["lamp", "bare"], ["tank", '{"oid": "x"}']]
    assert ready("store", "get", "pi.fake", "devices", "--json").json() == {
        "lamp": "bare",
        "tank": {"oid": "x"},
    }


def test_what_is_not_there(ready: Ctl) -> None:
    assert "did you mean tank" in ready("store", "get", "pi.fake", "devices", "tnk").err
    assert "did you mean devices" in ready("store", "get", "pi.fake", "device", "tank").err
    assert ready("store", "get", "pi.fake", "device").status == 3
    assert ready("store", "delete", "pi.fake", "device").status == 3


def test_set_and_delete(ready: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ready("store", "set", "a", "b", "c", "-5").out == "a b c is stored.\n"
    assert ready("store", "get", "a", "b", "c").out == "-5\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff")))
    assert ready("store", "set", "a", "b", "d", "-").status == 0
    assert ready("store", "get", "a", "b", "d").out == "\\xff\n"
    empty = ready("store", "set", "a", "b", "c", "")
    assert empty.status == 1 and "raspyctl store delete" in empty.err
    assert ready("store", "delete", "a", "b", "c").status == 0
    assert ready("store", "delete", "a", "b", "--json").json() == ["a", "b"]
    assert ready("store", "list", "a").status == 3


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=60).filter(lambda text: text != "-"))
def test_any_names_and_values(ready: Ctl, key: str, value: str) -> None:
    """Stored and read back, or refused; and what is shown is one harmless line."""
    stored = ready("store", "set", "--", "x", "y", key, value)
    assert stored.status in (0, 1, 2)
    if stored.status == 0:
        shown = ready("store", "get", "--", "x", "y", key)
        assert shown.status == 0 and shown.out[:-1].isprintable()
