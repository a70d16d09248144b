# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raspy.common.MDP import ClientError, ServerError
from raspy.common.store import Store
from tests.conftest import wait_for
from tests.support.titanic import TitanicStack


@pytest.fixture(scope="module")
def stack() -> Iterator[TitanicStack]:
    with tempfile.TemporaryDirectory(prefix="raspy-", dir="/tmp") as home:
        running = TitanicStack(Path(home))
        yield running
        running.close()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "state" / "store.json"


@pytest.fixture
def store(stack: TitanicStack, copy: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store of the test's own, with a local copy."""
    opened = Store(stack.url, request.node.name[:100], copy=copy)
    yield opened
    opened.close()


@pytest.fixture
def away(run_dir: Path, copy: Path) -> Iterator[Store]:
    """A store whose titanic is not there."""
    opened = Store(f"ipc://{run_dir}", "onewire", copy=copy, timeout_s=0.2)
    yield opened
    opened.close()


def test_what_is_saved_is_loaded_as_it_was(store):
    values = {"tank": {"oid": "sensor.temperature", "poll": 10.5}, "list": [1, None, "Bécs"], "off": False}
    store.save("devices", values)
    assert store.load("devices") == values
    assert not store.away


def test_sections_are_apart_and_unknown_ones_empty(store):
    store.save("a", {"k": 1})
    store.save("b", {"k": 2})
    assert store.load("a") == {"k": 1}
    assert store.load("c") == {}


def test_saving_keeps_other_keys_and_none_deletes(store):
    store.save("devices", {"a": 1, "b": 2})
    store.save("devices", {"a": None, "c": 3})
    assert store.load("devices") == {"b": 2, "c": 3}
    store.save("devices", {})
    assert store.load("devices") == {"b": 2, "c": 3}


def test_what_a_person_set_as_a_bare_word_is_text(store, stack, caplog):
    stack.ask("titanic.store", "set", store.service, "x", "word", "hello", "number", "5", "bytes", b"\xff")
    assert store.load("x") == {"word": "hello", "number": 5}
    assert "'bytes'" in caplog.text or "b'bytes'" in caplog.text


def test_a_name_that_titanic_refuses_is_a_client_error(store):
    with pytest.raises(ClientError):
        store.save("no\nsection", {"k": 1})
    with pytest.raises(ClientError):
        store.load("")


def test_a_value_that_is_no_json_is_refused_before_anything_is_sent(store):
    with pytest.raises(TypeError):
        store.save("x", {"good": 1, "bad": object()})
    assert store.load("x") == {}


@settings(deadline=None, max_examples=50)
@given(
    st.dictionaries(
        st.text(st.sampled_from("abcXYZ0189_-./ éß水"), min_size=1, max_size=20),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text(max_size=50)
        | st.lists(st.integers(), max_size=5),
        max_size=6,
    )
)
def test_any_json_comes_back(stack, values):
    with_client = Store(stack.url, "hypothesis")
    try:
        with_client.save("x", dict.fromkeys(with_client.load("x")))
        with_client.save("x", values)
        assert with_client.load("x") == {key: value for key, value in values.items() if value is not None}
    finally:
        with_client.close()


# The local copy.


def test_the_copy_holds_what_was_saved_and_loaded(store, stack, copy):
    store.save("a", {"k": 1})
    assert json.loads(copy.read_text()) == {"a": {"k": 1}}
    stack.ask("titanic.store", "set", store.service, "b", "other", "2")
    store.load("b")
    assert json.loads(copy.read_text()) == {"a": {"k": 1}, "b": {"other": 2}}
    store.save("a", {"k": None})
    assert json.loads(copy.read_text()) == {"b": {"other": 2}}


def test_the_copy_is_written_only_when_something_changed(store, copy):
    store.save("a", {"k": 1})
    before = copy.stat().st_ino
    store.load("a")
    store.save("a", {"k": 1})
    assert copy.stat().st_ino == before


def test_when_titanic_is_away_the_copy_is_loaded(run_dir, copy, caplog):
    copy.parent.mkdir()
    copy.write_text('{"devices": {"tank": 1}}')
    away = Store(f"ipc://{run_dir}", "onewire", copy=copy, timeout_s=0.2)
    assert away.load("devices") == {"tank": 1}
    assert away.load("others") == {}
    assert away.away
    assert "titanic is away" in caplog.text
    away.close()


def test_when_titanic_is_away_saving_fails_and_the_copy_stays(away, copy):
    with pytest.raises(ServerError, match=r"no answer from titanic\.store"):
        away.save("devices", {"k": 1})
    assert away.away
    assert not copy.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', "\x00"])
def test_a_damaged_copy_is_said_and_ignored(run_dir, copy, caplog, content):
    copy.parent.mkdir()
    copy.write_text(content)
    away = Store(f"ipc://{run_dir}", "onewire", copy=copy, timeout_s=0.1)
    assert away.load("a") == {}
    assert str(copy) in caplog.text
    away.close()


def test_a_copy_that_can_not_be_written_does_not_stop_saving(stack, tmp_path, caplog):
    (tmp_path / "file").touch()
    store = Store(stack.url, "no-folder", copy=tmp_path / "file" / "copy")
    store.save("a", {"k": 1})
    assert store.load("a") == {"k": 1}
    assert "is out of date" in caplog.text
    store.close()


def test_it_is_back_by_itself_when_titanic_is(run_dir, copy):
    stack = TitanicStack(run_dir)
    store = Store(stack.url, "onewire", copy=copy, timeout_s=0.5)
    store.save("a", {"k": 1})
    stack.titanic.kill()
    stack.broker.kill()
    assert store.load("a") == {"k": 1}
    assert store.away
    stack.broker.start()
    stack.start()
    wait_for(lambda: store.load("a") == {"k": 1} and not store.away, what="titanic to be back")
    store.close()
    store.close()
    stack.close()
