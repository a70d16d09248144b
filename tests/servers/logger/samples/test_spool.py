# SPDX-License-Identifier: GPL-3.0-or-later
"""The spool: what was synced is there after a power cut."""

import gzip
import os
from pathlib import Path

import pytest

from raspy.servers.logger.samples import spool as module
from raspy.servers.logger.samples.spool import Spool
from tests.support.logger import full_disk

LINES = [b"pi/a/b/c 1700000000.000:%d" % number for number in range(100)]
SAMPLES = [("pi/a/b/c", b"1700000000.000:%d" % number) for number in range(100)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def test_what_was_synced_is_read_by_the_next_start(folder: Path) -> None:
    spool = Spool(folder)
    assert spool.segments() == [] and spool.size == 0 and spool.unsynced_since is None
    spool.add(LINES[:50])
    assert spool.unsynced_since is not None
    spool.flush()
    assert spool.unsynced_since is None and spool.syncs == 1 and spool.bytes_written > 0
    spool.add(LINES[50:])
    assert list(Spool(folder).read()) == SAMPLES[:50]
    spool.flush(sync=False)
    assert spool.unsynced_since is not None
    again = Spool(folder)
    assert list(again.read()) == SAMPLES
    again.add([b"d/e/f/g 5:6"])
    again.flush()
    assert list(again.read()) == [*SAMPLES, ("d/e/f/g", b"5:6")]
    assert len(again.segments()) == 2
    spool.rotate()
    again.rotate()


def test_a_label_may_have_spaces(folder: Path) -> None:
    spool = Spool(folder)
    spool.add([b"pi/a/my tank/c 5:6"])
    spool.rotate()
    assert list(spool.read()) == [("pi/a/my tank/c", b"5:6")]


def test_segments_are_removed_after_a_checkpoint(folder: Path) -> None:
    spool = Spool(folder)
    spool.add(LINES[:50])
    old = spool.rotate()
    spool.add(LINES[50:])
    spool.flush()
    assert len(old) == 1 and len(spool.segments()) == 2
    spool.remove(old)
    assert list(spool.read()) == SAMPLES[50:]
    spool.remove(spool.rotate())
    assert spool.segments() == []
    spool.flush()


def test_which_boot_wrote_it(folder: Path) -> None:
    spool = Spool(folder, boot_id="one")
    spool.add(LINES)
    spool.rotate()
    assert not spool.from_another_boot()
    assert Spool(folder, boot_id="two").from_another_boot()
    (folder / "00000002.gz").write_bytes(b"")
    assert not Spool(folder, boot_id="one").from_another_boot()
    assert Spool(folder)._boot != b""


def test_a_torn_segment_gives_what_was_flushed(folder: Path) -> None:
    spool = Spool(folder)
    spool.add(LINES[:50])
    spool.flush()
    size = spool.size
    spool.add(LINES[50:])
    spool.rotate()
    (segment,) = spool.segments()
    segment.write_bytes(segment.read_bytes()[: size + 3] + bytes(200))
    assert list(spool.read())[:50] == SAMPLES[:50]


def test_lines_that_are_no_samples_are_left_out(folder: Path) -> None:
    folder.mkdir()
    (folder / "00000007.gz").write_bytes(
        gzip.compress(b"# boot x\n\nnospace\n# comment 5:6\na/b/c/d 1:2\n\xff\xfe 3:4\n")
    )
    (folder / "notes.txt").write_text("mine")
    spool = Spool(folder)
    assert list(spool.read()) == [("a/b/c/d", b"1:2"), ("��", b"3:4")]
    spool.add([b"a 1:1"])
    spool.flush()
    assert [path.name for path in spool.segments()] == ["00000007.gz", "00000008.gz"]
    spool.rotate()


def test_without_a_checkpoint_it_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 100)
    monkeypatch.setattr(module, "SEGMENTS_MAX", 3)
    spool = Spool(folder)
    dropped = []
    for number in range(10):
        spool.add([b"%d %d:%s" % (number, number, os.urandom(50).hex().encode()) for _ in range(5)])
        spool.flush()
        dropped += spool.bound()
    assert len(dropped) == 7 and len(spool.segments()) == 3
    assert {label for label, _sample in spool.read()} == {"7", "8", "9"}
    spool.add(LINES)
    monkeypatch.setattr(module, "SEGMENT_BYTES", 1_000_000)
    assert spool.bound() == []
    spool.rotate()


def test_on_a_full_disk_it_waits_and_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PENDING_BYTES", 1000)
    spool = Spool(folder)
    spool.add(LINES)
    spool.flush()
    assert spool._file is not None
    with full_disk(spool._file):
        spool.add(LINES)
        with pytest.raises(OSError, match="No space left"):
            spool.flush()
        assert spool.unsynced_since is not None
        with pytest.raises(OSError, match="No space left"):
            for number in range(1000):
                spool.add([b"%d 1:%s" % (number, os.urandom(500).hex().encode())])
        assert spool.size < 100_000
    spool.flush()
    assert list(spool.read())[:200] == SAMPLES * 2
    with full_disk(spool._file):
        spool.add(LINES)
        assert len(spool.rotate()) == 1


def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("")
    with pytest.raises(FileExistsError):
        Spool(tmp_path / "spool")


def test_a_segment_that_can_not_begin(folder: Path) -> None:
    spool = Spool(folder)
    folder.rmdir()
    with pytest.raises(FileNotFoundError):
        spool.add(LINES)
    assert spool.unsynced_since is not None
    folder.mkdir()
    spool.add(LINES)
    spool.rotate()
    assert [path.name for path in spool.segments()] == ["00000001.gz"]
