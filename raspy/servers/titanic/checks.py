# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes from outside is checked here before it is used: ids, names, sizes."""

import re

from raspy.common.MDP import ClientError

# What one request may carry, and one reply: the frames together, in bytes.
MAX_BODY_BYTES = 1 << 20
# A scenario's code is the longest value that the servers store.
MAX_VALUE_BYTES = 1 << 20
MAX_NAME_BYTES = 255

_ID = re.compile(rb"[0-9A-Fa-f]{32}", re.ASCII)


def request_id(frame: bytes) -> bytes:
    """The 16 bytes of a request's id, from the 32 hexadecimal characters that clients know (RFC 9).

    Raises:
        ClientError: it is anything else.
    """
    if not _ID.fullmatch(frame):
        raise ClientError("a request's id has 32 hexadecimal digits, as titanic.request gave it")
    return bytes.fromhex(frame.decode("ascii"))


def name(frame: bytes, what: str) -> str:
    """A name: 1 to 255 bytes of printable text.

    Arguments:
        what: what it names, for the message.

    Raises:
        ClientError: it is no such name.
    """
    if 1 <= len(frame) <= MAX_NAME_BYTES:
        try:
            text = frame.decode()
        except UnicodeDecodeError:
            text = ""
        if text.isprintable() and text:
            return text
    raise ClientError(f"{what} must have 1 to {MAX_NAME_BYTES} bytes of printable text")
