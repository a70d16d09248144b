# SPDX-License-Identifier: GPL-3.0-or-later
"""The key/value message of the Clone pattern.

Three frames::

    frame 0: key       (text, UTF-8)
    frame 1: sequence  (8 bytes, network order)
    frame 2: body      (bytes; empty deletes the key)

RasPy's broker sends two more of these, with an empty body, on topics that are no keys (a key begins with
``/``), so whoever does not know them is not told or loses nothing:

- ``SUBSCRIBED`` and a token, to whoever subscribes to that: its earlier subscriptions are in force. A
  snapshot that is asked for after it misses nothing.
- ``LOST``: the queue of some subscriber ran full, updates up to this sequence may not have reached it.

Source: the ZeroMQ Guide, chapter 5, "Clone Server, Model One" and "Working with Subtrees".
"""

from __future__ import annotations

import struct
from collections.abc import MutableMapping

import zmq

SEQUENCE = struct.Struct("!q")

ICANHAZ = b"ICANHAZ?"
KTHXBAI = b"KTHXBAI"
SUBSCRIBED = b"SUBSCRIBED "
LOST = b"LOST"


class KVMsg:
    """A key, its value, and the number that orders it among all updates.

    Args:
        sequence: the update's number, 0 for one that the proxy has not numbered yet.
        key: the key, such as ``b"/device/pi/host/load/1min"``.
        body: the value; None and empty both delete the key.
    """

    __slots__ = ("body", "key", "sequence")

    def __init__(self, sequence: int, key: bytes | None = None, body: bytes | None = None) -> None:
        self.sequence = sequence
        self.key = key
        self.body = body

    def store(self, dikt: MutableMapping[bytes, KVMsg]) -> None:
        """Put me in *dikt* under my key, or take my key out of it when my body is empty."""
        if self.key is None:
            return
        if self.body:
            dikt[self.key] = self
        else:
            dikt.pop(self.key, None)

    def send(self, socket: zmq.Socket[bytes]) -> None:
        """Send my three frames; empty ones are sent as such."""
        socket.send_multipart([self.key or b"", SEQUENCE.pack(self.sequence), self.body or b""])

    @classmethod
    def recv(cls, socket: zmq.Socket[bytes]) -> KVMsg:
        """Receive one message.

        Raises:
            ValueError: what arrived is not three frames with a sequence of 8 bytes; it is gone from
                the socket, and the next call reads the next message.
        """
        return cls.from_frames(socket.recv_multipart())

    @classmethod
    def from_frames(cls, frames: list[bytes]) -> KVMsg:
        """Read a message from its frames.

        Raises:
            ValueError: these are not three frames with a sequence of 8 bytes.
        """
        if len(frames) != 3 or len(frames[1]) != SEQUENCE.size:
            raise ValueError(f"a key/value message has 3 frames, the second of 8 bytes; got {len(frames)}")
        key, sequence, body = frames
        return cls(SEQUENCE.unpack(sequence)[0], key or None, body or None)

    def dump(self) -> str:
        """Me as a line to read, for logs."""
        body = self.body or b""
        key = (self.key or b"").decode(errors="replace")
        return f"[seq:{self.sequence}][key:{key}][size:{len(body)}] {body[:80]!r}"
