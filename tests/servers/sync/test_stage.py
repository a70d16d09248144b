# SPDX-License-Identifier: GPL-3.0-or-later
"""Safe copies of what is being written: real databases and real RRDs, under a real rrdcached."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from raspy.servers.logger.rrd.rrdcached import RrdCached
from raspy.servers.sync import stage as stage_module
from raspy.servers.sync.stage import StageError, Where, stage
from tests.conftest import Processes, wait_for

from .conftest import tree

START = 1_700_000_000


def fill(path: Path, rows: int, mode: str = "wal") -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    database.execute(f"PRAGMA journal_mode={mode}")
    database.execute("PRAGMA synchronous=OFF")
    database.execute("CREATE TABLE t (n INTEGER, m INTEGER)")
    database.execute("BEGIN")
    database.executemany("INSERT INTO t VALUES (?, ?)", ((n, -n) for n in range(rows)))
    database.execute("COMMIT")
    return database


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def make(source: Path, tmp_path: Path, tick: object = lambda: None) -> Path:
    """Make the safe copies; returns their folder."""
    stage(source, tmp_path / "stage", Where(tmp_path / "ours", [tmp_path]), tick)  # type: ignore[arg-type]
    return tmp_path / "stage"


def rows(path: Path) -> int:
    database = sqlite3.connect(path)
    try:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        count, total = database.execute("SELECT count(*), sum(n + m) FROM t").fetchone()
        assert total in (0, None)  # both columns of each row, or neither
        return int(count)
    finally:
        database.close()


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_database_with_what_is_not_in_its_file_yet(source: Path, tmp_path: Path, mode: str) -> None:
    path = source / "a b#?%.db"
    living = fill(path, 100, mode)
    path.chmod(0o640)
    if mode == "wal":
        assert (source / "a b#?%.db-wal").stat().st_size > 0
    copies = make(source, tmp_path)
    assert list(tree(copies)) == ["a b#?%.db"]  # and no -wal or -shm
    assert rows(copies / path.name) == 100
    assert (copies / path.name).stat().st_mode & 0o777 == 0o640
    newest = max(one.stat().st_mtime_ns for one in source.iterdir() if not one.name.endswith("-shm"))
    assert (copies / path.name).stat().st_mtime_ns == newest  # so that rsync sees when nothing changed
    living.close()


def test_a_database_that_is_written_all_the_time(source: Path, tmp_path: Path) -> None:
    path = source / "busy.db"
    living = fill(path, 20_000)
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            living.execute("INSERT INTO t VALUES (7, -7)")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert rows(make(source, tmp_path) / "busy.db") >= 20_000
    finally:
        done.set()
        writer.join()
        living.close()


def test_a_locked_database_is_an_error(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_module, "BUSY_S", 0.1)
    living = fill(source / "x.db", 1, "delete")
    living.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StageError, match=r"can't make a safe copy of .*x\.db: database is locked"):
        make(source, tmp_path)
    living.close()


def test_a_damaged_database_is_an_error(source: Path, tmp_path: Path) -> None:
    (source / "x.sqlite").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    with pytest.raises(StageError, match=r"x\.sqlite"):
        make(source, tmp_path)


def test_other_files_are_left_to_rsync(source: Path, tmp_path: Path) -> None:
    (source / "notes.txt").write_text("x")
    (source / "thumbs.db").write_text("not SQLite")
    (source / "empty.db").touch()
    (source / "link.db").symlink_to("/etc/passwd")
    assert not stage(source, tmp_path / "stage", Where(tmp_path / "ours", [tmp_path]), lambda: None)
    assert not (tmp_path / "stage").exists()


def test_folders_look_like_the_sources(source: Path, tmp_path: Path) -> None:
    (source / "a" / "b").mkdir(parents=True)
    fill(source / "a" / "b" / "x.db3", 1, "delete").close()
    (source / "a").chmod(0o750)
    for folder, moment in (("a/b", 1000), ("a", 2000), (".", 3000)):
        os.utime(source / folder, (moment, moment))
    copies = make(source, tmp_path)
    assert [(copies / f).stat().st_mtime for f in ("a/b", "a", ".")] == [1000, 2000, 3000]
    assert (copies / "a").stat().st_mode & 0o777 == 0o750


def test_a_single_file(source: Path, tmp_path: Path) -> None:
    fill(source / "x.db", 3).close()
    assert rows(make(source / "x.db", tmp_path) / "x.db") == 3
    (source / "y.txt").touch()
    assert not stage(source / "y.txt", tmp_path / "stage", Where(tmp_path / "ours", [tmp_path]), lambda: None)


def test_our_own_folder_is_not_looked_at(source: Path, tmp_path: Path) -> None:
    ours = source / "sync"
    ours.mkdir()
    fill(ours / "x.db", 1).close()
    assert not stage(source, tmp_path / "stage", Where(ours, [tmp_path]), lambda: None)


def test_a_tick_ends_it(source: Path, tmp_path: Path) -> None:
    living = fill(source / "x.db", 20_000)
    ticks = iter(range(3))

    def tick() -> None:
        if next(ticks, None) is None:
            raise InterruptedError("enough")

    with pytest.raises(StageError, match="enough"):
        make(source, tmp_path, tick)
    living.close()


# RRDs


def create(path: Path) -> None:
    subprocess.run(
        ["rrdtool", "create", str(path), "--start", str(START), "--step", "1", "DS:v:GAUGE:10:U:U",
         "RRA:AVERAGE:0.5:1:100"],
        check=True,
    )  # fmt: skip


def last(path: Path) -> int:
    done = subprocess.run(["rrdtool", "last", str(path)], check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.fixture
def cached(source: Path, run_dir: Path, processes: Processes) -> Iterator[RrdCached]:
    """An rrdcached that holds one value for source/rrd/x y.rrd, which the file hasn't got yet."""
    folder = source / "rrd"
    folder.mkdir()
    create(folder / "x y.rrd")
    path = run_dir / "rrdcached.sock"
    (source / "rrdcached.sock").symlink_to(path)  # where it is looked for; short, as a socket's path must be
    command = ["rrdcached", "-g", "-l", f"unix:{path}", "-b", str(folder), "-B", "-p", str(run_dir / "pid")]
    child = processes.start_command("rrdcached", command)
    wait_for(path.is_socket)
    connection = RrdCached(path)
    connection.command("UPDATE", folder / "x y.rrd", f"{START + 5}:42")
    yield connection
    connection.close()
    child.stop()


def test_an_rrd_is_copied_with_what_rrdcached_holds(source: Path, tmp_path: Path, cached: RrdCached) -> None:
    path = source / "rrd" / "x y.rrd"
    assert last(path) == START
    copies = make(source, tmp_path)
    assert list(tree(copies)) == ["rrd/", "rrd/x y.rrd"]
    assert last(copies / "rrd" / "x y.rrd") == START + 5


def test_rrdcached_writes_again_afterwards(source: Path, tmp_path: Path, cached: RrdCached) -> None:
    path = source / "rrd" / "x y.rrd"
    make(source, tmp_path)
    cached.command("UPDATE", path, f"{START + 9}:43")
    cached.flush(path)
    assert last(path) == START + 9


def test_what_a_killed_server_left_suspended_goes_on(source: Path, tmp_path: Path, cached: RrdCached) -> None:
    path = source / "rrd" / "x y.rrd"
    cached.flush(path)
    cached.command("SUSPEND", path)
    cached.command("UPDATE", path, f"{START + 9}:43")
    assert last(make(source, tmp_path) / "rrd" / "x y.rrd") == START + 9


def test_an_rrd_that_rrdcached_does_not_know(source: Path, tmp_path: Path, cached: RrdCached) -> None:
    create(source / "rrd" / "other.rrd")
    assert last(make(source, tmp_path) / "rrd" / "other.rrd") == START


def test_an_rrd_without_rrdcached(source: Path, tmp_path: Path) -> None:
    create(source / "x.rrd")
    copies = make(source, tmp_path)
    assert (copies / "x.rrd").read_bytes() == (source / "x.rrd").read_bytes()
    assert (copies / "x.rrd").stat().st_mtime_ns == (source / "x.rrd").stat().st_mtime_ns


def test_an_rrdcached_that_is_gone_is_an_error(source: Path, tmp_path: Path, run_dir: Path) -> None:
    folder = run_dir / "source"
    folder.mkdir()
    create(folder / "x.rrd")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / "rrdcached.sock"))
    with pytest.raises(StageError, match="Connection refused"):
        stage(folder, tmp_path / "stage", Where(tmp_path / "ours", [run_dir]), lambda: None)


def test_a_person_names_the_socket(source: Path, tmp_path: Path, run_dir: Path, cached: RrdCached) -> None:
    (source / "rrdcached.sock").unlink()
    for socket_path, moment in ((None, START), (run_dir / "rrdcached.sock", START + 5)):
        where = Where(tmp_path / "ours", [tmp_path], socket_path)
        assert stage(source, tmp_path / "stage", where, lambda: None)
        assert last(tmp_path / "stage" / "rrd" / "x y.rrd") == moment
