# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes over the connection between core and a scenario's process: one JSON object a line.

From core:

======================================= ==========================================================
``{"job": {...}}``                      once, first, with the lifeline's descriptor (SCM_RIGHTS)
``{"entries": {NAME: {...}}}``          entries that changed
``{"stop": "why"}``                     end soon, or be killed
``{"id": N, "result": ...}``            the answer to request N
``{"id": N, "error": "sentence"}``      request N can't be done
======================================= ==========================================================

From the scenario:

======================================= ==========================================================
``{"ready": true}``                     confined; the code's first line comes next
``{"id": N, "do": "publish", ...}``     a request, answered once
``{"log": "text", "level": "info"}``    a line for the journal, not answered
``{"end": "done"|"error"|..., ...}``    the last message; with the kind of end its ``lines`` (traceback)
======================================= ==========================================================

The job: ``name``, ``code``, ``reason``, ``entries``, ``memory_mb``, ``cpu_s``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

TYPE_CHECKING = False  # mypy knows it by its name; typing takes longer to import than all else here
if TYPE_CHECKING:
    from typing import Any

# The longest line either side accepts: the greatest code, as JSON, and its entries.
LINE_BYTES = 1024 * 1024

DONE, ERROR, MEMORY, PROCESSOR = "done", "error", "memory", "processor"


class WireError(Exception):
    """The other side sent what is no message."""


def encode(message: dict[str, Any]) -> bytes:
    """The message as a line.

    Raises:
        ValueError, TypeError: it holds what JSON can't, or is too long.
    """
    line = json.dumps(message, allow_nan=False, separators=(",", ":")).encode() + b"\n"
    if len(line) > LINE_BYTES:
        raise ValueError(f"a message of {len(line)} bytes is too long: {LINE_BYTES} fit")
    return line


class Lines:
    """Takes what arrives in pieces, gives whole messages."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """The messages that are complete with *data*.

        Raises:
            WireError: a line is too long, not JSON, or no object.
        """
        self._rest += data
        while (end := self._rest.find(b"\n")) >= 0:
            line = bytes(self._rest[:end])
            del self._rest[: end + 1]
            yield _decode(line)
        if len(self._rest) > LINE_BYTES:
            raise WireError(f"a line of more than {LINE_BYTES} bytes")


def _decode(line: bytes) -> dict[str, Any]:
    if len(line) > LINE_BYTES:
        raise WireError(f"a line of more than {LINE_BYTES} bytes")
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise WireError(f"a line that is not JSON: {error}") from error
    if not isinstance(message, dict):
        raise WireError("a line that is no JSON object")
    return message
