# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that survive a power cut: the old content or the new one, whole, never a part."""

from __future__ import annotations

import os
from pathlib import Path


def replace(path: Path, text: str, *, mode: int | None = None) -> None:
    """Write *text* (UTF-8) into a file, in one step; when this returns, it is on the disk.

    Args:
        path: the file; its folder is made if missing.
        text: all that it is to hold.
        mode: its permissions; what the process's umask leaves, if left out. A file with a mode that root
            writes (``raspyctl passwd``) belongs to whom its folder belongs, so that the daemon can read it.

    Raises:
        OSError: it could not be written; the file is as it was.

    Source: fsync(2): the folder has to be synchronised too for a rename to last.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    if mode is not None:
        # Not what an interrupted try left: that has the permissions it has.
        fresh.unlink(missing_ok=True)
    created = 0o666 if mode is None else mode
    with open(fresh, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, created)) as file:
        if mode is not None and os.geteuid() == 0:
            folder = path.parent.stat()
            os.fchown(file.fileno(), folder.st_uid, folder.st_gid)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries (new, renamed and removed files) onto the disk.

    Raises:
        OSError: the disk refuses.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
