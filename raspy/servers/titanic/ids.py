# SPDX-License-Identifier: GPL-3.0-or-later
"""The ids that titanic gives: UUIDs that say where in the database their request is.

A UUID of version 8 (RFC 9562, for uses of one's own): 48 bits hold the number of the request, its ``seq``,
74 bits are random, so that nobody can guess the id of somebody else's. An id that a client chose may look
alike; so what is found by number has to have the whole id.
"""

import os

_OURS = 8
_CHANCE_BYTES = 10
# Random bytes are taken from the kernel for so many ids at once.
_SUPPLY = 256


class Ids:
    """Makes ids, and reads them."""

    def __init__(self) -> None:
        self._chance = b""
        self._used = 0

    def make(self, seq: int) -> bytes:
        """The 16 bytes of a new id for request number *seq*."""
        start = self._used
        if start >= len(self._chance):
            self._chance = os.urandom(_CHANCE_BYTES * _SUPPLY)
            start = 0
        self._used = start + _CHANCE_BYTES
        chance = int.from_bytes(self._chance[start : self._used], "big")
        version = chance & ~(0xF << 76) & ~(3 << 62) | _OURS << 76 | 2 << 62
        return (seq << 80 | version).to_bytes(16, "big")


def seq_in(id: bytes) -> int:
    """The number of the request that *id* was made for; 0 when it was not made by `Ids`."""
    return int.from_bytes(id[:6], "big") if id[6] >> 4 == _OURS else 0
