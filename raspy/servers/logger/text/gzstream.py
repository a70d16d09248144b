# SPDX-License-Identifier: GPL-3.0-or-later
"""Gzip files that are appended to and survive a power cut.

A file is one gzip member (RFC 1952) that stays open while it is written. At each flush the
compressor is brought to a byte boundary (Z_SYNC_FLUSH, RFC 1951), so that what stands in the
file up to there can be read although the member's end is missing; `zcat` reads it too, with a
complaint about the end. The last flush is the last thing a power cut can take.

A file is never appended to by a second writer: what follows a torn end could not be read.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from raspy.common.durable import sync_folder

GZIP_WBITS = 31
"""zlib's way to ask for the gzip header and trailer."""

WRITE_BYTES = 65536
"""What is compressed is written to the file, unsynced, when it has grown so long."""

READ_BYTES = 16384


class GzipAppender:
    """Write one new gzip file, from its first byte to its end.

    A write that fails half way (disk full) loses nothing: the rest is kept and the next `flush`
    goes on where it stopped.

    Arguments:
        path: the file, which must not exist.
        level: zlib's compression level, 1 (fast) to 9.

    Raises:
        OSError: the file can't be created.
    """

    def __init__(self, path: Path, level: int = 1) -> None:
        self.path = path
        self.size = 0
        """Bytes in the file."""
        self.synced_bytes = 0
        """Bytes of the file that are on the disk for certain."""
        self._unwritten = bytearray()
        self._stream = zlib.compressobj(level, zlib.DEFLATED, GZIP_WBITS)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            sync_folder(path.parent)
        except OSError:
            os.close(self._fd)
            raise

    @property
    def pending_bytes(self) -> int:
        """Compressed bytes that wait for a write: much only when the disk refuses them."""
        return len(self._unwritten)

    def write(self, data: bytes) -> None:
        """Take *data*; it reaches the file with the next `flush`, or before when there is much of it.

        Raises:
            OSError: the disk refuses what is due; the data are kept.
        """
        self._unwritten += self._stream.compress(data)
        if len(self._unwritten) >= WRITE_BYTES:
            self._write_out()

    def flush(self, *, sync: bool = True) -> None:
        """Bring everything taken so far into the file, and onto the disk if *sync*.

        Raises:
            OSError: the disk refuses; call it again later.
        """
        self._unwritten += self._stream.flush(zlib.Z_SYNC_FLUSH)
        self._write_out()
        if sync:
            os.fdatasync(self._fd)
            self.synced_bytes = self.size

    def close(self) -> None:
        """End the member, sync and close; idempotent.

        Raises:
            OSError: the disk refuses: the file is closed all the same, its end torn.
        """
        if self._fd < 0:
            return
        try:
            self._unwritten += self._stream.flush(zlib.Z_FINISH)
            self._write_out()
            os.fdatasync(self._fd)
            self.synced_bytes = self.size
        finally:
            os.close(self._fd)
            self._fd = -1

    def _write_out(self) -> None:
        while self._unwritten:
            written = os.write(self._fd, self._unwritten)
            del self._unwritten[:written]
            self.size += written


def read_lines(path: Path) -> Iterator[bytes]:
    """The whole lines of a gzip file, without their line feeds, up to its end or its damage.

    Raises:
        OSError: the file can't be read.
    """
    rest = b""
    for chunk in read_chunks(path):
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        yield from lines


def read_chunks(path: Path) -> Iterator[bytes]:
    """The decompressed content of a gzip file of one or several members, up to its end or its damage.

    Raises:
        OSError: the file can't be read.
    """
    with path.open("rb", buffering=0) as file:
        stream = zlib.decompressobj(GZIP_WBITS)
        while data := file.read(READ_BYTES):
            while data:
                before = stream.copy()
                try:
                    chunk = stream.decompress(data)
                except zlib.error:
                    yield _salvage(before, data)
                    return
                if chunk:
                    yield chunk
                if not stream.eof:
                    break
                data = stream.unused_data
                stream = zlib.decompressobj(GZIP_WBITS)


def _salvage(stream: zlib._Decompress, data: bytes) -> bytes:
    """What a damaged piece gives before its damage."""
    found = bytearray()
    for place in range(len(data)):
        try:
            found += stream.decompress(data[place : place + 1])
        except zlib.error:
            break
    return bytes(found)
