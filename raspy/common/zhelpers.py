# SPDX-License-Identifier: GPL-3.0-or-later
"""Small ZeroMQ helpers: print a message, name a socket, a pipe between two threads."""

from __future__ import annotations

import os
import secrets

import zmq


def dump(msg_or_socket: list[bytes] | zmq.Socket[bytes]) -> str:
    """Print each frame of a message on a line of its own.

    Args:
        msg_or_socket: the frames, or a socket to receive them from (it waits for one message).

    Returns:
        What was printed: a rule, then ``[length] text``, in hexadecimal where it is not text.
    """
    frames = msg_or_socket if isinstance(msg_or_socket, list) else msg_or_socket.recv_multipart()
    lines = ["-" * 40, *(f"[{len(frame):03d}] {readable(frame)}" for frame in frames)]
    text = "\n".join(lines)
    print(text)
    return text


def readable(identity: bytes) -> str:
    """A routing id as text: as it is when it is printable (our own clients'), else in hexadecimal."""
    try:
        text = identity.decode("ascii")
    except UnicodeDecodeError:
        return "0x" + identity.hex()
    return text if text.isprintable() else "0x" + identity.hex()


def set_id(zsocket: zmq.Socket[bytes], name: str = "") -> bytes:
    """Give a socket a printable routing id that no other has, before it connects.

    A peer that names itself is named in logs (``core-1234-5f3a9c0b12de``: server, process, chance).

    Returns:
        The id.
    """
    identity = f"{name or 'raspy'}-{os.getpid()}-{secrets.token_hex(6)}".encode()
    zsocket.setsockopt(zmq.IDENTITY, identity)
    return identity


def zpipe(ctx: zmq.Context[zmq.Socket[bytes]]) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
    """A pair of connected PAIR sockets, one for each of two threads (czmq's ``zthread_fork``)."""
    ours = ctx.socket(zmq.PAIR)
    theirs = ctx.socket(zmq.PAIR)
    for end in (ours, theirs):
        end.linger = 0
    endpoint = f"inproc://zpipe-{secrets.token_hex(8)}"
    ours.bind(endpoint)
    theirs.connect(endpoint)
    return ours, theirs
