# SPDX-License-Identifier: GPL-3.0-or-later
"""A server's control socket: the same requests as on the bus, straight to the server.

systemd listens on it (``raspy-NAME.socket``) and starts the server at the first connection; a server
that was started by hand binds it itself. It speaks the client side of MDP/0.1, so every client of
the broker can be pointed at ``ipc:///run/raspy/NAME.sock``.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

import zmq

from raspy.common import MDP, frames, systemd
from raspy.common.offences import Offences

if TYPE_CHECKING:
    from raspy.common.server import Server

# The name of the passed descriptor (FileDescriptorName=).
DESCRIPTOR = "control"
MODE = 0o660
MAX_FRAME_BYTES = 16 << 20
# How long after its start a server is given to come to each of its services, in seconds.
STARTING_S = 10.0


def serve(server: Server) -> None:
    """Answer on the control socket until the server stops.

    It is the socket that systemd passed, or ``NAME.sock`` beside the broker's unix sockets; a server of a
    remote broker has none, and this returns at once.
    """
    passed = systemd.passed_sockets().get(DESCRIPTOR)
    path = f"{server.broker.folder}/{server.service}.sock"
    if passed is None and not server.broker.is_local:
        return
    socket = server.ctx.socket(zmq.ROUTER)
    socket.linger = 0
    socket.maxmsgsize = MAX_FRAME_BYTES
    offences = Offences(server.log, server.statistics["server.offences"])
    started_by = time.monotonic() + STARTING_S
    try:
        if passed is not None:
            socket.setsockopt(zmq.USE_FD, passed)
        socket.bind(f"ipc://{path}")
        if passed is None:
            os.chmod(path, MODE)
        while not server.stopping.is_set():
            server.alive()
            ready = zmq.zmq_poll([(socket, zmq.POLLIN), (server.stopping.fileno(), zmq.POLLIN)], 1000)
            if any(item is socket for item, _ in ready):
                _answer(server, socket, offences, started_by)
    finally:
        socket.close()
        if passed is None:
            # Or the broker would take this server for one that sleeps and can be woken.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def _answer(server: Server, socket: zmq.Socket[bytes], offences: Offences, started_by: float) -> None:
    message = frames.recv(socket)
    if len(message) < 5 or message[1] != b"" or message[2] != MDP.C_CLIENT:
        offences.note(message[0], "control socket: dropped a message that is not MDP/0.1")
        return
    sender, service = message[0], message[3]
    # While the broker is away, who asks may not know what the machine is called there.
    own = (server.get_instance_id().encode() + b".", server.service.encode() + b".")
    if service.startswith(own):
        prefix = next(prefix for prefix in own if service.startswith(prefix))
        suffix = service.removeprefix(prefix).decode(errors="replace")
        _await_service(server, suffix, started_by)
        reply = server.handle(suffix, message[4:], sender)
    else:
        reason = f"this is the control socket of {server.get_instance_id()}; it serves nothing else"
        reply = MDP.error_reply(b"", MDP.T_NOTFOUND, reason)
    # A reply to one who has gone, or does not read, is dropped by the socket.
    frames.send(socket, [sender, b"", MDP.C_CLIENT, service[: MDP.MAX_NAME], *reply])


def _await_service(server: Server, suffix: str, started_by: float) -> None:
    """Wait for a service whose thread is still on its way: this request may be what started the server."""
    coming = suffix != "control" and hasattr(type(server), f"worker_{suffix}")
    while coming and not server.offers(suffix) and time.monotonic() < started_by:
        server.alive()
        if server.stopping.wait(0.02):
            return
