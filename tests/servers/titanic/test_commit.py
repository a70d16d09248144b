# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import sqlite3

import pytest

from raspy.servers.titanic.commit import Job, commit
from raspy.servers.titanic.database import Damage, Database, StorageError
from raspy.servers.titanic.keyvalue import KeyValueStore


class Workshop:
    """Jobs on a database whose transactions can be made to fail."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.store = KeyValueStore(database)

    def set(self, key: str, value: bytes = b"1", **how: bool) -> Job:
        return Job(lambda: [b"200", *self.store.set([b"s", b"x", key.encode(), value])], **how)

    def get(self, key: str) -> Job:
        return Job(lambda: [b"200", *self.store.get([b"s", b"x", key.encode()])], writes=False)

    def keys(self) -> list[bytes]:
        return self.store.list([b"s", b"x"])


@pytest.fixture
def shop(database) -> Workshop:
    return Workshop(database)


def test_a_group_is_one_transaction_and_answers_in_order(shop):
    before = shop.database.commits
    replies, trouble = commit(shop.database, [shop.set("a"), shop.set("b"), shop.get("a"), shop.set("c")])
    assert replies == [[b"200"], [b"200"], [b"200", b"1"], [b"200"]]
    assert trouble is None
    assert shop.database.commits == before + 1


def test_reading_alone_needs_no_transaction(shop):
    commit(shop.database, [shop.set("a")])
    before = shop.database.commits
    assert commit(shop.database, [shop.get("a")]) == ([[b"200", b"1"]], None)
    assert shop.database.commits == before


def test_a_full_database_refuses_the_group_but_not_what_is_steadfast(tmp_path):
    small = Database(tmp_path, max_mib=1)
    shop = Workshop(small)
    commit(small, [shop.set("a"), shop.set("b")])
    big = Job(
        lambda: [
            b"%d"
            % small.connection.execute(
                "INSERT INTO store VALUES ('s', 'x', 'big', zeroblob(?))", (small.max_pages * 4096,)
            ).rowcount
        ]
    )
    replies, trouble = commit(small, [shop.set("c"), big, shop.set("a", b"", steadfast=True), shop.get("b")])
    assert [reply[0] for reply in replies] == [b"500", b"500", b"200", b"200"]
    assert isinstance(trouble, StorageError)
    assert b"full" in replies[0][1]
    assert b"max_database_mib" in replies[0][1]
    assert replies[3] == [b"200", b"1"]
    assert shop.keys() == [b"b"]
    assert commit(small, [shop.set("d")])[1] is None
    small.close()


def test_a_steadfast_job_that_can_not_be_stored_either_says_so(tmp_path):
    small = Database(tmp_path, max_mib=1)
    big = Job(
        lambda: [
            b"%d"
            % small.connection.execute(
                "INSERT INTO store VALUES ('s', 'x', 'big', zeroblob(?))", (small.max_pages * 4096,)
            ).rowcount
        ],
        steadfast=True,
    )
    [(status, reason)], trouble = commit(small, [big])
    assert (status, b"full" in reason) == (b"500", True)
    assert trouble is not None
    small.close()


def test_damage_is_not_an_answer(shop):
    def work() -> list[bytes]:
        raise Damage("page 7 is nonsense")

    with pytest.raises(sqlite3.DatabaseError, match="page 7"):
        commit(shop.database, [shop.set("a"), Job(work)])
    assert shop.keys() == []
