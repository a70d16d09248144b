# SPDX-License-Identifier: GPL-3.0-or-later
"""Safe copies of files that are being written while they are read: RRDs and SQLite databases.

They are laid out in a folder like the source's, with nothing else in it, and given to rsync before
the source: of two files of one name rsync takes the one of the first argument. So what arrives is
the safe copy, and everything else comes from the source itself.

- An RRD: rrdcached writes what it still holds for it (FLUSH), lets the file alone (SUSPEND) until it is
  copied, and goes on (RESUME).
- A SQLite database: SQLite's own backup of one moment (https://sqlite.org/backup.html), while others
  write. The ``-wal``, ``-shm`` and ``-journal`` files beside it belong to the living one and stay here.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from raspy.common.MDP import ServerError
from raspy.servers.logger.rrd.rrdcached import RrdCached, RrdError

RRD_SUFFIX = ".rrd"
SQLITE_SUFFIXES = (".db", ".db3", ".sqlite", ".sqlite3")
SQLITE_MAGIC = b"SQLite format 3\0"
#: What stands beside a living database; patterns of rsync(1).
LIVE_PATTERNS = tuple(f"*{suffix}-{kind}" for suffix in SQLITE_SUFFIXES for kind in ("wal", "shm", "journal"))

RRDCACHED_SOCKET = "rrdcached.sock"
CACHE_S = 8.0  # how long an answer of rrdcached may take; less than the watchdog's patience
BACKUP_PAGES = 512  # copied between two ticks
BUSY_S = 5.0  # how long a database may be locked by another; less than the watchdog's patience


class StageError(ServerError):
    """A file could not be copied safely; nothing of the job was sent."""


class Where(NamedTuple):
    """What `stage` needs to know of the server.

    Attributes:
        ours: the server's data folder, which is left out.
        allowed: where a socket of rrdcached is looked for: beside the RRDs and upwards, not beyond these.
        rrdcached: its socket, where a person named it; None looks for it.
    """

    ours: Path
    allowed: Sequence[Path]
    rrdcached: Path | None = None


def stage(source: Path, folder: Path, where: Where, tick: Callable[[], None]) -> bool:
    """Make the safe copies of a source.

    Args:
        source: the file or folder of the job.
        folder: where the copies go; made anew. For a source that is a file the copy has its name in it.
        where: what belongs to the server.
        tick: called every so often; its exceptions pass on.

    Returns:
        Whether there are any.

    Raises:
        StageError: one could not be made.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folders: set[Path] = set()
    caches: dict[Path, RrdCached] = {}
    try:
        for file in _files(source, where.ours):
            tick()
            relative = file.relative_to(source) if file != source else Path(file.name)
            copy = folder / relative
            if file.suffix == RRD_SUFFIX:
                copy.parent.mkdir(parents=True, exist_ok=True)
                _copy_rrd(file, copy, _cache_of(file, where, caches), tick)
            elif file.suffix in SQLITE_SUFFIXES and _is_sqlite(file):
                copy.parent.mkdir(parents=True, exist_ok=True)
                _copy_sqlite(file, copy, tick)
            else:
                continue
            folders.update(relative.parents)
        # Folders as well are taken from the first argument: they must look like the source's.
        for relative in sorted(folders, reverse=True):
            if source.is_dir():
                shutil.copystat(source / relative, folder / relative)
    except OSError as error:
        raise StageError(f"can't make a safe copy: {error}") from error
    finally:
        for cache in caches.values():
            cache.close()
    return bool(folders)


def _files(source: Path, ours: Path) -> Iterator[Path]:
    if source.is_file():
        yield source
        return
    for folder, folders, names in os.walk(source):
        if Path(folder) == ours:
            folders.clear()
            continue
        for name in names:
            path = Path(folder, name)
            if not path.is_symlink():
                yield path


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
    except FileNotFoundError:
        return False  # gone since it was listed


def _copy_sqlite(file: Path, copy: Path, tick: Callable[[], None]) -> None:
    # Taken before the backup: what is written during it shows a newer time, and goes with the next run.
    changed_ns = max(_mtime_ns(file), _mtime_ns(file.with_name(file.name + "-wal")))
    source = target = None
    try:
        source = sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=BUSY_S)
        target = sqlite3.connect(copy, isolation_level=None)
        if source.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            # Holds on to this moment, so that a busy writer doesn't make the backup begin again and again.
            # Without WAL this would keep the writer out.
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        source.backup(target, pages=BACKUP_PAGES, progress=lambda *_: tick(), sleep=0.05)
    except sqlite3.Error as error:
        raise StageError(f"can't make a safe copy of {file}: {error}") from error
    finally:
        for connection in (source, target):
            if connection is not None:
                connection.close()
    shutil.copymode(file, copy)
    os.utime(copy, ns=(changed_ns, changed_ns))


def _mtime_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _copy_rrd(file: Path, copy: Path, cache: RrdCached | None, tick: Callable[[], None]) -> None:
    if cache is None:
        shutil.copy2(file, copy)
        return
    try:
        # Of a file that it never wrote it says so; to suspend that is an error, after which it hangs up.
        known = not cache.command("FLUSH", file)[0].startswith("Nothing")
        tick()
        if known:
            cache.command("SUSPEND", file)
        try:
            shutil.copy2(file, copy)
        finally:
            if known:
                cache.command("RESUME", file)
    except RrdError as error:
        raise StageError(f"can't make a safe copy of {file}: rrdcached says: {error}") from error


def _cache_of(file: Path, where: Where, caches: dict[Path, RrdCached]) -> RrdCached | None:
    """The rrdcached that writes an RRD: its socket lies beside the file or in a folder above."""
    candidates = [folder / RRDCACHED_SOCKET for folder in file.parents if _within(folder, where.allowed)]
    for path in [where.rrdcached] if where.rrdcached else candidates:
        if path not in caches and path.is_socket():
            cache = caches[path] = RrdCached(path, CACHE_S)
            # If we were killed between SUSPEND and RESUME, that file would never be written again.
            cache.command("RESUMEALL")
        if path in caches:
            return caches[path]
    return None


def _within(folder: Path, roots: Sequence[Path]) -> bool:
    return any(folder.is_relative_to(root) for root in roots)
