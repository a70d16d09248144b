# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raspy.common import MDP
from raspy.common.MDP import ClientError, NotFoundError
from raspy.servers.titanic import checks
from raspy.servers.titanic.keyvalue import WRITING, KeyValueStore


@pytest.fixture
def store(database) -> KeyValueStore:
    return KeyValueStore(database)


def frames(text: str) -> list[bytes]:
    return [word.encode() for word in text.split()]


def test_what_is_set_can_be_got(store):
    assert store.action(frames("set onewire devices tank {}")) == [b"200"]
    assert store.action(frames("get onewire devices tank")) == [b"200", b"{}"]


def test_values_are_any_bytes(store):
    value = bytes(range(256))
    store.set([b"s", b"x", b"k", value])
    assert store.get([b"s", b"x", b"k"]) == [value]


def test_several_keys_are_set_together(store):
    store.set(frames("s x a 1 b 2 c 3"))
    assert store.get(frames("s x")) == frames("a 1 b 2 c 3")


def test_setting_again_replaces(store):
    store.set(frames("s x a 1"))
    store.set(frames("s x a 2"))
    assert store.get(frames("s x a")) == [b"2"]


def test_an_empty_value_deletes_its_key_among_others(store):
    store.set(frames("s x a 1 b 2"))
    store.set([b"s", b"x", b"a", b"", b"c", b"3", b"nothing", b""])
    assert store.get(frames("s x")) == frames("b 2 c 3")


def test_services_and_sections_are_apart(store):
    store.set(frames("s x a 1"))
    store.set(frames("s y a 2"))
    store.set(frames("t x a 3"))
    assert store.get(frames("s x")) == frames("a 1")
    assert store.list([]) == frames("s t")
    assert store.list(frames("s")) == frames("x y")
    assert store.list(frames("s y")) == frames("a")
    assert store.list(frames("unknown")) == []


def test_delete_takes_a_key_or_a_section(store):
    store.set(frames("s x a 1 b 2"))
    store.delete(frames("s x a"))
    assert store.list(frames("s x")) == frames("b")
    store.delete(frames("s x"))
    assert store.list(frames("s")) == []


@pytest.mark.parametrize("request_", ["get s x a", "delete s x a", "delete s x"])
def test_what_is_not_there_is_404_with_a_reason(store, request_):
    status, reason = store.action(frames(request_))
    assert status == MDP.T_NOTFOUND
    assert b"titanic.store has no" in reason


def test_an_unknown_section_is_empty(store):
    assert store.action(frames("get s x")) == [b"200"]


@pytest.mark.parametrize(
    "request_",
    [
        "set",
        "set s x a",
        "set s x a 1 b",
        "get",
        "get s",
        "get s x a b",
        "delete s",
        "delete s x a b",
        "list s x a",
    ],
)
def test_the_wrong_number_of_frames_is_400(store, request_):
    status, reason = store.action(frames(request_))
    assert status == MDP.T_UNKNOWN
    assert b"takes" in reason


@pytest.mark.parametrize("request_", [[], [b"format"], [b"\xff\xfe"], [b"x" * 1000]])
def test_an_unknown_action_is_501(store, request_):
    status, reason = store.action(request_)
    assert status == MDP.T_NOTIMPLEMENTED
    assert b"delete, get, list, set" in reason


def test_a_wrong_pair_stores_none_of_them(store, database):
    with pytest.raises(ClientError, match="KEY"), database.transaction():
        store.set([b"s", b"x", b"a", b"1", b"\0", b"2"])
    assert store.get(frames("s x")) == []


def test_a_value_may_not_be_too_large(store):
    store.set([b"s", b"x", b"a", bytes(checks.MAX_VALUE_BYTES)])
    with pytest.raises(ClientError, match=f"{checks.MAX_VALUE_BYTES + 1} bytes"):
        store.set([b"s", b"x", b"a", bytes(checks.MAX_VALUE_BYTES + 1)])


def test_get_says_what_is_missing(store):
    with pytest.raises(NotFoundError, match="no key 'a' in section 'x' of 's'"):
        store.get(frames("s x a"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(
    st.lists(
        st.binary(max_size=30) | st.sampled_from([b"set", b"get", b"delete", b"list", b"s", b"x", b""]),
        max_size=7,
    )
)
def test_any_request_gets_a_status_first(store, database, request_):
    with database.transaction():
        reply = store.action(request_)
    assert reply[0] in (MDP.T_OK, MDP.T_UNKNOWN, MDP.T_NOTFOUND, MDP.T_NOTIMPLEMENTED)
    assert reply[0] == MDP.T_OK or len(reply) == 2


def test_only_reading_actions_are_spared_the_disk(store, database):
    store.action(frames("set s x a 1"))
    for action in ("get s x a", "list s", "set s x b 2", "delete s x a"):
        before = database.connection.total_changes
        store.action(frames(action))
        assert (database.connection.total_changes > before) == (frames(action)[0] in WRITING)
