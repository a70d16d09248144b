# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords as they are kept: salted scrypt hashes, never the text.

Source: RFC 7914 (scrypt); the costs are those that OWASP's Password Storage Cheat Sheet gives for 16 MiB.
"""

from __future__ import annotations

import base64
import ctypes
import hashlib
import hmac
import os
import threading

COST = 1 << 14
BLOCK = 8
PARALLEL = 5
SALT_BYTES = 16
HASH_BYTES = 32

# What a hash in the file may ask for; beyond it the file is damaged.
COST_MAX = 1 << 17
MEMORY_MAX = 256 << 20

LENGTH_MIN = 8
LENGTH_MAX = 256

# A computation takes 16 MiB, which the C library would keep for every thread that ever made one: the first
# teaches it to take such blocks from its own heap. With a fixed threshold they go back at once (mallopt(3)).
M_MMAP_THRESHOLD = -3
ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 20)

# One computation at a time is enough for a house.
_one_at_a_time = threading.Lock()


def hash_password(password: str) -> str:
    """What is kept of a password: ``scrypt$COST$BLOCK$PARALLEL$SALT$HASH``, the last two in base64."""
    salt = os.urandom(SALT_BYTES)
    derived = _derive(password, salt, COST, BLOCK, PARALLEL)
    return "$".join(("scrypt", str(COST), str(BLOCK), str(PARALLEL), _text(salt), _text(derived)))


def is_password(password: str, kept: str) -> bool:
    """Whether *password* is the one that *kept* was made of; False for a damaged *kept* as well."""
    try:
        kind, cost, block, parallel, salt, derived = kept.split("$")
        numbers = int(cost), int(block), int(parallel)
        expected = base64.b64decode(derived, validate=True)
        if kind != "scrypt" or not 1 < numbers[0] <= COST_MAX or len(expected) != HASH_BYTES:
            return False
        given = _derive(password, base64.b64decode(salt, validate=True), *numbers)
    except ValueError:
        return False
    return hmac.compare_digest(given, expected)


def _derive(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    with _one_at_a_time:
        return hashlib.scrypt(
            password[: LENGTH_MAX + 1].encode(errors="replace"),
            salt=salt,
            n=cost,
            r=block,
            p=parallel,
            maxmem=MEMORY_MAX,
            dklen=HASH_BYTES,
        )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
