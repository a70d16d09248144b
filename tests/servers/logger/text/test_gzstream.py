# SPDX-License-Identifier: GPL-3.0-or-later
"""Gzip files that survive a power cut."""

import gzip
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.servers.logger.text.gzstream import WRITE_BYTES, GzipAppender, read_chunks, read_lines
from tests.support.logger import full_disk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.gz"


def test_what_was_written_is_read(path: Path) -> None:
    file = GzipAppender(path)
    file.write(b"one\ntwo\n")
    file.flush()
    file.write(b"three\n")
    file.close()
    file.close()
    assert list(read_lines(path)) == [b"one", b"two", b"three"]
    assert file.synced_bytes == file.size == path.stat().st_size
    assert gzip.decompress(path.read_bytes()) == b"one\ntwo\nthree\n"


def test_zcat_reads_a_file_that_is_being_written(path: Path) -> None:
    file = GzipAppender(path)
    file.write(b"one\ntwo\n")
    file.flush()
    assert subprocess.run(["zcat", path], capture_output=True, check=False).stdout == b"one\ntwo\n"
    file.close()


def test_a_file_that_exists_is_not_touched(path: Path) -> None:
    path.write_bytes(b"something")
    with pytest.raises(FileExistsError):
        GzipAppender(path)
    assert path.read_bytes() == b"something"


def test_much_is_written_without_a_flush(path: Path) -> None:
    file = GzipAppender(path)
    noise = bytes(range(256)) * 40
    while file.size == 0:
        file.write(noise[: len(noise) - file.pending_bytes % 100])
    assert path.stat().st_size >= WRITE_BYTES
    assert file.synced_bytes == 0
    file.close()


@given(
    st.lists(st.lists(st.binary(max_size=200), max_size=20), min_size=1, max_size=8),
    st.data(),
)
def test_a_cut_takes_only_what_came_after_the_last_flush(
    blocks: list[list[bytes]], data: st.DataObject
) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.gz"
        file = GzipAppender(path)
        sizes = [0]
        for lines in blocks:
            file.write(b"".join(line.replace(b"\n", b" ") + b"\n" for line in lines))
            file.flush()
            sizes.append(file.size)
        file.close()
        content = path.read_bytes()
        cut = data.draw(st.integers(0, len(content)))
        tail = data.draw(st.sampled_from([b"", bytes(300), b"\xff" * 300]))
        path.write_bytes(content[:cut] + tail)
        flushed = sum(1 for size in sizes[1:] if size <= cut)
        wanted = [line.replace(b"\n", b" ") for lines in blocks[:flushed] for line in lines]
        assert list(read_lines(path))[: len(wanted)] == wanted


def test_damage_in_the_middle_takes_only_what_follows(path: Path) -> None:
    file = GzipAppender(path)
    for number in range(2000):
        file.write(b"line %d\n" % number)
        if number % 100 == 0:
            file.flush()
    file.close()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    lines = list(read_lines(path))
    assert lines[:800] == [b"line %d" % number for number in range(800)]


def test_several_members_are_read_as_one(path: Path) -> None:
    path.write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n") + gzip.compress(b""))
    assert b"".join(read_chunks(path)) == b"one\ntwo\n"


def test_what_is_no_gzip_has_no_lines(path: Path) -> None:
    path.write_bytes(b"plain text\n" * 1000)
    assert list(read_lines(path)) == []
    path.write_bytes(b"")
    assert list(read_lines(path)) == []


def test_a_full_disk_loses_nothing_that_was_taken(path: Path) -> None:
    file = GzipAppender(path)
    file.write(b"before\n")
    file.flush()
    with full_disk(file):
        file.write(b"meanwhile\n")
        with pytest.raises(OSError, match="No space left"):
            file.flush()
        file.write(b"still\n")
        assert file.pending_bytes > 0
    file.flush()
    file.close()
    assert list(read_lines(path)) == [b"before", b"meanwhile", b"still"]


def test_a_file_that_can_not_be_ended_is_closed_all_the_same(path: Path) -> None:
    file = GzipAppender(path)
    file.write(b"one\n")
    file.flush()
    with full_disk(file), pytest.raises(OSError, match="No space left"):
        file.write(b"two\n")
        file.flush()
    own = file._fd
    with full_disk(file):
        pass
    file.close()
    assert file._fd == -1 and own >= 0
    assert list(read_lines(path)) == [b"one", b"two"]


def test_the_end_on_a_full_disk(path: Path) -> None:
    import os

    file = GzipAppender(path)
    file.write(b"one\n")
    file.flush()
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, file._fd)
    os.close(full)
    with pytest.raises(OSError, match="No space left"):
        file.close()
    assert list(read_lines(path)) == [b"one"]
    file.close()


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        GzipAppender(tmp_path / "none" / "a.gz")
