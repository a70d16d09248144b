# SPDX-License-Identifier: GPL-3.0-or-later
"""A power cut in the last transaction: the files end anywhere; titanic goes on with what was acknowledged.

The files are copied while the database is open, as a power cut leaves them, and cut at every boundary of
512 bytes, the sector of a disk or card.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from raspy.servers.titanic.database import FILE, Database
from raspy.servers.titanic.keyvalue import KeyValueStore
from raspy.servers.titanic.requests import Requests

SECTOR = 512
LOG = f"{FILE}-wal"
EARLIER = 5


def id_of(number: int) -> bytes:
    return number.to_bytes(16, "big")


def add(database: Database, number: int) -> None:
    """One request and one key in one transaction: a request of some pages."""
    with database.transaction():
        Requests(database).add_as(id_of(number), "pi.a.x", [bytes([number]) * 6000])
        KeyValueStore(database).set([b"s", b"x", b"k%d" % number, b"v"])


def stored(database: Database) -> tuple[list[int], list[int]]:
    """The numbers of the requests that are there whole, and of the keys."""
    requests = Requests(database)
    found, after = [], 0
    while (waiting := requests.next("pi.a.x", after)) is not None:
        after = waiting.seq
        assert waiting.body == [bytes([after]) * 6000]
        found.append(after)
    return found, sorted(int(key[1:]) for key in KeyValueStore(database).list([b"s", b"x"]))


@pytest.fixture(scope="module")
def crashed(tmp_path_factory) -> tuple[Path, int]:
    """A folder as after a power cut, and where the last transaction begins in the log."""
    folder = tmp_path_factory.mktemp("crashed")
    database = Database(folder / "live")
    for number in range(1, EARLIER + 1):
        add(database, number)
    begin = (folder / "live" / LOG).stat().st_size
    add(database, EARLIER + 1)
    shutil.copytree(folder / "live", folder / "cut")
    database.close()
    return folder / "cut", begin


def opened(source: Path, folder: Path, name: str, size: int) -> tuple[list[int], list[int], bool]:
    """Cut file *name* to *size* bytes in a copy, open that, and use it; also whether it was put aside."""
    shutil.copytree(source, folder)
    with (folder / name).open("r+b") as file:
        file.truncate(size)
    database = Database(folder)
    requests, keys = stored(database)
    add(database, 100 + size % 100)
    database.close()
    return requests, keys, any(folder.glob(f"{FILE}.corrupt-*"))


def test_the_log_cut_at_every_sector_of_the_last_transaction(crashed, tmp_path):
    source, begin = crashed
    end = (source / LOG).stat().st_size
    assert end - begin > 8 * SECTOR
    earlier = list(range(1, EARLIER + 1))
    whole = [*earlier, EARLIER + 1]
    for size in [*range(begin, end, SECTOR), end]:
        requests, keys, aside = opened(source, tmp_path / str(size), LOG, size)
        assert requests == keys, f"half a transaction at {size}"
        assert requests == (whole if size == end else earlier), f"cut at {size}"
        assert not aside


def test_the_log_cut_at_every_sector_keeps_each_transaction_before(crashed, tmp_path):
    source, _ = crashed
    end = (source / LOG).stat().st_size
    last = -1
    for size in [*range(0, end, SECTOR), end]:
        requests, keys, _ = opened(source, tmp_path / str(size), LOG, size)
        assert requests == keys == list(range(1, len(requests) + 1))
        assert len(requests) >= last, "more of the log, and less of the requests"
        last = len(requests)
        shutil.rmtree(tmp_path / str(size))
    assert last == EARLIER + 1


def test_the_file_cut_at_every_sector_is_whole_or_put_aside(crashed, tmp_path):
    """With the log brought into it, as after a clean stop."""
    source, _ = crashed
    shutil.copytree(source, tmp_path / "clean")
    Database(tmp_path / "clean").close()
    end = (tmp_path / "clean" / FILE).stat().st_size
    for size in range(0, end + 1, SECTOR):
        requests, keys, aside = opened(tmp_path / "clean", tmp_path / str(size), FILE, size)
        if size == end:
            assert requests == keys == list(range(1, EARLIER + 2))
            assert not aside
        else:
            assert requests == keys == []
            assert aside == (size > 0), "an empty file without a log is a new database"
        shutil.rmtree(tmp_path / str(size))
