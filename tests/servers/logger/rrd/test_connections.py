# SPDX-License-Identifier: GPL-3.0-or-later
"""What rrdcached and rrdtool without it have in common: one suite for both."""

import math
from pathlib import Path

import pytest

from raspy.servers.logger.rrd import archives
from raspy.servers.logger.rrd.archives import Connection
from raspy.servers.logger.rrd.rrdcached import RrdError, escape

START = 1_700_000_000 // 86400 * 86400


def line(path: Path, moment: float, value: object) -> bytes:
    return escape(str(path)).encode() + f" {moment}:{value}".encode()


@pytest.fixture
def path(connection: Connection, rrd_dir: Path) -> Path:
    """An RRD that takes samples after `START`."""
    path = rrd_dir / "pi" / "a b" / "x.rrd"
    archives.create(connection, path, "GAUGE", START)
    return path


def known(connection: Connection, path: Path, function: str, start: int, end: int) -> dict[int, float]:
    _step, rows = connection.fetch(path, function, start, end)
    return {moment - START: value for moment, value in rows if not math.isnan(value)}


def test_values_are_fetched_as_they_were_told(connection: Connection, path: Path) -> None:
    assert connection.update([line(path, START + 10 * n, n) for n in range(1, 61)]) == []
    step, rows = connection.fetch(path, "AVERAGE", START, START + 600)
    assert step == 60
    assert [value for _moment, value in rows[:10]] == pytest.approx([6 * n + 3.5 for n in range(10)])
    assert known(connection, path, "MIN", START, START + 600)[60] == 1
    assert known(connection, path, "MAX", START, START + 600)[600] == 60
    assert archives.inspect(connection, path, "GAUGE") == START + 600


def test_unknown_is_no_number(connection: Connection, path: Path) -> None:
    connection.update([line(path, START + 60 * n, "U" if n in (3, 4) else 7.5) for n in range(1, 8)])
    assert known(connection, path, "AVERAGE", START, START + 420) == dict.fromkeys(
        [60, 120, 300, 360, 420], 7.5
    )


def test_what_is_queued_is_written_by_flush(connection: Connection, path: Path) -> None:
    before = path.read_bytes()
    connection.update([line(path, START + 60, 1)])
    assert path.read_bytes() == before
    connection.flush(path)
    assert path.read_bytes() != before
    connection.flush(path)


def test_what_is_forgotten_is_not_written(connection: Connection, path: Path) -> None:
    connection.update([line(path, START + 60, 1)])
    connection.forget(path)
    connection.forget(path)
    connection.flush(path)
    assert archives.inspect(connection, path, "GAUGE") == START


def test_a_file_that_is_there_is_not_made_again(connection: Connection, path: Path) -> None:
    connection.update([line(path, START + 60, 1)])
    connection.flush(path)
    with pytest.raises(RrdError, match="exists"):
        archives.create(connection, path, "GAUGE", START)
    assert archives.inspect(connection, path, "GAUGE") == START + 60


def test_what_is_no_rrd(connection: Connection, rrd_dir: Path) -> None:
    path = rrd_dir / "x.rrd"
    with pytest.raises(RrdError, match="No such file"):
        archives.inspect(connection, path, "GAUGE")
    path.write_bytes(b"no RRD" * 1000)
    with pytest.raises(RrdError, match="not an RRD"):
        archives.inspect(connection, path, "GAUGE")
    with pytest.raises(RrdError, match="not an RRD"):
        connection.fetch(path, "AVERAGE", START, START + 600)
    aside = archives.put_aside(connection, path)
    assert aside is not None and aside.read_bytes().startswith(b"no RRD") and not path.exists()
    assert archives.put_aside(connection, path) is None


def test_a_file_that_was_cut_short(connection: Connection, path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(RrdError, match="too small"):
        archives.inspect(connection, path, "GAUGE")


def test_a_file_of_another_kind(connection: Connection, path: Path) -> None:
    with pytest.raises(RrdError, match="of kind GAUGE, not COUNTER"):
        archives.inspect(connection, path, "COUNTER")


@pytest.mark.parametrize(
    ("kind", "values", "rates"),
    [
        ("COUNTER", [100, 160, 280], [None, 1, 2]),
        ("DERIVE", [100, 160, 40], [None, 1, -2]),
        ("ABSOLUTE", [60, 120, 30], [1, 2, 0.5]),
    ],
)
def test_counters_become_rates(
    connection: Connection, rrd_dir: Path, kind: str, values: list[int], rates: list[float | None]
) -> None:
    path = rrd_dir / f"{kind}.rrd"
    archives.create(connection, path, kind, START)
    connection.update([line(path, START + 60 * (n + 1), value) for n, value in enumerate(values)])
    found = known(connection, path, "AVERAGE", START, START + 180)
    assert [found.get(60 * (n + 1)) for n in range(3)] == [
        None if rate is None else pytest.approx(rate) for rate in rates
    ]


def test_refused_values_do_not_take_others_with_them(connection: Connection, path: Path) -> None:
    """The batch names the place; in a file the values after one from the past are kept."""
    connection.update([line(path, START + 60, 1), line(path, START + 120, 2)])
    connection.flush(path)
    connection.update([line(path, START + 90, 5), line(path, START + 180, 3)])
    assert known(connection, path, "AVERAGE", START, START + 180) == {60: 1, 120: 2, 180: 3}


def test_many_values_for_one_file(connection: Connection, path: Path) -> None:
    assert connection.update([line(path, START + 10 * n, n) for n in range(1, 5001)]) == []
    connection.flush(path)
    assert archives.inspect(connection, path, "GAUGE") == START + 50_000
