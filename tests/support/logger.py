# SPDX-License-Identifier: GPL-3.0-or-later
"""What the logger's tests share: a disk that is full, values of the tree."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from raspy.servers.logger.text.gzstream import GzipAppender


@contextmanager
def full_disk(file: GzipAppender) -> Iterator[None]:
    """While the block runs, the kernel refuses every write to *file* with ENOSPC."""
    fd = file._fd
    own = os.dup(fd)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, fd)
    try:
        yield
    finally:
        if file._fd == fd:
            os.dup2(own, fd)
        os.close(own)
        os.close(full)


def body(value: Any, time_s: float, *, unit: str | None = "°C", quality: str = "good", **more: Any) -> bytes:
    """A value of the tree as a device server publishes it, polled every 60 seconds."""
    content = {
        "value": value,
        "unit": unit,
        "quality": quality,
        "time": time_s,
        "polled": time_s,
        "poll": 60.0,
    }
    return json.dumps({**content, **more}, ensure_ascii=False).encode()
