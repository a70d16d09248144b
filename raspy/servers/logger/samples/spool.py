# SPDX-License-Identifier: GPL-3.0-or-later
"""The spool: every sample on disk within `flush_s`, until the RRDs have it on disk too.

rrdcached keeps values in memory for long, so that an SD card is not worn out by small writes, and
never syncs its own journal. So the logger appends each sample here first, compressed, and syncs once
in `flush_s`; that is one small sequential write. After a checkpoint (all RRDs written and synced) the
segments from before it are removed. What rrdcached or a power cut loses is replayed from here.

A segment is a gzip file of lines, so a person can look at one with zcat::

    # boot 6e0ee8b9-...             which boot of the machine wrote it
    pi/fake/tank/temperature 1769000000.123:24.7
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from raspy.common import systemd
from raspy.common.durable import sync_folder
from raspy.servers.logger.text.gzstream import GzipAppender, read_lines

BOOT = b"# boot "

MAX_PENDING_BYTES = 1_048_576
"""What may wait in memory for a disk that refuses it."""

SEGMENT_BYTES = 4_194_304
SEGMENTS_MAX = 16
"""What the spool may take when no checkpoint comes; ten million samples fit."""


class Spool:
    """The segments in one folder.

    Only one thread may write; any may read the attributes.

    Arguments:
        folder: their folder; made if it is not there.
        boot_id: a name of the machine's current boot; the kernel's by default.

    Attributes:
        bytes_written: what was written in all, in bytes.
        syncs: how often it was brought onto the disk.
        unsynced_since: when the oldest sample was added that is not on the disk yet (monotonic
            seconds); None if all are.

    Raises:
        OSError: the folder can't be made or read.
    """

    def __init__(self, folder: Path, boot_id: str | None = None) -> None:
        self.folder = folder
        self.bytes_written = 0
        self.syncs = 0
        self.unsynced_since: float | None = None
        self._boot = (boot_id or systemd.boot_id()).encode()
        self._file: GzipAppender | None = None
        folder.mkdir(parents=True, exist_ok=True)
        numbers = [int(path.name.partition(".")[0]) for path in self.segments()]
        self._number = max(numbers, default=0)

    def segments(self) -> list[Path]:
        """The segments, oldest first."""
        return sorted(path for path in self.folder.iterdir() if path.match("[0-9]*.gz"))

    @property
    def size(self) -> int:
        """Bytes of the segment being written."""
        return 0 if self._file is None else self._file.size + self._file.pending_bytes

    def add(self, lines: Iterable[bytes]) -> None:
        """Take samples, ``LABEL TIME:VALUE`` each.

        Raises:
            OSError: the disk refuses, and so much waits already that these are not taken; or it
                refused just now, and these wait.
        """
        if self.unsynced_since is None:
            self.unsynced_since = time.monotonic()
        if self._file is None:
            self._begin()
        assert self._file is not None
        if self._file.pending_bytes > MAX_PENDING_BYTES:
            self._file.flush(sync=False)
        self._file.write(b"\n".join(lines) + b"\n")

    def flush(self, *, sync: bool = True) -> None:
        """Bring what was taken into the file, and onto the disk if *sync*.

        Raises:
            OSError: the disk refuses; what waits is kept.
        """
        if self._file is not None:
            before = self._file.synced_bytes
            self._file.flush(sync=sync)
            if sync:
                self.syncs += 1
                self.bytes_written += self._file.synced_bytes - before
        if sync:
            self.unsynced_since = None

    def bound(self) -> list[Path]:
        """Begin another segment when this one is long, and drop the oldest when there are too many.

        Returns:
            What was dropped.

        Raises:
            OSError: the disk refuses.
        """
        if self.size < SEGMENT_BYTES:
            return []
        self.flush()
        dropped = self.rotate()[:-SEGMENTS_MAX]
        self.remove(dropped)
        return dropped

    def rotate(self) -> list[Path]:
        """End the segment; the next sample begins another one.

        Returns:
            All segments that there are now: what a checkpoint that begins now makes superfluous.
        """
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.close()
            except OSError:
                pass  # the checkpoint that follows brings what is missing onto the disk
        self.unsynced_since = None
        return self.segments()

    def remove(self, segments: Iterable[Path]) -> None:
        """Remove segments whose samples the RRDs have on disk.

        Raises:
            OSError: one can't be removed.
        """
        for path in segments:
            path.unlink(missing_ok=True)
        sync_folder(self.folder)

    def from_another_boot(self) -> bool:
        """Whether a segment is left from before the machine last started.

        Then it went down without a word, and what was written to the RRDs last may have reached
        the disk in part only.
        """
        for path in self.segments():
            first = next(read_lines(path), b"")
            if first.startswith(BOOT) and first[len(BOOT) :] != self._boot:
                return True
        return False

    def read(self, segments: Iterable[Path] | None = None) -> Iterator[tuple[str, bytes]]:
        """The samples, in the order in which they were added: label, and ``TIME:VALUE``.

        What is being written is read up to the last `flush`.
        """
        for path in self.segments() if segments is None else segments:
            for line in read_lines(path):
                label, space, sample = line.rpartition(b" ")
                if space and not line.startswith(b"#"):
                    yield label.decode(errors="replace"), sample

    def _begin(self) -> None:
        path = self.folder / f"{self._number + 1:08d}.gz"
        self._file = GzipAppender(path)
        self._number += 1
        self._file.write(BOOT + self._boot + b"\n")
