# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups that are not what they say: nothing of them is written anywhere."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import raspy
from raspy.ctl.backups import archive as module
from raspy.ctl.backups.archive import HEAD, LIST, Archive, Damaged, check_path
from raspy.ctl.backups.replace import replace
from raspy.ctl.errors import CtlError
from raspy.ctl.place import Place

ROOM = 1 << 30
GOOD_HEAD = {"format": 1, "version": raspy.__version__, "host": "pi", "time": 1769000000.0}
Member = tuple[str, bytes]


def folder(path: str, **more: Any) -> dict[str, Any]:
    return {
        "path": path,
        "mode": 0o750,
        "user": "x",
        "group": "x",
        "mtime": 1,
        "size": -1,
        "sha256": "",
        **more,
    }


def entry(path: str, data: bytes, **more: Any) -> dict[str, Any]:
    return folder(path, size=len(data), sha256=hashlib.sha256(data).hexdigest(), mode=0o640) | more


def packed(members: list[Member | tarfile.TarInfo], form: int = tarfile.USTAR_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=form) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            tar.addfile(info, io.BytesIO(member[1]))
    return buffer.getvalue()


def whole(
    files: dict[str, bytes], entries: list[dict[str, Any]] | None = None, head: object = GOOD_HEAD
) -> bytes:
    """An archive of files, with a list of its own if one is given."""
    listed = [folder("state"), *(entry(path, data) for path, data in files.items())]
    return packed([
        (HEAD, json.dumps(head).encode()), *files.items(),
        (LIST, json.dumps(listed if entries is None else entries).encode()),
    ])  # fmt: skip


@pytest.fixture
def read(run_dir: Path) -> Callable[[bytes], Archive]:
    def reading(data: bytes) -> Archive:
        (run_dir / "x.backup").write_bytes(data)
        return Archive(run_dir / "x.backup", ROOM)

    return reading


Read = Callable[[bytes], Archive]


def test_a_good_one(read: Read) -> None:
    archive = read(whole({"state/a": b"1", "state/b": b""}))
    assert archive.head.host == "pi"
    assert list(archive.entries) == ["state", "state/a", "state/b"]
    assert {one.path: b"".join(chunks) for one, chunks in archive.contents()} == {
        "state/a": b"1",
        "state/b": b"",
    }


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../x", "state/../x", "state/../../etc/passwd", "state//x", "state/./x", "state/", "",
     "etc/x", "state/a\0b", "state/" + "x" * 300, "state/a\nb", "\u202estate/x", "state/\ud800"],
)  # fmt: skip
def test_paths_that_lead_elsewhere(read: Read, path: str) -> None:
    with pytest.raises(ValueError):
        check_path(path)
    for name in ("state/a", path):
        try:
            data = packed([(HEAD, json.dumps(GOOD_HEAD).encode()), (name, b"1"),
                           (LIST, json.dumps([folder("state"), entry(path, b"1")]).encode())])  # fmt: skip
        except (ValueError, UnicodeError):
            continue
        with pytest.raises(Damaged, match="Nothing was changed"):
            read(data)


@pytest.mark.parametrize(
    ("kind", "target"), [(tarfile.SYMTYPE, "/etc"), (tarfile.LNKTYPE, "/etc/passwd"), (tarfile.DIRTYPE, ""),
                         (tarfile.CHRTYPE, ""), (tarfile.FIFOTYPE, ""), (tarfile.GNUTYPE_SPARSE, "")],
)  # fmt: skip
def test_what_is_no_file(read: Read, kind: bytes, target: str) -> None:
    info = tarfile.TarInfo("state/a")
    info.type, info.linkname = kind, target
    with pytest.raises(Damaged, match="is no file"):
        read(packed([(HEAD, json.dumps(GOOD_HEAD).encode()), info]))


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_extensions_are_not_followed(read: Read, form: int) -> None:
    """A name that does not fit comes as an extra header, which could as well ask for a gigabyte."""
    with pytest.raises(Damaged):
        read(packed([(HEAD, json.dumps(GOOD_HEAD).encode()), ("state/" + "é" * 150, b"1")], form))


@pytest.mark.parametrize(
    ("entries", "why"),
    [([folder("state")], "is in it or in its list, not in both"),
     ([folder("state"), entry("state/a", b"1"), entry("state/b", b"1")], "not in both"),
     ([entry("state/a", b"1")], "is in no folder of it"),
     ([folder("state"), entry("state/a", b"2")], "is not what was put in"),
     ([folder("state"), entry("state/a", b"1", size=2)], "is not what was put in"),
     ([folder("state"), folder("state/a")], "not in both"),
     ([folder("state"), entry("state/a", b"1", mode=0o4755)], "wrong mode, owner, time or size"),
     ([folder("state"), entry("state/a", b"1", mode=0o777)], "wrong mode"),
     ([folder("state"), entry("state/a", b"1", mtime=-1)], "wrong mode"),
     ([folder("state"), entry("state/a", b"1", mtime=1e9)], "wrong mode"),
     ([folder("state"), entry("state/a", b"1", user=["root"])], "wrong mode"),
     ([folder("state"), entry("state/a", b"1", size=True)], "wrong mode"),
     ([{"path": "state"}], "its list of files is wrong"), ([1], "its list"), (["state"], "its list"),  # type: ignore[list-item]
     ([folder("state"), {**entry("state/a", b"1"), "path": 5}], "its list of files is wrong")],
)  # fmt: skip
def test_lists_that_do_not_fit(read: Read, entries: list[dict[str, Any]], why: str) -> None:
    with pytest.raises(Damaged, match=why):
        read(whole({"state/a": b"1"}, entries))


def test_a_list_that_is_none(read: Read) -> None:
    for text in (b"", b"{", b"5", b"[" * 100_000, b"null", b"\xff"):
        with pytest.raises(Damaged, match="its list of files is wrong"):
            read(packed([(HEAD, json.dumps(GOOD_HEAD).encode()), (LIST, text)]))


@pytest.mark.parametrize(
    "head", [{}, [], 5, None, {**GOOD_HEAD, "version": "x"}, {**GOOD_HEAD, "time": "now"}, {"format": 1}]
)
def test_heads_that_are_none(read: Read, head: object) -> None:
    with pytest.raises(Damaged, match="this is no backup of RasPy"):
        read(whole({}, head=head))


@pytest.mark.parametrize("head", [{**GOOD_HEAD, "version": "99.0"}, {**GOOD_HEAD, "format": 2}])
def test_a_newer_one_is_refused(read: Read, head: object) -> None:
    with pytest.raises(CtlError, match=r"upgrade it first\. Nothing was changed"):
        read(whole({}, head=head))


def test_order_and_doubles(read: Read) -> None:
    head, a = (HEAD, json.dumps(GOOD_HEAD).encode()), ("state/a", b"1")
    listed = (LIST, json.dumps([folder("state"), entry("state/a", b"1")]).encode())
    read(packed([head, a, listed]))
    for members in ([a, head, listed], [head, listed, a], [head, a, a, listed], [head, a, listed, listed],
                    [a, listed], [head, a], [head], []):  # fmt: skip
        with pytest.raises(Damaged):
            read(packed(list(members)))


def test_it_ends_anywhere(read: Read) -> None:
    data = whole({"state/a": bytes(range(256)) * 40})
    for end in range(0, len(data) - 8, 7):
        with pytest.raises(Damaged):
            read(data[:end])


def test_any_byte_is_another(read: Read) -> None:
    data = whole({"state/a": b"x" * 2000})
    good = read(data)
    for place in range(10, len(data), 3):
        changed = bytearray(data)
        changed[place] ^= 0x10
        try:
            archive = read(bytes(changed))
        except CtlError:
            continue
        # Padding that nobody looks at: what matters is the same.
        assert (archive.head, archive.entries) == (good.head, good.entries)


def test_a_bomb_takes_neither_room_nor_memory(run_dir: Path) -> None:
    bomb = run_dir / "bomb.backup"
    size = 300 << 20
    info = tarfile.TarInfo("state/a")
    info.size = size
    with gzip.open(bomb, "wb", compresslevel=1) as stream:
        plain = gzip.decompress(packed([(HEAD, json.dumps(GOOD_HEAD).encode())]))
        stream.write(plain[:1024])
        stream.write(info.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(size >> 20):
            stream.write(bytes(1 << 20))
    assert bomb.stat().st_size < 3 << 20
    with pytest.raises(CtlError, match="needs more than the 100 MiB that are free"):
        Archive(bomb, 100 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(Damaged, match="it ends too early"):
            Archive(bomb, ROOM)
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()


def test_a_description_that_is_too_long(read: Read) -> None:
    with pytest.raises(Damaged, match="its description has"):
        read(packed([(HEAD, b" " * 5000)]))


def test_too_many_files(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FILES", 3)
    with pytest.raises(Damaged, match="has no place in it"):
        read(whole({f"state/{number}": b"" for number in range(4)}))


def test_what_cannot_be_read(run_dir: Path) -> None:
    with pytest.raises(CtlError, match="can't be read: No such file"):
        Archive(run_dir / "none", ROOM)
    with pytest.raises(CtlError, match="can't be read: Is a directory"):
        Archive(run_dir, ROOM)


def test_changed_between_the_check_and_the_use(read: Read, run_dir: Path) -> None:
    archive = read(whole({"state/a": b"1"}))
    place = Place(run_dir / "s", None)
    for other in (whole({"state/a": b"2"}), whole({"state/b": b"1"}), whole({"state/a": b"12"}), b"x"):
        (run_dir / "x.backup").write_bytes(other)
        with pytest.raises(Damaged):
            replace(place, archive, lambda _: None)
        assert [path.name for path in run_dir.iterdir()] == ["x.backup"], "nothing is left"


NAMES = [HEAD, LIST, "state/a", "state", "../x", "/x", "x"]


def several(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)


@given(
    st.binary(max_size=400).map(gzip.compress) | st.binary(max_size=200),
    st.lists(st.tuples(st.sampled_from(NAMES), st.binary(max_size=50)), max_size=5),
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), several),
)
def test_noise(noise: bytes, members: list[Member], value: object) -> None:
    text = json.dumps(value).encode()
    with tempfile.TemporaryDirectory(prefix="raspy-", dir="/tmp") as home:
        file = Path(home) / "x"
        for data in (noise, packed(list(members)), packed([(HEAD, text)]),
                     packed([(HEAD, json.dumps(GOOD_HEAD).encode()), (LIST, text)])):  # fmt: skip
            file.write_bytes(data)
            try:
                archive = Archive(file, ROOM)
            except CtlError:
                continue
            assert archive.entries == {}, "only an empty list is one"
