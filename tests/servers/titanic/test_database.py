# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import logging
import os
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from raspy.servers.titanic import database as module
from raspy.servers.titanic import schema
from raspy.servers.titanic.database import FILE, Damage, Database, DatabaseUnusableError, StorageError
from raspy.servers.titanic.keyvalue import KeyValueStore
from raspy.servers.titanic.requests import Requests
from raspy.servers.titanic.schema import DONE, FAILED, WAITING
from tests.support.processes import child_env

NOBODY = 65534
VERSION_1 = Path(__file__).with_name("version1.sql")


def fill(database: Database, keys: int = 50, size: int = 1000) -> None:
    """Store so many keys in one transaction."""
    store = KeyValueStore(database)
    with database.transaction():
        for key in range(keys):
            store.set([b"s", b"x", b"k%d" % key, bytes([key % 256]) * size])


def keys(database: Database) -> int:
    return len(KeyValueStore(database).list([b"s", b"x"]))


def layout(folder: Path) -> tuple[int, set[str]]:
    """The version, and the names of tables and indexes."""
    with contextlib.closing(sqlite3.connect(folder / FILE)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
        return connection.execute("PRAGMA user_version").fetchone()[0], {name for (name,) in names}


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """What root does inside, it does with nobody's rights; anyone else keeps their own."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


# A new one, and one that is there.


def test_a_new_database_has_what_durability_needs(database):
    def pragma(name: str) -> object:
        return database.connection.execute(f"PRAGMA {name}").fetchone()[0]

    assert pragma("journal_mode") == "wal"
    assert pragma("synchronous") == 2  # FULL
    assert pragma("auto_vacuum") == 2  # INCREMENTAL
    assert pragma("user_version") == schema.VERSION
    assert pragma("max_page_count") == 64 * 256


def test_what_was_committed_is_there_after_opening_again(tmp_path):
    first = Database(tmp_path)
    fill(first)
    first.close()
    first.close()
    second = Database(tmp_path)
    assert keys(second) == 50
    second.close()


def test_the_folder_is_made(tmp_path):
    Database(tmp_path / "a" / "b").close()
    assert (tmp_path / "a" / "b" / FILE).exists()


def test_an_exception_in_a_transaction_undoes_it(database):
    with pytest.raises(KeyError), database.transaction():
        KeyValueStore(database).set([b"s", b"x", b"k", b"1"])
        raise KeyError
    assert keys(database) == 0
    assert not database.connection.in_transaction


def test_one_folder_has_one_titanic(tmp_path):
    first = Database(tmp_path)
    with pytest.raises(DatabaseUnusableError, match="another titanic uses"):
        Database(tmp_path)
    first.close()
    Database(tmp_path).close()


# Layouts.


def make_version_1(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    with contextlib.closing(sqlite3.connect(folder / FILE, isolation_level=None)) as connection:
        connection.executescript(VERSION_1.read_text())


def test_an_older_layout_is_brought_up_to_date(tmp_path, caplog):
    make_version_1(tmp_path)
    caplog.set_level(logging.INFO)
    database = Database(tmp_path)
    assert "from layout 1 to 2" in caplog.text
    requests = Requests(database)
    assert requests.counts == {WAITING: 2, DONE: 1, FAILED: 1}
    first = requests.next("pi.a.x", 0)
    assert (first.seq, first.tries, first.body) == (3, 2, [b"abc"])
    assert requests.next("pi.a.x", 3).body == [b"def", b""]
    assert requests.reply(bytes(15) + b"\5") == [b"200", b"ok", b"200"]
    assert requests.reply(bytes(15) + b"\6") == [b"500", b"why"]
    # Ages by a wall clock that was wrong once are not taken over: nothing expires from that.
    assert requests.sweep(max_age_s=100, keep_s=100) == (0, 0)
    assert KeyValueStore(database).get([b"onewire", b"devices", b"tank"]) == [b"{}"]
    database.close()


def test_a_migrated_database_has_the_layout_of_a_new_one(tmp_path):
    make_version_1(tmp_path / "old")
    Database(tmp_path / "old").close()
    Database(tmp_path / "new").close()
    assert layout(tmp_path / "old") == layout(tmp_path / "new")


def test_a_migration_that_fails_leaves_the_old_layout(tmp_path, monkeypatch):
    make_version_1(tmp_path)

    def fail_late(connection: sqlite3.Connection) -> None:
        steps[1](connection)
        raise sqlite3.OperationalError("power cut")

    steps = dict(schema._STEPS)
    monkeypatch.setitem(schema._STEPS, 1, fail_late)
    before = layout(tmp_path)
    with pytest.raises(DatabaseUnusableError, match="power cut"):
        Database(tmp_path)
    assert layout(tmp_path) == before
    monkeypatch.undo()
    Database(tmp_path).close()
    assert layout(tmp_path)[0] == schema.VERSION


def test_a_newer_layout_is_refused_and_left_as_it_is(tmp_path):
    Database(tmp_path).close()
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(DatabaseUnusableError, match=r"layout 3, made by a newer RasPy.*install the newer"):
        Database(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


def test_a_foreign_database_is_refused_and_left_as_it_is(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("CREATE TABLE requests (what)")
        connection.execute("INSERT INTO requests VALUES ('mine')")
        connection.commit()
    with pytest.raises(DatabaseUnusableError, match="requests already exists"):
        Database(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as connection:
        assert connection.execute("SELECT what FROM requests").fetchall() == [("mine",)]


# Damage.


def damaged(folder: Path, keep: int = 200) -> bytes:
    """A database with rubbish in the middle of its file."""
    database = Database(folder)
    fill(database)
    database.close()
    content = bytearray((folder / FILE).read_bytes())
    content[keep : len(content) - keep] = random.Random(1).randbytes(len(content) - 2 * keep)
    (folder / FILE).write_bytes(content)
    return bytes(content)


def test_a_damaged_database_is_put_aside_and_a_new_one_started(tmp_path, caplog):
    content = damaged(tmp_path)
    database = Database(tmp_path)
    [aside] = tmp_path.glob(f"{FILE}.corrupt-*")
    assert aside.read_bytes() == content
    assert f"put aside as {aside.name}" in caplog.text
    assert ".recover" in caplog.text
    assert keys(database) == 0
    fill(database)
    database.close()


@pytest.mark.parametrize(
    "content", [b"this is no database, and longer than its header of 100 bytes" * 4, b"\0" * 9999]
)
def test_what_is_no_database_is_put_aside(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    Database(tmp_path).close()
    [aside] = tmp_path.glob(f"{FILE}.corrupt-*")
    assert aside.read_bytes() == content


def test_its_log_is_put_aside_with_it(tmp_path):
    database = Database(tmp_path / "a")
    fill(database)
    shutil.copytree(tmp_path / "a", tmp_path / "b")  # as after a SIGKILL: the log is not in the file yet
    database.close()
    (tmp_path / "b" / FILE).write_bytes(b"")
    log = (tmp_path / "b" / f"{FILE}-wal").read_bytes()
    Database(tmp_path / "b").close()
    [aside] = (tmp_path / "b").glob(f"{FILE}.corrupt-*-wal")
    assert aside.read_bytes() == log


def test_only_the_last_few_are_kept_aside(tmp_path, monkeypatch):
    for number in range(5):
        monkeypatch.setattr(module.time, "strftime", lambda *_, number=number: f"20260101T00000{number}")
        (tmp_path / FILE).write_bytes(b"rubbish" * 100)
        Database(tmp_path).close()
        [aside] = tmp_path.glob(f"*T00000{number}-*")
        aside.with_name(f"{aside.name}-wal").write_bytes(b"its log")
    asides = sorted(path.name.partition("T")[2][:6] for path in tmp_path.glob(f"{FILE}.corrupt-*"))
    assert asides == ["000002", "000002", "000003", "000003", "000004", "000004"]


@pytest.mark.parametrize("seed", range(20))
def test_a_flipped_bit_is_found_or_harmless(tmp_path, seed):
    """Whatever a worn card does to one byte, opening ends with a database that can be used."""
    chance = random.Random(seed)
    database = Database(tmp_path)
    fill(database)
    database.close()
    content = bytearray((tmp_path / FILE).read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    (tmp_path / FILE).write_bytes(content)
    try:
        opened = Database(tmp_path)
    except DatabaseUnusableError as error:
        assert "layout" in str(error)  # the bit was in the version: refusing is right
        return
    assert keys(opened) in (0, 50)
    fill(opened, keys=3)
    opened.close()


def test_damage_that_shows_later_is_raised_as_such(database):
    with pytest.raises(Damage), database.transaction():
        raise Damage("a page is nonsense")
    with pytest.raises(sqlite3.OperationalError) as caught, database.transaction():
        error = sqlite3.OperationalError("database disk image is malformed")
        error.sqlite_errorname = "SQLITE_CORRUPT_INDEX"
        raise error
    assert module.is_damage(caught.value)


# Disks.


def test_a_folder_that_can_not_be_written_is_refused(run_dir):
    run_dir.chmod(0o555)
    with as_nobody(), pytest.raises(DatabaseUnusableError, match=r"can't write in .*--data-dir"):
        Database(run_dir / "state")


def test_a_read_only_database_is_refused(run_dir):
    Database(run_dir).close()
    for path in run_dir.iterdir():
        path.chmod(0o666 if path.name == module.LOCK else 0o444)
    run_dir.chmod(0o555)
    with (
        as_nobody(),
        pytest.raises(DatabaseUnusableError, match=r"readonly database.*can be written by this user"),
    ):
        Database(run_dir)
    run_dir.chmod(0o755)


def test_a_file_system_that_becomes_read_only_is_said_and_survived(database):
    fill(database)
    database.connection.execute("PRAGMA query_only = 1")
    with pytest.raises(StorageError, match="has become read-only"):
        fill(database)
    assert keys(database) == 50
    database.connection.execute("PRAGMA query_only = 0")
    fill(database, keys=60)
    assert keys(database) == 60


def test_a_disk_that_fails_is_said_and_survived(database):
    fill(database)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    log = database.path.with_name(f"{FILE}-wal")
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, hard))
    try:
        with pytest.raises(StorageError, match=r"the disk of .* (is full|fails)"):
            fill(database, keys=500)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert keys(database) == 50
    fill(database, keys=60)
    assert keys(database) == 60


def test_a_full_disk_refuses_and_recovers(run_dir):
    """On a real small file system where one can be mounted; else with files that may not grow."""
    isolated = (
        ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    )
    can = subprocess.run(
        [*isolated, "mount", "-t", "tmpfs", "tmpfs", run_dir], capture_output=True, check=False
    )
    done = subprocess.run(
        [
            *(isolated if can.returncode == 0 else []),
            sys.executable,
            "-m",
            "tests.servers.titanic.full_disk",
            run_dir,
            "tmpfs" if can.returncode == 0 else "limit",
        ],
        env=child_env(run_dir),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "refused: full",
        "the first is still there",
        "closing works",
        "stored again",
        "opened again",
    ]


def test_the_file_shrinks_when_rows_are_gone(database):
    fill(database, keys=1000)
    database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    large = database.path.stat().st_size
    with database.transaction():
        database.connection.execute("DELETE FROM store")
    used, free = database.used_pages(), database.free_pages()
    assert free > 200
    database.shrink(100)
    assert (database.used_pages(), database.free_pages()) == (used, free - 100)
    database.shrink(free)
    assert database.free_pages() == 0
    database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert database.path.stat().st_size == database.size_bytes() < large / 10
