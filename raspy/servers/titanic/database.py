# SPDX-License-Identifier: GPL-3.0-or-later
"""Titanic's one SQLite database: opened, checked, migrated, kept small.

Write-ahead log with ``synchronous=FULL``: a transaction that was committed is on the disk. What each
trouble leads to:

======================== =====================================================================
trouble                  what happens
======================== =====================================================================
damaged file, at start   put aside under another name, with a message; a new one is started
damaged file, later      the daemon ends with an error, and puts it aside when it is started again
newer layout             refused: nothing is changed
folder can't be written  refused at start; later what writes is answered 500 until it is mended
disk or file full        what needs room is answered 500; closing goes on and makes room
======================== =====================================================================

Source: https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html
"""

import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from raspy.common import MDP
from raspy.servers.titanic import schema

log = logging.getLogger(__name__)

FILE = "titanic.db"
LOCK = "titanic.lock"
PAGE_BYTES = 4096
# The log is never cut below this, more than it has between checkpoints: overwriting a file takes the disk
# less than making it longer, which is entered in the file system's journal too.
_LOG_KEPT_BYTES = 8 << 20
_CACHE_KIB = 512
# How long to wait for another program (a backup) that is reading or writing the file.
_BUSY_S = 5.0
_PARTS = ("", "-wal", "-shm")
_ASIDES_KEPT = 3
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


class DatabaseUnusableError(OSError):
    """The database can't be used and must not be touched; the message says what to do."""


class StorageError(MDP.ServerError):
    """A write did not reach the disk; nothing of it was stored."""


class Damage(sqlite3.DatabaseError):
    """What SQLite's own check found in the file."""


class Database:
    """The open database.

    Arguments:
        folder: titanic's state folder; made if missing.
        max_mib: how large the file may grow, in MiB.

    Attributes:
        connection: SQLite's; what changes something belongs inside `transaction`.
        commits: how many transactions were committed.

    Raises:
        DatabaseUnusableError: the folder can't be written, another titanic uses it, or the
            database has a newer layout.
    """

    def __init__(self, folder: Path, max_mib: int = 64) -> None:
        self.path = folder / FILE
        self.max_pages = max_mib * (1 << 20) // PAGE_BYTES
        self.commits = 0
        self._lock = _lock(folder)
        try:
            self.connection = self._open()
        except BaseException:
            os.close(self._lock)
            raise

    def _open(self) -> sqlite3.Connection:
        try:
            try:
                return self._connect()
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                _put_aside(self.path, error)
                return self._connect()
        except DatabaseUnusableError:
            raise
        except (sqlite3.Error, OSError) as error:
            raise DatabaseUnusableError(
                f"can't use the database {self.path}: {error}; see that its folder is on a disk that works,"
                " has room, and can be written by this user"
            ) from error

    def _connect(self) -> sqlite3.Connection:
        _check_size(self.path)
        connection = sqlite3.connect(
            self.path, isolation_level=None, timeout=_BUSY_S, check_same_thread=False
        )
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > schema.VERSION:
                raise DatabaseUnusableError(
                    f"the database {self.path} has layout {version}, made by a newer RasPy, and this one"
                    f" knows layouts up to {schema.VERSION}: install the newer RasPy again, or move the"
                    " file away to start without its requests and configuration"
                )
            fault = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if fault != "ok":
                raise Damage(fault)
            self._configure(connection)
            if version < schema.VERSION:
                schema.migrate(connection, version)
                if version:
                    log.info(
                        "the database %s was brought from layout %d to %d", self.path, version, schema.VERSION
                    )
            return connection
        except BaseException:
            connection.close()
            raise

    def _configure(self, connection: sqlite3.Connection) -> None:
        for setting in (
            f"page_size = {PAGE_BYTES}",  # this one and the next count for a new file only
            "auto_vacuum = INCREMENTAL",
            "journal_mode = WAL",
            "synchronous = FULL",
            f"journal_size_limit = {_LOG_KEPT_BYTES}",
            f"cache_size = -{_CACHE_KIB}",
            "temp_store = MEMORY",
            f"max_page_count = {self.max_pages}",
        ):
            connection.execute(f"PRAGMA {setting}").close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """``with`` one transaction: on the disk at the end, undone on any exception.

        Raises:
            StorageError: it could not be stored.
            sqlite3.DatabaseError: the file is damaged.
        """
        with self._writing():
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                yield
                self.connection.execute("COMMIT")
                self.commits += 1
            finally:
                # SQLite undoes it by itself on some errors, and then there is no transaction any more.
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if is_damage(error):
                raise
            raise StorageError(_explain(error, self.path)) from error

    def shrink(self, pages: int) -> None:
        """Give unused pages back to the disk.

        Arguments:
            pages: how many at most, so that it takes a bounded time.
        """
        with self._writing():
            # Not `execute`, which stops after the first page: this statement does one in each step.
            self.connection.executescript(f"PRAGMA incremental_vacuum({pages})")
            self.commits += 1

    def used_pages(self) -> int:
        """How many pages hold something."""
        return self._pragma("page_count") - self.free_pages()

    def free_pages(self) -> int:
        """How many pages hold nothing."""
        return self._pragma("freelist_count")

    def size_bytes(self) -> int:
        """The size of the file, in bytes."""
        return self._pragma("page_count") * PAGE_BYTES

    def _pragma(self, name: str) -> int:
        value: int = self.connection.execute(f"PRAGMA {name}").fetchone()[0]
        return value

    def close(self) -> None:
        """Close it; SQLite brings the log into the file. Again is no error."""
        if self._lock >= 0:
            self.connection.close()
            os.close(self._lock)
            self._lock = -1


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error of SQLite means that the file is damaged, or no database at all."""
    return isinstance(error, Damage) or getattr(error, "sqlite_errorname", "").startswith(_DAMAGED)


def _explain(error: sqlite3.Error, path: Path) -> str:
    """What went wrong, and what a person should do about it."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_FULL"):
        return f"the disk of {path} is full, or the database: delete something, or raise max_database_mib"
    if name.startswith("SQLITE_READONLY"):
        return f"{path} can't be written any more: see whether its file system has become read-only"
    if name.startswith("SQLITE_IOERR"):
        return f"the disk of {path} fails ({error}): see the kernel's messages; the card may be worn out"
    return f"{path}: {error}"


def _size(path: Path) -> int:
    """The size of a file in bytes, 0 when there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _check_size(path: Path) -> None:
    """Find what SQLite does not look for: an end of the file that is missing.

    Raises:
        Damage: it is.
    """
    size, log_size = _size(path), _size(path.with_name(f"{path.name}-wal"))
    if size == 0 < log_size:
        # SQLite would take it for a new database, and throw the log away.
        raise Damage("the file is empty, but its log is not")
    if size and not log_size:
        # SQLite would read zeros instead of the rest of the last page. With a log that may be right: the
        # page is in it if the power went while it was brought into the file.
        with path.open("rb") as file:
            header = file.read(18)
        page_bytes = int.from_bytes(header[16:18], "big")
        if header.startswith(b"SQLite format 3\0") and page_bytes >= 512 and size % page_bytes:
            raise Damage(f"the file ends in the middle of a page, at {size} bytes")


def _lock(folder: Path) -> int:
    """Take the folder for this process; the lock goes with the descriptor returned, or with the process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DatabaseUnusableError(
            f"can't write in titanic's folder {folder}: {error.strerror}; make it writable for this user, or"
            " name another with --data-dir"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise DatabaseUnusableError(
            f"another titanic uses {folder}: stop it, or give this one a folder of its own with --data-dir"
        ) from error
    return lock


def _put_aside(path: Path, error: sqlite3.Error) -> None:
    """Rename a damaged database, with its log, and forget the oldest ones that were put aside."""
    stamp = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.getpid()}"
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    for part in _PARTS:
        old = path.with_name(path.name + part)
        if old.exists():
            old.rename(aside.with_name(aside.name + part))
    log.error(
        "the database %s is damaged (%s): it was put aside as %s, and a new one is started without the"
        " requests and the configuration in it; 'sqlite3 %s .recover' prints what can be saved",
        path,
        error,
        aside.name,
        aside,
    )
    asides = sorted(
        path.parent.glob(f"{path.name}.corrupt-{'?' * 15}-*[0-9]"), key=lambda file: file.stat().st_mtime
    )
    for old in asides[:-_ASIDES_KEPT]:
        for part in _PARTS:
            old.with_name(old.name + part).unlink(missing_ok=True)
