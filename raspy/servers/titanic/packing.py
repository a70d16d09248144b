# SPDX-License-Identifier: GPL-3.0-or-later
"""Several frames as one value of the database: each after its length (4 bytes, network order)."""

import struct
from collections.abc import Sequence

_LENGTH = struct.Struct("!I")


def pack(frames: Sequence[bytes]) -> bytes:
    """Put frames into one value."""
    length = _LENGTH.pack
    return b"".join([part for frame in frames for part in (length(len(frame)), frame)])


def unpack(data: bytes) -> list[bytes]:
    """Take the frames out again.

    Raises:
        ValueError: this was not made by `pack`.
    """
    frames = []
    start = 0
    while start < len(data):
        end = start + 4 + _LENGTH.unpack_from(data, start)[0] if start + 4 <= len(data) else -1
        if not 0 < end <= len(data):
            raise ValueError(f"a value of {len(data)} bytes ends within a frame")
        frames.append(data[start + 4 : end])
        start = end
    return frames
