# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raspy.common.MDP import ClientError, ServerError
from raspy.servers.titanic.commit import commit
from raspy.servers.titanic.desk import Desk
from raspy.servers.titanic.keyvalue import KeyValueStore

ID = b"0123456789abcdef" * 2


class Delivery:
    """Remembers what it is told to deliver."""

    def __init__(self) -> None:
        self.woken: list[str] = []
        self.full = False

    def knows(self, service: str) -> bool:
        return not self.full

    def wake(self, service: str) -> None:
        self.woken.append(service)


@pytest.fixture
def delivery() -> Delivery:
    return Delivery()


@pytest.fixture
def desk(database, requests, delivery) -> Desk:
    return Desk(requests, KeyValueStore(database), database, delivery, max_requests=5)


def done(database, *jobs):
    replies, trouble = commit(database, jobs)
    assert trouble is None
    return replies


def test_a_request_is_stored_and_delivery_told(desk, database, delivery, requests):
    [[status, id]] = done(database, desk.request([b"pi.a.x", b"on"]))
    assert status == b"200"
    assert uuid.UUID(id.decode()).version == 8
    assert delivery.woken == ["pi.a.x"]
    assert requests.find(bytes.fromhex(id.decode()))[1:] == ("pi.a.x", [b"on"])


def test_nothing_is_done_before_the_commit(desk, delivery, requests):
    desk.request([b"pi.a.x", b"on"])
    assert delivery.woken == []
    assert requests.total() == 0


def test_a_group_of_all_kinds(desk, database):
    submitted = done(database, desk.submit([ID, b"pi.a.x", b"on"]))
    assert submitted == [[b"200", ID]]
    replies = done(
        database,
        desk.submit([ID, b"pi.a.x", b"on"]),
        desk.reply([ID]),
        desk.close([ID]),
        desk.reply([ID]),
        desk.store([b"set", b"s", b"x", b"k", b"v"]),
        desk.store([b"get", b"s", b"x", b"k"]),
    )
    assert replies[:3] == [[b"200", ID], [b"300"], [b"200"]]
    assert replies[3][0] == b"400"
    assert replies[4:] == [[b"200"], [b"200", b"v"]]


def test_only_what_changes_something_is_written(desk):
    assert not desk.reply([ID]).writes
    assert not desk.store([b"get", b"s", b"x"]).writes
    assert not desk.store([]).writes
    assert desk.store([b"delete", b"s", b"x"]).writes
    assert desk.close([ID]).steadfast


def test_too_many_requests_and_services_are_refused(desk, database, delivery):
    done(database, *[desk.request([b"pi.a.x", b"on"]) for _ in range(5)])
    with pytest.raises(ServerError, match="max_requests"):
        desk.request([b"pi.a.x", b"on"])
    delivery.full = True
    with pytest.raises(ServerError):
        desk.request([b"pi.b.x", b"on"])


def test_more_than_there_is_room_for_is_refused_within_one_group(desk, database):
    database.max_pages = database.used_pages() + 60
    desk.measure()
    desk.request([b"pi.a.x", bytes(100_000)])
    with pytest.raises(ServerError, match="max_database_mib"):
        desk.request([b"pi.a.x", bytes(100_000)])


frames = st.binary(max_size=40) | st.sampled_from([ID, b"pi.a.x", b"set", b"", b"\0"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(st.sampled_from(["request", "submit", "reply", "close", "store"]), st.lists(frames, max_size=5))
def test_whatever_comes_is_answered_or_refused_with_a_reason(desk, database, service, body):
    try:
        job = getattr(desk, service)(body)
    except (ClientError, ServerError) as error:
        assert str(error)
    else:
        [[status, *_]] = done(database, job)
        assert status in (b"200", b"300", b"400", b"404", b"501")
