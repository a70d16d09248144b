# SPDX-License-Identifier: GPL-3.0-or-later
"""``raspyctl restore``: bring back what is in a backup."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from raspy.ctl.errors import CtlError
from raspy.ctl.frame import verb
from raspy.ctl.place import Place
from raspy.ctl.session import Session

TARGET = "raspy.target"
# How long all daemons together may take to stop, or to start, in seconds.
SYSTEMCTL_S = 120.0


@verb("restore")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Only see whether FILE is whole, and what it is.")
@click.pass_obj
def command(session: Session, file: Path, check: bool) -> None:
    """Bring back what 'raspyctl backup' put into FILE, in place of what is there.

    The file is checked from its beginning to its end first. RasPy is stopped for the exchange and started
    again. What was there before is kept beside it, in /var/lib/raspy.before-TIME and /etc/raspy.before-TIME.
    """
    from raspy.ctl.backups.archive import Archive
    from raspy.ctl.backups.replace import replace, room
    from raspy.ctl.place import place

    where = place(session)
    if where.installed and not check and os.geteuid() != 0:
        raise CtlError("restoring takes root's permissions: use sudo")
    archive = Archive(file, room(where))
    files = sum(not entry.is_folder for entry in archive.entries.values())
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(archive.head.time))
    about = f"of {archive.head.host} of {made}, RasPy {archive.head.version}, {files} files"
    result = {**archive.head._asdict(), "files": files}
    if check:
        session.done(f"{file} is whole: a backup {about}.", result)
        return
    with _at_rest(where):
        old = replace(where, archive, lambda _: None)
    session.done(f"{file} is back: the backup {about}.", {**result, "before": [str(one) for one in old]})
    for one in old:
        session.say(f"What was there before is in {one}; remove it when you do not need it any more.")


@contextmanager
def _at_rest(where: Place) -> Iterator[None]:
    """Nothing of RasPy runs meanwhile.

    Raises:
        CtlError: it can't be stopped; or it was stopped and does not start again.
    """
    from raspy.common.config import ConfigError
    from raspy.ctl import units
    from raspy.stack.run import claim

    if not where.installed:
        try:
            lock = claim(where.state)
        except ConfigError as error:
            raise CtlError(str(error)) from error
        with lock:
            yield
        return
    if not units.available():
        yield
        return
    running = _systemctl("is-active", TARGET).returncode == 0
    # The sockets with them: who connects to one would start its daemon again.
    _must("stop", TARGET, "raspy-*.socket", "raspy-*.service")
    still = [unit.name for unit in units.all_units() if unit.active not in ("inactive", "failed")]
    if still:
        raise CtlError(f"{', '.join(still)} did not stop; nothing was changed. systemctl start {TARGET}")
    try:
        yield
    finally:
        if running:
            # The starts that an administrator asks for are no failures that add up.
            _systemctl("reset-failed", "raspy-*")
            _must("start", TARGET)


def _systemctl(*words: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["systemctl", *words], capture_output=True, timeout=SYSTEMCTL_S, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise CtlError(f"systemctl {' '.join(words)}: {error}") from error


def _must(*words: str) -> None:
    done = _systemctl(*words)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip() or f"status {done.returncode}"
        raise CtlError(f"systemctl {' '.join(words)} failed: {reason}")
