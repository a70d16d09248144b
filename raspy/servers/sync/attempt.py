# SPDX-License-Identifier: GPL-3.0-or-later
"""One try of a run, from its checks to what it means: everything that happens in a transfer thread."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from raspy.common.MDP import ClientError, GenericError
from raspy.servers.sync import keys, remote
from raspy.servers.sync.job import Job, check_source
from raspy.servers.sync.transfer import Outcome, Progress, transfer

PASSWORDS = "passwords"
STAGE = "stage"


class Place(NamedTuple):
    """What a try needs to know of its server.

    Attributes:
        folder: the server's data folder.
        allowed: folders that may be copied.
        mounts: folders below which there may be something mounted to copy to.
        rrdcached: the socket of rrdcached; None: it is looked for.
    """

    folder: Path
    allowed: Sequence[Path]
    mounts: Sequence[Path]
    rrdcached: Path | None = None


def attempt(job: Job, place: Place, limit_s: float, tick: Callable[[Progress], None]) -> Outcome:
    """Try a job once.

    Args:
        job: the job.
        place: what belongs to the server.
        limit_s: how long it may take.
        tick: called twice a second at least; an exception from it ends the try and passes on.
    """
    stage_folder = place.folder / STAGE / job.name
    start = Progress(0, 0, 0, 0)
    try:
        source = check_source(job.source, place.allowed)
        _check_not_ours(source, place.folder)
        _prepare_remote(job, place, lambda: tick(start))
        sources = _sources(job, source, stage_folder, place, lambda: tick(start))
        outcome = transfer(
            job, sources, place.folder, _password_file(job, place.folder), _excluded(source, place.folder),
            limit_s, tick,
        )  # fmt: skip
        return _explain(job, outcome, lambda: tick(start))
    except (GenericError, OSError) as error:
        return Outcome(False, False, 1, str(error), [], 0, 0, 0)
    finally:
        shutil.rmtree(stage_folder, ignore_errors=True)


def _check_not_ours(source: Path, folder: Path) -> None:
    if source.is_relative_to(folder):
        raise ClientError(f"source: {source} is the folder of sync's own keys and passwords: that stays here")
    if not source.exists():
        raise ClientError(f"source: there is no {source}")


def _excluded(source: Path, folder: Path) -> str:
    """Our own folder as a pattern of rsync(1) where it lies in the source; else empty."""
    if not folder.is_relative_to(source):
        return ""
    path = str(folder.relative_to(source))
    # only in a pattern with wildcards is a backslash special
    if any(letter in path for letter in "*?["):
        path = "".join(f"\\{letter}" if letter in "*?[\\" else letter for letter in path)
    return f"/{path}/"


def _prepare_remote(job: Job, place: Place, tick: Callable[[], None]) -> None:
    """What has to be there before rsync is asked: the disk, or the key of the host."""
    if job.there.kind == "path":
        _check_mounted(job.there.path, place.mounts)
    elif job.there.kind == "ssh":
        keys.make_key(place.folder)
        if job.host_key:
            try:
                keys.trust(place.folder, job.there.host, job.there.port, job.host_key, tick)
            except keys.HostKeyError:
                raise
            except keys.SshKeyError:
                pass  # the host can't be asked now: rsync will say why, and may be tried again


def _check_mounted(path: str, mounts: Sequence[Path]) -> None:
    real = Path(os.path.realpath(path))
    if not any(real.is_relative_to(os.path.realpath(folder)) for folder in mounts):
        folders = ", ".join(map(str, mounts))
        raise ClientError(f"remote: {path} lies outside the folders for disks and shares: {folders}")
    if remote.mount_point(path) is None:
        raise ClientError(f"remote: nothing is mounted at {path}: the disk or the share is not there")


def _sources(job: Job, source: Path, stage_folder: Path, place: Place, tick: Callable[[], None]) -> list[str]:
    """The source arguments of rsync: the safe copies first, then the source itself."""
    # here, since SQLite is a megabyte and a half that an idle server need not have
    from raspy.servers.sync.stage import Where, stage

    staged = stage(source, stage_folder, Where(place.folder, place.allowed, place.rrdcached), tick)
    if source.is_file():
        return [str(stage_folder / source.name if staged else source)]
    return [f"{stage_folder}/"] * staged + [f"{source}/"]


def _password_file(job: Job, folder: Path) -> str:
    """The file with the password for a daemon, relative to our folder; empty if there is none."""
    path = f"{PASSWORDS}/{job.name}"
    return path if (folder / path).exists() else ""


def keep_password(folder: Path, name: str, password: str) -> None:
    """Keep a job's password, or forget it when it is empty."""
    path = folder / PASSWORDS / name
    if not password:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(password + "\n")


def _explain(job: Job, outcome: Outcome, tick: Callable[[], None]) -> Outcome:
    """Say what to do about a host that we don't trust, or that does not trust us."""
    if "host key" in outcome.message:
        try:
            shown = " and ".join(map(keys.fingerprint_of, keys.scan(job.there.host, job.there.port, tick)))
        except keys.SshKeyError:
            shown = "(can't be asked)"
        message = (
            f"{outcome.message}: it shows {shown}; if 'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub' says"
            " the same on the remote itself, set the job's host_key to it"
        )
        return outcome._replace(message=message)
    if "ssh key" in outcome.message:
        return outcome._replace(message=f"{outcome.message}: put the public_key that 'status' shows in"
                                        f" ~{job.there.user}/.ssh/authorized_keys there")  # fmt: skip
    return outcome
