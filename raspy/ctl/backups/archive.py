# SPDX-License-Identifier: GPL-3.0-or-later
"""The format of a backup, and reading one that may be anything.

A backup is a gzipped tar in the oldest common format (ustar), which any tar unpacks. Its first member says
what it is (`HEAD`), its last one what is in it (`LIST`: path, mode, owner, size and SHA-256 of each file);
between them are the files. Everything is checked before a byte of it is written anywhere. It is not read with
a library for tar: those follow links, and extensions that let an archive ask for any amount of memory.

Source: POSIX.1-1988 ustar, as in tar(5).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from raspy import __version__
from raspy.ctl.errors import CtlError

FORMAT = 1
HEAD, LIST = "raspy-backup.json", "files.json"
ROOTS = ("state", "configuration")
BLOCK = 512
CHUNK = 1 << 20
MAX_HEAD_BYTES = 4096
MAX_LIST_BYTES = 32 << 20
MAX_FILES = 50_000
# What a file of RasPy's may have at most, and the greatest number of a ustar header.
MAX_FILE_BYTES = 8 << 30
MAX_PATH = 255
# Zeros at its end, which tar fills up to its next 20 blocks.
MAX_PADDING = 40 * BLOCK
FILE_MODES = 0o775


class Entry(NamedTuple):
    """A file or a folder in a backup.

    Args:
        path: ``state/...`` or ``configuration/...``.
        mode: its permissions.
        user: whose it is, by name.
        group: its group, by name.
        mtime: when it was changed last, seconds since the epoch.
        size: bytes; -1 for a folder.
        sha256: of what is in it, in hexadecimal; empty for a folder.
    """

    path: str
    mode: int
    user: str
    group: str
    mtime: int
    size: int
    sha256: str

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.size < 0


class Head(NamedTuple):
    """What a backup says of itself.

    Args:
        version: of RasPy that made it.
        host: the machine that it is of.
        time: when, seconds since the epoch.
    """

    version: str
    host: str
    time: float


class Damaged(CtlError):
    """It is no backup, or not whole; nothing was changed."""


def member_name(path: str) -> str:
    """What a path is called in the tar."""
    return quote(path, safe="/")


def check_path(path: object) -> str:
    """A path as it may be in a backup.

    Raises:
        ValueError: it is not; the text is the path.
    """
    if not isinstance(path, str) or "\0" in path or len(path.encode(errors="replace")) > MAX_PATH:
        raise ValueError(repr(path)[:300])
    parts = path.split("/")
    if parts[0] not in ROOTS or any(part in ("", ".", "..") for part in parts):
        raise ValueError(repr(path))
    if not path.isprintable():
        raise ValueError(repr(path))
    return path


class Archive:
    """A backup that was checked from end to end.

    Args:
        path: the file.
        room: how many bytes there is room for, all files together.

    Attributes:
        head: what it says of itself.
        entries: what is in it, by path, folders before what is in them.

    Raises:
        Damaged: it is none, or not whole, or not of a kind that is made here.
    """

    def __init__(self, path: Path, room: int) -> None:
        self.path = path
        found: dict[str, tuple[int, str]] = {}
        head = listed = None
        total = 0
        for name, size, chunks in self._members():
            if head is None:
                head = _head(name, _text(chunks, size, MAX_HEAD_BYTES))
            elif listed is not None or name in found or len(found) >= MAX_FILES:
                raise self._damaged(f"{name!r} has no place in it")
            elif name == LIST:
                listed = _text(chunks, size, MAX_LIST_BYTES)
            else:
                total += size
                if total > room:
                    free = f"{room >> 20} MiB"
                    raise CtlError(f"{path}: needs more than the {free} that are free; make room first")
                digest = hashlib.sha256()
                for chunk in chunks:
                    digest.update(chunk)
                found[name] = (size, digest.hexdigest())
        if head is None or listed is None:
            raise self._damaged("its end is missing")
        self.head = head
        self.entries = self._entries(listed, found)

    def _damaged(self, why: str) -> Damaged:
        return Damaged(f"{self.path}: is no whole backup of RasPy: {why}. Nothing was changed")

    def _entries(self, text: bytes, found: Mapping[str, tuple[int, str]]) -> dict[str, Entry]:
        try:
            entries = {entry.path: entry for entry in map(_entry, json.loads(text))}
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise self._damaged(f"its list of files is wrong: {error}") from error
        files = {member_name(path): entry for path, entry in entries.items() if not entry.is_folder}
        folders = {path for path, entry in entries.items() if entry.is_folder}
        for name in found.keys() ^ files.keys():
            raise self._damaged(f"{name!r} is in it or in its list, not in both")
        for path in entries:
            if (parent := path.rpartition("/")[0]) and parent not in folders:
                raise self._damaged(f"{path!r} is in no folder of it")
        for name, entry in files.items():
            if found[name] != (entry.size, entry.sha256):
                raise self._damaged(f"{entry.path!r} is not what was put in")
        return dict(sorted(entries.items(), key=lambda item: item[0].split("/")))

    def contents(self) -> Iterator[tuple[Entry, Iterator[bytes]]]:
        """Each file with what is in it, in pieces; all of them must be taken, in order.

        Raises:
            Damaged: it is another archive by now.
        """
        by_name = {member_name(path): entry for path, entry in self.entries.items()}
        for name, size, chunks in self._members():
            if name in (HEAD, LIST):
                for _ in chunks:
                    pass
                continue
            entry = by_name.get(name)
            if entry is None or entry.size != size:
                raise self._damaged("it was changed while it was read")
            yield entry, self._same(entry, chunks)

    def _same(self, entry: Entry, chunks: Iterator[bytes]) -> Iterator[bytes]:
        digest = hashlib.sha256()
        for chunk in chunks:
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != entry.sha256:
            raise self._damaged("it was changed while it was read")

    def _members(self) -> Iterator[tuple[str, int, Iterator[bytes]]]:
        try:
            with self.path.open("rb") as file, gzip.GzipFile(fileobj=file) as stream:
                while (header := self._exactly(stream, BLOCK)) != bytes(BLOCK):
                    name, size = self._header(header)
                    yield name, size, self._content(stream, size)
                    self._exactly(stream, -size % BLOCK)
                # To the very end, where gzip has its own checksum of all.
                if any(self._read(stream, MAX_PADDING)) or self._read(stream, 1):
                    raise self._damaged("something follows after its end")
        except OSError as error:
            raise CtlError(f"{self.path}: can't be read: {error.strerror}") from error

    def _content(self, stream: gzip.GzipFile, size: int) -> Iterator[bytes]:
        while size:
            chunk = self._exactly(stream, min(size, CHUNK))
            size -= len(chunk)
            yield chunk

    def _exactly(self, stream: gzip.GzipFile, size: int) -> bytes:
        data = self._read(stream, size)
        if len(data) < size:
            raise self._damaged("it ends too early")
        return data

    def _read(self, stream: gzip.GzipFile, size: int) -> bytes:
        try:
            return stream.read(size)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise self._damaged(str(error) or "it ends too early") from error
        except OSError as error:
            raise CtlError(f"{self.path}: can't be read: {error.strerror}") from error

    def _header(self, header: bytes) -> tuple[str, int]:
        """Name and size in a ustar header."""
        try:
            stored = int(header[148:156].strip(b" \0"), 8)
            size = int(header[124:136].strip(b" \0") or b"0", 8)
            name = header[:100].partition(b"\0")[0].decode("ascii")
            prefix = header[345:500].partition(b"\0")[0].decode("ascii")
        except ValueError as error:
            raise self._damaged("it has a header that is none") from error
        if stored != sum(header[:148]) + 8 * ord(" ") + sum(header[156:]) or header[257:263] != b"ustar\0":
            raise self._damaged("it has a header that is none")
        name = f"{prefix}/{name}" if prefix else name
        if header[156:157] not in (b"0", b"\0") or not 0 <= size <= MAX_FILE_BYTES:
            raise self._damaged(f"{name!r} is no file")
        return name, size


def _text(chunks: Iterator[bytes], size: int, limit: int) -> bytes:
    if size > limit:
        raise Damaged(f"its description has {size} bytes; {limit} is the most. Nothing was changed")
    return b"".join(chunks)


def _head(name: str, text: bytes) -> Head:
    try:
        head: dict[str, Any] = json.loads(text) if name == HEAD else {}
        kind, version = head["format"], str(head["version"])
        numbers = [int(part) for part in version.split(".")]
        made = Head(version, str(head["host"]), float(head["time"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged("this is no backup of RasPy. Nothing was changed") from error
    if kind != FORMAT or numbers > [int(part) for part in __version__.split(".")]:
        raise CtlError(
            f"this backup was made by RasPy {version}, and this is {__version__}: upgrade it first."
            " Nothing was changed"
        )
    return made


def _entry(item: object) -> Entry:
    if not isinstance(item, dict):
        raise ValueError("an entry is no object")
    entry = Entry(
        check_path(item["path"]), item["mode"], item["user"], item["group"], item["mtime"], item["size"],
        item["sha256"],
    )  # fmt: skip
    numbers = (entry.mode, entry.mtime, entry.size)
    texts = (entry.user, entry.group, entry.sha256)
    good = all(isinstance(one, int) and not isinstance(one, bool) for one in numbers)
    good = good and all(isinstance(one, str) and len(one) <= 64 for one in texts)
    if not good or entry.mode & ~FILE_MODES or not 0 <= entry.mtime < 1 << 40 or entry.size < -1:
        raise ValueError(f"{entry.path}: wrong mode, owner, time or size")
    return entry


Tick = Callable[[str], None]
"""Told the path of each file that is done."""
