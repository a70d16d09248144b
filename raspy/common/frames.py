# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages in and out of a ZeroMQ socket, as fast as pyzmq can.

``Socket.send_multipart`` and ``recv_multipart`` go through Python code and enum flags that cost
more than the message itself. These call the backend with plain integers, and learn whether more
frames follow in the way that is cheapest in the installed pyzmq: from 26 on a small message object
already knows, Debian 12's asks the socket. Through pyzmq that question takes three times as long as
to receive the frame, so ``receiver``, for loops, puts it to libzmq itself.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import zmq
from zmq.backend import Socket as _Backend

DONTWAIT = int(zmq.DONTWAIT)
SNDMORE = int(zmq.SNDMORE)
_RCVMORE = int(zmq.RCVMORE)
_EVENTS = int(zmq.EVENTS)
_POLLIN = int(zmq.POLLIN)

SPIN_S = 0.0002
"""How long ``listener`` looks out for the next message of a conversation before it sleeps, in seconds."""

_send = _Backend.send
_recv = _Backend.recv
_get = _Backend.get

send_frame = _send
"""Send one frame: ``send_frame(socket, frame, flags)``, with ``SNDMORE`` in the flags of all but the last."""


def send(socket: zmq.Socket[bytes], frames: Sequence[bytes], flags: int = 0) -> None:
    """Send one message.

    Args:
        socket: any socket.
        frames: its frames, at least one.
        flags: 0 (default, wait for room) or ``DONTWAIT``.

    Raises:
        zmq.Again: no room, with ``DONTWAIT`` or after the socket's SNDTIMEO.
        zmq.ZMQError: EHOSTUNREACH, the peer of a ROUTER with ROUTER_MANDATORY has gone.
    """
    more = flags | SNDMORE
    for frame in frames[:-1]:
        _send(socket, frame, more)
    _send(socket, frames[-1], flags)


def _recv_asking(socket: zmq.Socket[bytes], flags: int = 0) -> list[bytes]:
    frames = [_recv(socket, flags)]
    while _get(socket, _RCVMORE):
        frames.append(_recv(socket, flags))
    return frames


def _recv_knowing(socket: zmq.Socket[bytes], flags: int = 0) -> list[bytes]:
    frame: Any = _recv(socket, flags, False)
    frames: list[bytes] = [frame.bytes]
    while frame.more:
        frame = _recv(socket, flags, False)
        frames.append(frame.bytes)
    return frames


_KNOWING = zmq.pyzmq_version_info()[0] >= 26

recv = _recv_knowing if _KNOWING else _recv_asking
"""Receive one message.

Args:
    socket: any socket.
    flags: 0 (default, wait) or ``DONTWAIT``.

Returns:
    Its frames.

Raises:
    zmq.Again: nothing there, with ``DONTWAIT`` or after the socket's RCVTIMEO.
"""

Receiver = Callable[..., list[bytes]]


def receiver(socket: zmq.Socket[bytes], first: int = 1) -> Receiver:
    """Make what receives from one socket in a loop, faster than ``recv``.

    Args:
        socket: any socket; what is returned must not be called after it was closed.
        first: frames that every message of this socket has: 2 on a ROUTER (the sender, and what it
            sent), else 1 (default).

    Returns:
        A function like ``recv`` without the socket, ``receive(flags=0)``, for one thread at a time.
    """
    return partial(recv, socket) if _KNOWING else _asking_receiver(socket, range(first - 1))


def _asking_receiver(socket: zmq.Socket[bytes], surely: range) -> Receiver:
    ask, asked, more = _question(ctypes.PyDLL, socket, _RCVMORE)
    handle, option, answer, size = asked

    def receive(flags: int = 0) -> list[bytes]:
        frames = [_recv(socket, flags)]
        for _ in surely:
            frames.append(_recv(socket))
        ask(handle, option, answer, size)
        while more.value:
            frames.append(_recv(socket))
            ask(handle, option, answer, size)
        return frames

    return receive


def listener(
    socket: zmq.Socket[bytes], first: int = 1, take: Receiver | None = None
) -> Callable[[], list[bytes] | None]:
    """Make what receives from one socket, for a thread that does nothing else.

    To fall asleep and be woken takes longer than many a peer needs for its answer. So after two waits in
    a row that were shorter than ``SPIN_S``, a conversation, it looks out for the next message for so
    long before it sleeps. Messages that come singly, or a question and its answer now and then, find it
    asleep; so do all where there is one processor only, which the peer needs.

    Args:
        socket: any socket; its RCVTIMEO says how long to wait.
        first: as for ``receiver``.
        take: what receives one message; ``receiver`` makes it if left out.

    Returns:
        A function that returns the next message, or None when none came in time.
    """
    take = receiver(socket, first) if take is None else take
    again, clock, pause = zmq.Again, time.monotonic, os.sched_yield
    # This one lets the other threads of the process have their turn.
    ask, asked, events = _question(ctypes.CDLL, socket, _EVENTS)
    handle, option, answer, size = asked
    conversation = 2 if len(os.sched_getaffinity(0)) > 1 else sys.maxsize
    quick = 0

    def receive() -> list[bytes] | None:
        nonlocal quick
        try:
            return take(DONTWAIT)
        except again:
            start = clock()
        if quick >= conversation:
            end = start + SPIN_S
            while clock() < end:
                ask(handle, option, answer, size)
                if events.value & _POLLIN:
                    return take()
                pause()
        try:
            message = take()
        except again:
            message = None
        quick = quick + 1 if clock() - start < SPIN_S else 0
        return message

    return receive


def _question(
    library: type[ctypes.CDLL], socket: zmq.Socket[bytes], option: int
) -> tuple[Callable[..., int], tuple[object, ...], ctypes.c_int]:
    """What asks libzmq for an option of a socket, its arguments, and where the answer will be."""
    # Looked up through pyzmq's own module, so that it is of the libzmq that the socket belongs to.
    ask = library(sys.modules[_Backend.__module__].__file__).zmq_getsockopt
    answer, size = ctypes.c_int(), ctypes.c_size_t(ctypes.sizeof(ctypes.c_int))
    handle = ctypes.c_void_p(socket.underlying)
    return ask, (handle, ctypes.c_int(option), ctypes.byref(answer), ctypes.byref(size)), answer
