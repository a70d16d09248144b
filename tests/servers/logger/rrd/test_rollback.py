# SPDX-License-Identifier: GPL-3.0-or-later
"""An RRD that is rolled back, and told again what it forgot, is what it was."""

import math
import random
from pathlib import Path

import pytest

from raspy.servers.logger.rrd import archives, rollback
from raspy.servers.logger.rrd.archives import Connection
from raspy.servers.logger.rrd.rollback import roll_back
from raspy.servers.logger.rrd.rrdcached import RrdError, escape

START = 1_700_000_000 // 86400 * 86400


def tell(connection: Connection, path: Path, samples: list[tuple[int, str]]) -> None:
    prefix = escape(str(path)).encode()
    assert connection.update([prefix + f" {moment}:{value}".encode() for moment, value in samples]) == []


def rows(connection: Connection, path: Path, end: int) -> dict[tuple[str, int], list[tuple[int, float]]]:
    """All rows of all archives up to *end*; NaN as infinity, so that a gap equals a gap."""
    found = {}
    for row_s, kept_s in archives.ARCHIVES:
        for function in archives.FUNCTIONS:
            step, values = connection.fetch(path, function, end - kept_s + 2 * row_s, end)
            assert step == row_s
            found[function, row_s] = [
                (when, math.inf if math.isnan(value) else value) for when, value in values
            ]
    return found


def history(seed: int) -> list[tuple[int, str]]:
    """Two days of samples every half minute, with gaps of all lengths."""
    chance = random.Random(seed)
    samples: list[tuple[int, str]] = []
    moment, unknown_until = START, 0
    while moment < START + 2 * 86400:
        moment += 30
        if chance.random() < 0.005:
            unknown_until = moment + int(10 ** chance.uniform(1.5, 4))
        value = "U" if moment < unknown_until else f"{20 + 5 * math.sin(moment / 9000) + chance.random():.3f}"
        samples.append((moment, value))
    return samples


@pytest.mark.parametrize(("seed", "back_s"), [(1, 3600), (2, 60), (3, 7380), (4, 20_000), (5, 90)])
def test_told_again_it_is_what_it_was(connection: Connection, rrd_dir: Path, seed: int, back_s: int) -> None:
    """In all archives, gaps included; in the coarse row that was begun, a minute of which only a part is
    known counts as a whole one."""
    samples = history(seed)
    end = samples[-1][0]
    reference, rolled = rrd_dir / "reference.rrd", rrd_dir / "rolled.rrd"
    for path in (reference, rolled):
        archives.create(connection, path, "GAUGE", START)
        tell(connection, path, samples)
    begin = roll_back(connection, rolled, end - back_s)
    assert begin <= end - back_s < begin + 60
    assert archives.inspect(connection, rolled, "GAUGE") == begin
    assert all(value == math.inf for when, value in rows(connection, rolled, end)["MAX", 60] if when > begin)
    tell(connection, rolled, [(when, value) for when, value in samples if when > begin])
    wanted, found = rows(connection, reference, end), rows(connection, rolled, end)
    for archive, values in wanted.items():
        assert [when for when, _value in values] == [when for when, _value in found[archive]]
        assert [v for _when, v in found[archive]] == pytest.approx([v for _when, v in values], rel=2e-3), (
            archive
        )


@pytest.mark.parametrize("kind", ["COUNTER", "DERIVE", "ABSOLUTE"])
def test_a_counter_goes_on(connection: Connection, rrd_dir: Path, kind: str) -> None:
    path = rrd_dir / "counter.rrd"
    archives.create(connection, path, kind, START)
    tell(connection, path, [(START + 60 * n, str(60 * n)) for n in range(1, 61)])
    begin = int(roll_back(connection, path, START + 30 * 60))
    tell(connection, path, [(begin + 60 * n, str(7200 + 120 * n)) for n in range(1, 11)])
    _step, values = connection.fetch(path, "AVERAGE", begin, begin + 600)
    rates = [value for _when, value in values[:10]]
    if kind == "ABSOLUTE":
        assert rates == pytest.approx([(7200 + 120 * n) / 60 for n in range(1, 11)])
    else:
        assert math.isnan(rates[0]) and rates[1:] == pytest.approx([2.0] * 9)


def test_from_a_far_future(connection: Connection, rrd_dir: Path) -> None:
    """The clock stood years ahead for a while: what was before and is still there stays."""
    path = rrd_dir / "x.rrd"
    archives.create(connection, path, "GAUGE", START)
    tell(connection, path, [(START + 60 * n, "5") for n in range(1, 3000)])
    before = START + 60 * 2999
    tell(connection, path, [(before + 3 * 365 * 86400, "7")])
    assert roll_back(connection, path, before) == before
    tell(connection, path, [(before + 60, "6"), (before + 120, "6")])
    _step, values = connection.fetch(path, "MAX", before, before + 120)
    assert [value for _when, value in values[:2]] == [6, 6]
    # The finer archives went round in between; of the last the first days are there.
    _step, days = connection.fetch(path, "AVERAGE", before - 1000 * 86400, before)
    assert 5 in [value for _when, value in days]


@pytest.mark.parametrize("content", [b"damaged", b"RRD\x000003\x00" + bytes(5000)])
def test_one_that_is_damaged_stays_as_it_is(connection: Connection, rrd_dir: Path, content: bytes) -> None:
    path = rrd_dir / "x.rrd"
    path.write_bytes(content)
    with pytest.raises(RrdError):
        roll_back(connection, path, START)
    assert path.read_bytes() == content
    assert list(rrd_dir.iterdir()) == [path]


def test_rrdtool_is_missing(connection: Connection, rrd_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = rrd_dir / "x.rrd"
    archives.create(connection, path, "GAUGE", START)
    monkeypatch.setenv("PATH", str(rrd_dir))
    with pytest.raises(RrdError, match="apt install rrdtool"):
        roll_back(connection, path, START)


def test_a_disk_that_refuses(connection: Connection, rrd_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = rrd_dir / "x.rrd"
    archives.create(connection, path, "GAUGE", START)
    content = path.read_bytes()
    monkeypatch.setattr(rollback, "_restore", lambda lines, fresh: rollback.sync_folder(rrd_dir / "none"))
    with pytest.raises(FileNotFoundError):
        roll_back(connection, path, START)
    assert path.read_bytes() == content
    (rrd_dir / "x.rrd.new").mkdir()
    monkeypatch.undo()
    with pytest.raises(RrdError):
        rollback._restore(rollback._dump(path), rrd_dir / "x.rrd.new")
