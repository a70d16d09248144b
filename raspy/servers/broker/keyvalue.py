# SPDX-License-Identifier: GPL-3.0-or-later
"""The key/value map, and the file that brings it back after a crash.

Every batch of updates is appended to the file before it is published, so a subscriber never has seen
a sequence that a restarted broker would use again. The file lives beside the unix sockets, on
/run under systemd: it is for a broker that was killed, not for a machine that lost power, whose
values are old news anyway; so nothing is fsynced and no SD card is worn.

Format, numbers in network order::

    batch:   [length of the updates, 4 bytes] [their CRC-32, 4 bytes] [update]...
    update:  [length of key, 2] [length of body, 4] [sequence, 8] [key] [body]

An empty body deletes. A batch that is cut short or damaged ends the file.
"""

from __future__ import annotations

import logging
import os
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

_BATCH = struct.Struct("!II")
_UPDATE = struct.Struct("!HIq")

MAX_KEY = 255
# The file is written anew when it is larger than this, and than so many times the map.
COMPACT_BYTES = 1 << 20
COMPACT_FACTOR = 4
# How long to go on without the file after it could not be written, in seconds.
RETRY_S = 60.0

Update = tuple[bytes, int, bytes]


class Refused(Exception):
    """An update that a limit forbids; its text says why."""


class KvMap:
    """Body and sequence by key, with limits, kept in a file.

    Args:
        path: the file; None keeps nothing.
        max_keys: how many keys there may be.
        max_bytes: how many bytes keys and bodies may have together.
        log: where to say that the file can't be written.

    Attributes:
        values: sequence and body by key.
        sequence: the number of the last update.
        size: bytes of all keys and bodies.
    """

    def __init__(self, path: Path | None, max_keys: int, max_bytes: int, log: logging.Logger) -> None:
        self.values: dict[bytes, tuple[int, bytes]] = {}
        self.sequence = 0
        self.size = 0
        self._path = path
        self._max_keys = max_keys
        self._max_bytes = max_bytes
        self._log = log
        self._fd = -1
        self._file_bytes = 0
        self._retry_at = 0.0
        self._failing = False

    def __len__(self) -> int:
        return len(self.values)

    def open(self) -> None:
        """Bring the map back from its file, and open that for what comes."""
        if self._path is None:
            return
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            data = b""
        except OSError as error:
            # Values are old news after a restart; requests are not to wait for them.
            self._log.error("%s: can't be read (%s); starting without values", self._path, error.strerror)
            data = b""
        good = self._replay(data)
        if good < len(data):
            self._log.warning("%s: %d damaged bytes at its end were left out", self._path, len(data) - good)
        self._compact()

    def _replay(self, data: bytes) -> int:
        """Apply the batches of a file; return how many bytes of it were whole."""
        position = 0
        while position + _BATCH.size <= len(data):
            length, checksum = _BATCH.unpack_from(data, position)
            batch = data[position + _BATCH.size : position + _BATCH.size + length]
            if len(batch) < length or zlib.crc32(batch) != checksum:
                break
            for key, sequence, body in _updates(batch):
                self._set(key, sequence, body)
                self.sequence = max(self.sequence, sequence)
            position += _BATCH.size + length
        return position

    def refuses(self, key: bytes, body: bytes) -> str:
        """Why this update can't be taken; empty when it can."""
        old = self.values.get(key)
        if old is None:
            if not 2 <= len(key) <= MAX_KEY or key[:1] != b"/":
                return f"a key begins with / and has 2 to {MAX_KEY} bytes"
            try:
                if not key.decode().isprintable():
                    return "a key has no control characters"
            except UnicodeDecodeError:
                return "a key is UTF-8 text"
            if body and len(self.values) >= self._max_keys:
                return f"there are {len(self.values)} keys already (max_keys)"
        grows = len(body) - (len(old[1]) if old is not None else -len(key))
        if grows > 0 and self.size + grows > self._max_bytes:
            return f"the tree has {self.size} bytes already (max_map_bytes)"
        return ""

    def take(self, key: bytes, body: bytes) -> int:
        """Set *key* like ``put``, as far as the limits allow.

        Raises:
            Refused: why they don't.
        """
        old = self.values.get(key)
        if old is None or not body:
            reason = self.refuses(key, body)
            if reason:
                raise Refused(reason)
            return self.put(key, body)
        # The common case, an update of what is there, in one look-up.
        grows = len(body) - len(old[1])
        if grows > 0 and self.size + grows > self._max_bytes:
            raise Refused(self.refuses(key, body))
        self.sequence += 1
        self.size += grows
        self.values[key] = (self.sequence, body)
        return self.sequence

    def put(self, key: bytes, body: bytes) -> int:
        """Set *key* (an empty *body* deletes it), as a new update.

        Returns:
            The update's sequence. ``keep`` must have it before anybody else does.
        """
        self.sequence += 1
        self._set(key, self.sequence, body)
        return self.sequence

    def _set(self, key: bytes, sequence: int, body: bytes) -> None:
        old = self.values.get(key)
        if old is not None:
            self.size -= len(key) + len(old[1])
        if body:
            self.values[key] = (sequence, body)
            self.size += len(key) + len(body)
        elif old is not None:
            del self.values[key]

    def keep(self, batch: list[Update]) -> None:
        """Append updates to the file."""
        if self._fd < 0:
            if self._path is not None and time.monotonic() >= self._retry_at:
                self._compact()
            return
        data = _pack(batch)
        if not self._write(data):
            return
        self._file_bytes += len(data)
        if self._file_bytes > COMPACT_BYTES and self._file_bytes > COMPACT_FACTOR * self.size:
            self._compact()

    def _write(self, data: bytes) -> bool:
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            self._give_up(error.strerror or str(error))
            return False
        if written < len(data):
            # The damaged end would hide whatever followed it.
            self._give_up("no space left")
            return False
        return True

    def _give_up(self, why: str) -> None:
        self.close()
        self._retry_at = time.monotonic() + RETRY_S
        if not self._failing:
            self._failing = True
            text = "%s: can't be written (%s); values would not survive a crash. Trying again every %.0f s"
            self._log.error(text, self._path, why, RETRY_S)

    def _compact(self) -> None:
        """Write the map as it is now to a new file, which then takes the old one's place."""
        assert self._path is not None
        self.close()
        fresh = self._path.with_suffix(".new")
        # The sequence of the last update must survive even when that update was a deletion.
        batch = [(key, sequence, body) for key, (sequence, body) in self.values.items()]
        data = _pack([*batch, (b"", self.sequence, b"")])
        try:
            self._fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
            if self._write(data):
                os.replace(fresh, self._path)
                self._file_bytes = len(data)
                if self._failing:
                    self._failing = False
                    self._log.info("%s: is written again", self._path)
        except OSError as error:
            self._give_up(error.strerror or str(error))

    def close(self) -> None:
        """Close the file; again is no error."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _pack(batch: list[Update]) -> bytes:
    pack = _UPDATE.pack
    data = b"".join([pack(len(key), len(body), sequence) + key + body for key, sequence, body in batch])
    return _BATCH.pack(len(data), zlib.crc32(data)) + data


def _updates(batch: bytes) -> Iterator[Update]:
    position = 0
    while position + _UPDATE.size <= len(batch):
        key_length, body_length, sequence = _UPDATE.unpack_from(batch, position)
        position += _UPDATE.size
        body_at = position + key_length
        yield batch[position:body_at], sequence, batch[body_at : body_at + body_length]
        position = body_at + body_length
