# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the RasPy of this machine keeps what it keeps: the installed one, or that of ``python3 -m raspy``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from raspy.ctl.errors import CtlError, WrongUse
from raspy.ctl.session import Session

INSTALLED_STATE = Path("/var/lib/raspy")
INSTALLED_CONFIGURATION = Path("/etc/raspy")


class Place(NamedTuple):
    """The folders of a RasPy.

    Args:
        state: what its servers keep, a folder each.
        configuration: raspy.conf and what is beside it; None for a stack in the foreground.
    """

    state: Path
    configuration: Path | None

    @property
    def installed(self) -> bool:
        """Whether systemd runs it."""
        return self.configuration is not None


def place(session: Session) -> Place:
    """The RasPy that the command line means.

    Raises:
        WrongUse: it is on another machine, or its folder can't be told.
    """
    from raspy.ctl.connection import installed_broker, resolve

    if session.host:
        raise WrongUse(f"this works on the machine itself; run it on {session.host}, by ssh for example")
    address = resolve(session.broker, None).address
    if str(address) == installed_broker():
        return Place(INSTALLED_STATE, INSTALLED_CONFIGURATION)
    folder, run = os.path.split(address.folder)
    if run != "run":
        raise WrongUse(f"this works on the machine itself, and {address} does not tell where its state is")
    return Place(Path(folder), None)


@contextmanager
def as_owner_of(folder: Path) -> Iterator[None]:
    """Do something as whom a folder belongs to: what is made then is the server's, and not root's.

    Raises:
        CtlError: the folder is not there, or is somebody else's and we are not root.
    """
    try:
        owner = folder.stat()
    except OSError as error:
        raise CtlError(
            f"{folder}: {error.strerror}; 'sudo raspyctl' may see it, if RasPy has run before"
        ) from error
    if os.geteuid() != 0:
        if os.geteuid() != owner.st_uid:
            raise CtlError(f"{folder} is not yours: use sudo")
        yield
        return
    group, user = os.getegid(), os.geteuid()
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(user)
        os.setegid(group)
