# SPDX-License-Identifier: GPL-3.0-or-later
"""Group commit: everything that waits at one moment goes to the disk in one transaction.

An SD card takes 5 to 50 ms for a commit however little is in it, and wears out by each one. So
all requests that have come are written together, and only then are all of them answered: an
answer still means "on the disk".
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from raspy.common import MDP
from raspy.servers.titanic.database import Database, StorageError


class Job(NamedTuple):
    """One piece of work on the database.

    Arguments:
        work: does it, and returns the reply.
        writes: False for work that only reads.
        steadfast: True for work that is worth a transaction of its own when the group's failed,
            because it makes room (closing) or is no longer anybody's to repeat (a worker's reply).
    """

    work: Callable[[], list[bytes]]
    writes: bool = True
    steadfast: bool = False


def commit(database: Database, jobs: Sequence[Job]) -> tuple[list[list[bytes]], StorageError | None]:
    """Do all *jobs* in one transaction, in order.

    When that can't be stored nothing of it is: what only reads is read again, what is steadfast is
    tried again alone, and the reply of the rest is 500 with the reason.

    Returns:
        The reply of each, and why the group could not be stored; None when it was.

    Raises:
        sqlite3.DatabaseError: the file is damaged, or can't be read: no answer is better than a wrong one.
    """
    try:
        return _together(database, jobs), None
    except StorageError as error:
        trouble = error
    refusal = [MDP.T_ERROR, str(trouble).encode()]
    return [_alone(database, job) if job.steadfast or not job.writes else refusal for job in jobs], trouble


def _together(database: Database, jobs: Sequence[Job]) -> list[list[bytes]]:
    if not any(job.writes for job in jobs):
        return [job.work() for job in jobs]
    with database.transaction():
        return [job.work() for job in jobs]


def _alone(database: Database, job: Job) -> list[bytes]:
    try:
        return _together(database, [job])[0]
    except StorageError as error:
        return [MDP.T_ERROR, str(error).encode()]
