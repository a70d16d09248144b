# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a backup while RasPy runs.

Databases and RRDs are copied as sync does it: SQLite's own backup, and rrdcached writes what it holds first.
All other files are replaced in one step by those that write them, or only grow; of these the part is taken
that is there when its turn comes.
"""

from __future__ import annotations

import grp
import hashlib
import io
import json
import os
import pwd
import stat
import tarfile
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import IO

import raspy
from raspy.common import durable
from raspy.common.config import default_hostname
from raspy.common.MDP import ServerError
from raspy.ctl.backups.archive import (
    FILE_MODES,
    FORMAT,
    HEAD,
    LIST,
    MAX_FILE_BYTES,
    MAX_FILES,
    Entry,
    Tick,
    check_path,
    member_name,
)
from raspy.ctl.errors import CtlError
from raspy.ctl.place import Place
from raspy.servers.sync.stage import SQLITE_SUFFIXES, Where, stage

RRDCACHED = Path("/run/raspy/rrdcached.sock")
# Of a state folder: what belongs to running processes, and sync's copies on their way.
_NOT = ("run", "sync/stage")
_NOT_NAMES = ("lock",)
_LIVE = tuple(f"{end}-{kind}" for end in SQLITE_SUFFIXES for kind in ("wal", "shm", "journal"))
_NOT_SUFFIXES = (".lock", ".new", ".sock", *_LIVE)
COMPRESSION = 6


def make(place: Place, target: Path, tick: Tick) -> list[Entry]:
    """Write a backup.

    Args:
        place: of what.
        target: the new file; only its owner may read it, for there are keys in it.
        tick: called with each path that is done.

    Returns:
        What is in it.

    Raises:
        CtlError: the file is there already, something can't be read, or the disk is full.
    """
    if target.exists() or target.is_symlink():
        raise CtlError(f"{target} is there already; choose another name")
    if not place.state.is_dir():
        raise CtlError(f"{place.state}: there is nothing to back up; 'sudo raspyctl' may see it")
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with tempfile.TemporaryDirectory(prefix=".raspy-backup-", dir=target.absolute().parent) as private:
            copies = Path(private) / "copies"
            stage(place.state, copies, Where(Path(private), [place.state], _rrdcached(place)), lambda: None)
            entries = _write(place, copies, unfinished, tick)
        # Not over a file that has come meanwhile.
        os.link(unfinished, target)
        durable.sync_folder(target.absolute().parent)
        return entries
    except FileExistsError as error:
        raise CtlError(f"{target} is there already; choose another name") from error
    except PermissionError as error:
        raise CtlError(f"{error.filename}: can't be read or written: use sudo") from error
    except OSError as error:
        raise CtlError(f"{error.filename or target}: {error.strerror}; there is no backup") from error
    except ServerError as error:
        raise CtlError(f"{error}; there is no backup") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _rrdcached(place: Place) -> Path | None:
    return RRDCACHED if place.installed and RRDCACHED.is_socket() else None


def _write(place: Place, copies: Path, target: Path, tick: Tick) -> list[Entry]:
    entries: list[Entry] = []
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        with tarfile.open(
            fileobj=file, mode="w:gz", format=tarfile.USTAR_FORMAT, compresslevel=COMPRESSION
        ) as tar:
            head = {"format": FORMAT, "version": raspy.__version__, "host": default_hostname()}
            _add_text(tar, HEAD, {**head, "time": time.time()})
            for path, source in _found(place):
                entry = _add(tar, path, source, copies)
                if entry is None:
                    continue
                entries.append(entry)
                if len(entries) > MAX_FILES:
                    raise CtlError(f"there are more than {MAX_FILES} files, which can't all be RasPy's")
                tick(path)
            _add_text(tar, LIST, [entry._asdict() for entry in entries])
        file.flush()
        os.fsync(file.fileno())
    return entries


def _found(place: Place) -> Iterator[tuple[str, Path]]:
    """What is to be in the backup, folders before what is in them."""
    roots = {"state": place.state, "configuration": place.configuration}
    for name, root in roots.items():
        if root is None or not root.is_dir():
            continue
        for folder, folders, files in os.walk(root, onerror=_raise):
            here = Path(folder)
            relative = here.relative_to(root)
            wanted = (one for one in folders if _wanted(relative / one) and not (here / one).is_symlink())
            folders[:] = sorted(wanted)
            yield (name if here == root else f"{name}/{relative}"), here
            for file in sorted(files):
                if _wanted(relative / file):
                    yield f"{name}/{relative / file}" if here != root else f"{name}/{file}", here / file


def _raise(error: OSError) -> None:
    raise error


def _wanted(relative: Path) -> bool:
    return (
        str(relative) not in _NOT
        and relative.name not in _NOT_NAMES
        and not relative.name.endswith(_NOT_SUFFIXES)
    )


def _add(tar: tarfile.TarFile, path: str, source: Path, copies: Path) -> Entry | None:
    """Put one in; None for what is no file or folder, and for what has gone meanwhile."""
    try:
        check_path(path)
    except ValueError as error:
        raise CtlError(f"{source}: a file with such a name can't be in a backup; rename it") from error
    if source.is_dir():
        return _entry(path, source.stat(), -1, "")
    copy = copies / path.removeprefix("state/")
    try:
        descriptor = os.open(
            copy if path.startswith("state/") and copy.is_file() else source,
            os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC,
        )
        status = source.stat()
    except FileNotFoundError:
        return None
    except OSError:
        if source.is_symlink() or source.is_socket():
            return None
        raise
    with open(descriptor, "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            return None
        if about.st_size > MAX_FILE_BYTES:
            raise CtlError(
                f"{source}: has more than {MAX_FILE_BYTES >> 30} GiB; that is too much for a backup"
            )
        reader = _Reader(file, about.st_size)
        info = tarfile.TarInfo(member_name(path))
        info.size, info.mode, info.mtime = about.st_size, 0o600, int(status.st_mtime)
        try:
            tar.addfile(info, reader)
        except ValueError as error:
            raise CtlError(f"{source}: its name is too long for a backup") from error
        return _entry(path, status, about.st_size, reader.digest.hexdigest())


class _Reader(io.RawIOBase):
    """So many bytes of a file, and their SHA-256; what it has lost since it was opened is zeros."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        super().__init__()
        self.digest = hashlib.sha256()
        self._file = file
        self._left = size

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._file.read(wanted)
        data += bytes(wanted - len(data))
        self._left -= wanted
        self.digest.update(data)
        return data


def _entry(path: str, status: os.stat_result, size: int, digest: str) -> Entry:
    return Entry(
        path, stat.S_IMODE(status.st_mode) & FILE_MODES, _user(status.st_uid), _group(status.st_gid),
        max(0, int(status.st_mtime)), size, digest,
    )  # fmt: skip


@cache
def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return ""


@cache
def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return ""


def _add_text(tar: tarfile.TarFile, name: str, value: object) -> None:
    data = json.dumps(value, ensure_ascii=False).encode()
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(data), 0o600, int(time.time())
    tar.addfile(info, io.BytesIO(data))
