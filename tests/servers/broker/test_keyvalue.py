# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever happened to its file, the key/value map opens, with a prefix of the updates."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.servers.broker import keyvalue
from raspy.servers.broker.keyvalue import KvMap

LOG = logging.getLogger("test.keyvalue")
ROOM = 1 << 20

Write = tuple[bytes, bytes]
"""Key and body."""


def opened(path: Path | None, max_keys: int = 1000, max_bytes: int = ROOM) -> KvMap:
    kvmap = KvMap(path, max_keys, max_bytes, LOG)
    kvmap.open()
    return kvmap


def write(kvmap: KvMap, *batch: Write) -> None:
    kvmap.keep([(key, kvmap.put(key, body), body) for key, body in batch])


def bodies(kvmap: KvMap) -> dict[bytes, bytes]:
    return {key: body for key, (_, body) in kvmap.values.items()}


def after(writes: list[Write]) -> dict[bytes, bytes]:
    """What a plain dictionary would hold."""
    found: dict[bytes, bytes] = {}
    for key, body in writes:
        if body:
            found[key] = body
        else:
            found.pop(key, None)
    return found


HISTORY: list[Write] = [
    (b"/device/a", b"one"),
    (b"/device/b", b"two"),
    (b"/device/a", b"three, longer"),
    ("/device/\u00b0".encode(), b"\x00\xff"),
    (b"/device/b", b""),
    (b"/event/x", b"four"),
]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A file with one batch for each entry of HISTORY."""
    path = tmp_path / "keyvalue.map"
    kvmap = opened(path)
    for one in HISTORY:
        write(kvmap, one)
    kvmap.close()
    return path


def test_comes_back_with_its_sequence(kept: Path) -> None:
    kvmap = opened(kept)
    assert bodies(kvmap) == after(HISTORY)
    assert kvmap.sequence == len(HISTORY)
    assert kvmap.values[b"/event/x"][0] == len(HISTORY)
    assert kvmap.size == sum(len(key) + len(body) for key, body in after(HISTORY).items())
    kvmap.close()


def test_the_sequence_of_a_deletion_comes_back(tmp_path: Path) -> None:
    """Again and again: opening writes the file anew."""
    path = tmp_path / "keyvalue.map"
    kvmap = opened(path)
    write(kvmap, (b"/a", b"1"), (b"/a", b""))
    kvmap.close()
    for _ in range(3):
        kvmap = opened(path)
        assert kvmap.sequence == 2
        assert not kvmap.values
        kvmap.close()


def test_killed_without_a_close(kept: Path) -> None:
    """What was kept is in the file as soon as `keep` returns."""
    kvmap = opened(kept)
    write(kvmap, (b"/last", b"words"))
    second = KvMap(kept, 1000, ROOM, LOG)
    second._replay(kept.read_bytes())
    assert bodies(second)[b"/last"] == b"words"
    kvmap.close()


PREFIXES = [after(HISTORY[:count]) for count in range(len(HISTORY) + 1)]


def test_cut_at_every_byte_it_opens_with_a_prefix(kept: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = kept.read_bytes()
    found = 0
    for length in range(len(whole) + 1):
        kept.write_bytes(whole[:length])
        kvmap = opened(kept)
        assert PREFIXES.index(bodies(kvmap)) >= found, f"cut at {length}"
        found = PREFIXES.index(bodies(kvmap))
        assert kvmap.sequence <= len(HISTORY)
        # It goes on from there, and what was damaged does not hide what follows.
        write(kvmap, (b"/new", b"value"))
        kvmap.close()
        again = opened(kept)
        assert bodies(again) == PREFIXES[found] | {b"/new": b"value"}
        again.close()
    assert found == len(HISTORY)
    assert "damaged bytes at its end were left out" in caplog.text


@given(st.data())
def test_damaged_anywhere_it_opens_with_a_prefix(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("map") / "keyvalue.map"
    kvmap = opened(path)
    for one in HISTORY:
        write(kvmap, one)
    kvmap.close()
    damaged = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(damaged)
    kvmap = opened(path)
    assert bodies(kvmap) in PREFIXES
    kvmap.close()


@given(st.binary(max_size=200))
def test_any_bytes_open(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("map") / "keyvalue.map"
    path.write_bytes(content)
    kvmap = opened(path)
    assert kvmap.put(b"/a", b"1") == kvmap.sequence
    kvmap.close()


KEYS = st.sampled_from([b"/a", b"/b", b"/c/d"])
WRITES = st.lists(st.lists(st.tuples(KEYS, st.binary(max_size=5)), min_size=1, max_size=4), max_size=12)


@given(WRITES)
def test_is_a_dictionary_that_comes_back(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[Write]]
) -> None:
    path = tmp_path_factory.mktemp("map") / "keyvalue.map"
    kvmap = opened(path)
    history: list[Write] = []
    for batch in batches:
        write(kvmap, *batch)
        history += batch
        assert bodies(kvmap) == after(history)
        assert kvmap.size == sum(len(key) + len(body) for key, body in after(history).items())
    kvmap.close()
    again = opened(path)
    assert again.values == kvmap.values
    assert again.sequence == len(history)
    assert again.size == kvmap.size
    again.close()


def test_the_file_is_written_anew_before_it_grows_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyvalue, "COMPACT_BYTES", 2000)
    path = tmp_path / "keyvalue.map"
    kvmap = opened(path)
    for number in range(1000):
        write(kvmap, (b"/a", b"%d" % number))
        assert path.stat().st_size < 3000
    kvmap.close()
    again = opened(path)
    assert again.values == {b"/a": (1000, b"999")}
    again.close()


def test_without_a_file() -> None:
    kvmap = opened(None)
    write(kvmap, (b"/a", b"1"))
    assert bodies(kvmap) == {b"/a": b"1"}
    kvmap.close()


@pytest.mark.parametrize("key", [b"", b"/", b"a", b"/\xff", b"/a\nb", b"/\x00", b"/" + b"x" * 255])
def test_what_is_no_key_is_refused(key: bytes) -> None:
    assert "a key" in opened(None).refuses(key, b"body")


def test_limits_refuse_what_grows_and_nothing_else() -> None:
    kvmap = opened(None, max_keys=2, max_bytes=30)
    write(kvmap, (b"/a", b"x" * 10), (b"/b", b"x" * 10))
    assert "max_keys" in kvmap.refuses(b"/c", b"x")
    assert not kvmap.refuses(b"/c", b"")
    assert "max_map_bytes" in kvmap.refuses(b"/a", b"x" * 20)
    assert not kvmap.refuses(b"/a", b"x" * 16)
    assert not kvmap.refuses(b"/a", b"")
    write(kvmap, (b"/a", b""))
    assert not kvmap.refuses(b"/c", b"x" * 16)
    assert "max_map_bytes" in kvmap.refuses(b"/c", b"x" * 17)


def unwritable(folder: Path) -> Callable[[], None]:
    """Make the folder's disk full: by a folder where the new file should be. Returns what mends it."""
    blocked = folder / "keyvalue.new"
    blocked.mkdir()
    return blocked.rmdir


def test_a_file_that_cannot_be_written_is_said_once_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(keyvalue, "RETRY_S", 0.0)
    path = tmp_path / "keyvalue.map"
    mend = unwritable(tmp_path)
    kvmap = opened(path)
    for number in range(5):
        write(kvmap, (b"/a", b"%d" % number))
    assert caplog.text.count("can't be written") == 1
    assert not path.exists()
    mend()
    write(kvmap, (b"/b", b"kept"))
    assert caplog.text.count("is written again") == 1
    kvmap.close()
    again = opened(path)
    assert bodies(again) == {b"/a": b"4", b"/b": b"kept"}
    again.close()


def test_it_does_not_try_at_each_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unwritable(tmp_path)
    kvmap = opened(tmp_path / "keyvalue.map")
    tried: list[object] = []
    monkeypatch.setattr(os, "open", lambda *arguments: tried.append(arguments))
    write(kvmap, (b"/a", b"1"))
    assert not tried
    kvmap.close()


def test_a_file_that_cannot_be_read_is_no_reason_not_to_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keyvalue.map"
    path.mkdir()
    kvmap = opened(path)
    assert "can't be read" in caplog.text
    write(kvmap, (b"/a", b"1"))
    assert bodies(kvmap) == {b"/a": b"1"}
    kvmap.close()
