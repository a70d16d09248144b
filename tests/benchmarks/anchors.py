# SPDX-License-Identifier: GPL-3.0-or-later
"""What RasPy is measured beside: mosquitto from Debian, and libzmq's own relay."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from .loadgen import LoadGenerator
from .processes import Process, Room, wait_for_socket

# No limits on queues, so that a loss would be mosquitto's own; no persistence unless asked for.
MOSQUITTO_CONF = """\
listener 0 {socket}
allow_anonymous true
max_queued_messages 0
max_inflight_messages 0
log_type error
user root
persistence {persistence}
persistence_location {folder}/
{more}
"""


class Relay(NamedTuple):
    """A running relay and its two sides."""

    process: Process
    front: str
    back: str


class Mosquitto(NamedTuple):
    """A running mosquitto and its socket."""

    process: Process
    socket: Path


def start_relay(room: Room, load: LoadGenerator, *, pubsub: bool = False) -> Relay:
    """zmq_proxy from ROUTER to DEALER, or from PULL to PUB (`pubsub`), in C."""
    name = "updates" if pubsub else "requests"
    front, back = room.endpoint(f"{name}-front"), room.endpoint(f"{name}-back")
    flags = ["--pubsub"] if pubsub else []
    process = room.start(load.program, "relay", "--endpoint", front, "--back", back, *flags)
    return Relay(process, front, back)


def start_mosquitto(room: Room, *more: str, persistence: bool = False) -> Mosquitto:
    """mosquitto on a unix socket.

    Args:
        more: further lines of its configuration, such as ``autosave_on_changes true``.
        persistence: keep its database in the room.

    Raises:
        RuntimeError: it is not installed.
    """
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if program is None:
        raise RuntimeError("this bench needs mosquitto: apt-get install mosquitto")
    folder = room.path / f"mosquitto-{len(list(room.path.glob('mosquitto-*')))}"
    folder.mkdir()
    socket = folder / "socket"
    conf = folder / "conf"
    conf.write_text(MOSQUITTO_CONF.format(socket=socket, folder=folder, more="\n".join(more),
                                          persistence=str(persistence).lower()))
    process = room.start(program, "-c", conf)
    wait_for_socket(socket)
    return Mosquitto(process, socket)
