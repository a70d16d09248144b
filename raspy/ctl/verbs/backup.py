# SPDX-License-Identifier: GPL-3.0-or-later
"""``raspyctl backup``: all that RasPy keeps, in one file."""

from __future__ import annotations

import time
from pathlib import Path

import click

from raspy.ctl.frame import verb
from raspy.ctl.session import Session
from raspy.ctl.words import size


@verb("backup")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.pass_obj
def command(session: Session, file: Path | None) -> None:
    """Put all that RasPy keeps into one FILE, while it runs.

    Configuration, devices, cron jobs, scenarios, graphs, histories, logs, the dashboard's users, and keys.
    Only the owner may read the file: whoever has it has the keys. Without FILE it is called after the machine
    and the time, and is made in the folder where you are.

    'raspyctl restore FILE' brings it back.
    """
    from raspy.common.config import default_hostname
    from raspy.ctl.backups.make import make
    from raspy.ctl.place import place

    target = file or Path(time.strftime(f"{default_hostname()}-%Y%m%d-%H%M%S.backup"))
    entries = make(place(session), target, lambda _: None)
    files = sum(not entry.is_folder for entry in entries)
    written = target.stat().st_size
    session.done(
        f"{target} has {files} files in {size(written)}.",
        {"file": str(target.absolute()), "files": files, "bytes": written},
    )
