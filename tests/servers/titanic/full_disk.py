# SPDX-License-Identifier: GPL-3.0-or-later
"""What titanic's database does on a full disk: ``python3 -m tests.servers.titanic.full_disk FOLDER HOW``.

Run by test_database in a mount namespace of its own. HOW is ``tmpfs``, for a file system of 1 MiB on
FOLDER, or ``limit`` where none can be mounted, for a limit on the size of files.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

from raspy.servers.titanic.database import Database, StorageError
from raspy.servers.titanic.requests import Requests

SIZE = 1 << 20
BODY = bytes(5000)


def make_full(folder: Path, how: str) -> None:
    """Mount a small file system, or limit the size of files."""
    if how == "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], check=True)
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE // 2, resource.RLIM_INFINITY))


def make_room(how: str) -> None:
    """Somebody deletes other files, or buys a larger card."""
    if how == "tmpfs":
        subprocess.run(["mount", "-o", f"remount,size={4 * SIZE}", "tmpfs", sys.argv[1]], check=True)
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 * SIZE, resource.RLIM_INFINITY))


def store(database: Database, requests: Requests, numbers: range) -> int:
    """Store requests until the disk is full; how many were stored."""
    for number in numbers:
        with database.transaction():
            requests.add_as(number.to_bytes(16, "big"), "pi.a.x", [BODY])
    return len(numbers)


def main(folder: Path, how: str) -> None:
    """Fill the disk, and print what goes on."""
    make_full(folder, how)
    database = Database(folder)
    requests = Requests(database)
    try:
        store(database, requests, range(1, 1000))
    except StorageError as error:
        print("refused: full" if " is full" in str(error) or " fails " in str(error) else error)
    requests.recount()
    stored = requests.total()
    assert 10 < stored < 1000
    if requests.reply((1).to_bytes(16, "big")) == [b"300"]:
        print("the first is still there")
    make_room(how)
    with database.transaction():
        for number in range(2, stored + 1):
            requests.close(number.to_bytes(16, "big"))
    print("closing works")
    store(database, requests, range(2000, 2020))
    print("stored again")
    database.close()
    assert Requests(Database(folder)).total() == 21
    print("opened again")


main(Path(sys.argv[1]), sys.argv[2])
