# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a job's files go: what may be written, and what rsync is told.

=================================  ===============================================================
``ssh://USER@HOST[:PORT]/PATH``    rsync over ssh; ``/~/PATH`` begins in USER's home
``rsync://[USER@]HOST[:PORT]/MODULE[/PATH]``  an rsync daemon (rsyncd.conf(5))
``/PATH``                          a folder on something mounted: a USB disk, a network share
=================================  ===============================================================

Nothing of this ever meets a shell, here or over there (rsync's ``--secluded-args`` sends the path in
the protocol). Still host and user are held to the letters that such names have, so that none is taken
for an option, and a path may not climb out of itself with ``..``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from raspy.common.MDP import ClientError

PORTS = {"ssh": 22, "rsync": 873}
PATH_MAX = 512  # characters

_URL = re.compile(
    r"(?P<kind>ssh|rsync)://(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9_.-]{0,31})@)?"
    r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>/.*)"
)


class Remote(NamedTuple):
    """A parsed remote.

    Attributes:
        kind: ``ssh``, ``rsync`` or ``path``.
        user: the user there; empty for a path, and for a daemon that asks for none.
        host: name or address; empty for a path.
        port: TCP port; 0 for a path.
        path: the folder there; for ``rsync`` without the leading slash, module first.
    """

    kind: str
    user: str
    host: str
    port: int
    path: str

    @property
    def lane(self) -> str:
        """What may carry one transfer at a time: the host, or the mounted path's first two folders."""
        if self.kind == "path":
            return "/".join(self.path.split("/")[:3])
        return self.host.lower()

    @property
    def target(self) -> str:
        """The destination argument of rsync(1), always a folder."""
        if self.kind == "path":
            return self.path.rstrip("/") + "/"
        at = f"{self.user}@" if self.user else ""
        if self.kind == "rsync":
            return f"rsync://{at}{self.host}:{self.port}/{self.path.rstrip('/')}/"
        return f"{at}{self.host}:{self.path.rstrip('/')}/"

    def __str__(self) -> str:
        """The remote as a person writes it, without what is the default."""
        if self.kind == "path":
            return self.path
        at = f"{self.user}@" if self.user else ""
        port = "" if self.port == PORTS[self.kind] else f":{self.port}"
        slash = "/~/" if self.kind == "ssh" and not self.path.startswith("/") else ""
        return f"{self.kind}://{at}{self.host}{port}{slash or '/'}{self.path.lstrip('/')}"


def parse(text: str) -> Remote:
    """Read a remote.

    Raises:
        ClientError: it is none; the sentence says what one looks like.
    """
    if text.startswith("/"):
        return Remote("path", "", "", 0, _check_path(text))
    match = _URL.fullmatch(text)
    if match is None:
        raise ClientError(
            f"remote: {text[:80]!r} is none: write ssh://USER@HOST/PATH, rsync://HOST/MODULE or /MOUNTED/PATH"
        )
    kind = match["kind"]
    port = int(match["port"] or PORTS[kind])
    if not 1 <= port <= 65535:
        raise ClientError(f"remote: the port must be 1 to 65535, not {port}")
    path = _check_path(match["path"])
    user = match["user"] or ""
    if kind == "ssh":
        if not user:
            raise ClientError("remote: ssh needs the user's name there: ssh://USER@HOST/PATH")
        if path.startswith("/~/"):
            path = path.removeprefix("/~/")
            if not path or path.startswith("-"):
                raise ClientError("remote: name a folder after /~/, one that does not begin with '-'")
    else:
        path = path.lstrip("/")
        if not path:
            raise ClientError("remote: an rsync daemon needs a module: rsync://HOST/MODULE")
    return Remote(kind, user, match["host"], port, path)


def _check_path(path: str) -> str:
    if len(path) > PATH_MAX or not path.isprintable():
        raise ClientError(f"remote: the path must be printable and have at most {PATH_MAX} characters")
    if ".." in path.split("/"):
        raise ClientError("remote: the path may not contain '..'")
    if path.strip("/") == "":
        raise ClientError("remote: name a folder; the whole disk is none")
    return path


def mount_point(path: str) -> Path | None:
    """The mounted file system that a folder lies on; None when it is the system's own disk.

    A backup to an unplugged disk would fill the system's disk in its place.
    """
    folder = Path(path).resolve()
    for candidate in (folder, *folder.parents):
        if candidate.is_mount():
            return None if candidate == Path("/") else candidate
    return None
