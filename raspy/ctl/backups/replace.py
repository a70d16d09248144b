# SPDX-License-Identifier: GPL-3.0-or-later
"""Put what is in a backup in the place of what is there, which is kept beside it.

New folders are filled beside the old ones, and take their place only when all is on the disk; if that fails
half-way, the old ones are put back.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from raspy.ctl.backups.archive import Archive, Entry, Tick
from raspy.ctl.errors import CtlError
from raspy.ctl.place import Place

# Whose a restored file may be; any other name means the owner of the folder that it goes into.
_OWNERS = ("root", "raspy")


def room(place: Place) -> int:
    """How many bytes there are free where a backup of *place* goes."""
    return shutil.disk_usage(_there(place.state)).free


def _there(path: Path) -> Path:
    return path if path.exists() else _there(path.parent)


class Replacement:
    """One folder that takes the place of another.

    Args:
        root: the folder.
        stamp: what the new and the old one are called after.
    """

    def __init__(self, root: Path, stamp: str) -> None:
        self.root = root
        self.new = _new(root, stamp)
        self.old = _old(root, stamp)
        self._moved = False
        with suppress(FileNotFoundError):
            status = root.stat()
            self.owner: tuple[int, int] = (status.st_uid, status.st_gid)
            return
        self.owner = (_user("raspy", os.geteuid()), _group("raspy", os.getegid()))

    def path_of(self, entry: Entry) -> Path:
        """Where an entry goes, in the new folder."""
        return self.new.joinpath(*entry.path.split("/")[1:])

    def swap(self) -> None:
        """Let the new one take its place."""
        if self.root.exists():
            self.root.rename(self.old)
            self._moved = True
        self.new.rename(self.root)

    def undo(self) -> None:
        """Put the old one back, and leave nothing of the new one."""
        if self._moved:
            if self.root.exists():
                self.root.rename(self.new)
            self.old.rename(self.root)
        shutil.rmtree(self.new, ignore_errors=True)


def replace(place: Place, archive: Archive, tick: Tick) -> list[Path]:
    """Bring back what is in a backup. Nothing may run that uses it.

    Args:
        place: where to.
        archive: the backup, checked.
        tick: called with each path that is done.

    Returns:
        The folders with what was there before.

    Raises:
        CtlError: it could not be done; everything is as it was.
    """
    roots = {"state": place.state, "configuration": place.configuration}
    # A stack in the foreground has no configuration of its own.
    wanted = {name: root for name, root in roots.items() if root is not None and name in archive.entries}
    stamp = _stamp(list(wanted.values()))
    parts = {name: Replacement(root, stamp) for name, root in wanted.items()}
    try:
        folders = [one for one in archive.entries.values() if one.is_folder and _root(one) in parts]
        for entry in folders:
            parts[_root(entry)].path_of(entry).mkdir(mode=0o700)
        for entry, chunks in archive.contents():
            part = parts.get(_root(entry))
            if part is None:
                for _ in chunks:
                    pass
                continue
            _write(part.path_of(entry), chunks, entry, part.owner)
            tick(entry.path)
        for entry in reversed(folders):
            # Last, and from the inside out: what is written into a folder changes its time.
            _dress(parts[_root(entry)].path_of(entry), entry, parts[_root(entry)].owner)
        os.sync()
        for part in parts.values():
            part.swap()
        os.sync()
    except (OSError, CtlError) as error:
        for part in reversed(parts.values()):
            part.undo()
        if isinstance(error, CtlError):
            raise
        hint = ": use sudo" if isinstance(error, PermissionError) else ""
        reason = f"{error.filename}: {error.strerror}"
        raise CtlError(f"{reason}{hint}; nothing was changed") from error
    return [part.old for part in parts.values() if part.old.exists()]


def _stamp(roots: list[Path]) -> str:
    """The time, and a number where there is something of that time already."""
    stamp = now = time.strftime("%Y%m%d-%H%M%S")
    number = 1
    while any(path.exists() for root in roots for path in (_new(root, stamp), _old(root, stamp))):
        number += 1
        stamp = f"{now}-{number}"
    return stamp


def _new(root: Path, stamp: str) -> Path:
    return root.with_name(f"{root.name}.new-{stamp}")


def _old(root: Path, stamp: str) -> Path:
    return root.with_name(f"{root.name}.before-{stamp}")


def _root(entry: Entry) -> str:
    return entry.path.partition("/")[0]


def _write(path: Path, chunks: Iterator[bytes], entry: Entry, owner: tuple[int, int]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        for chunk in chunks:
            file.write(chunk)
    _dress(path, entry, owner)


def _dress(path: Path, entry: Entry, owner: tuple[int, int]) -> None:
    """Give a file or folder its owner, permissions and time."""
    if os.geteuid() == 0:
        os.chown(path, _user(entry.user, owner[0]), _group(entry.group, owner[1]))
    path.chmod(entry.mode)
    os.utime(path, (entry.mtime, entry.mtime))


def _user(name: str, default: int) -> int:
    with suppress(KeyError):
        if name in _OWNERS:
            return pwd.getpwnam(name).pw_uid
    return default


def _group(name: str, default: int) -> int:
    with suppress(KeyError):
        if name in _OWNERS:
            return grp.getgrnam(name).gr_gid
    return default
