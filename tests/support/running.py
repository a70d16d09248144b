# SPDX-License-Identifier: GPL-3.0-or-later
"""A server in a thread of the test, so that the test sees into it and its lines are counted as covered."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from raspy.common.mdcliapi import MajorDomoClient
from raspy.common.server import Server

from .titanic import TitanicStack
from .waiting import wait_for

S = TypeVar("S", bound=Server)


def module_stack() -> Iterator[TitanicStack]:
    """Titanic and a broker, for a fixture of all tests of a module: ``yield from module_stack()``."""
    with tempfile.TemporaryDirectory(prefix="raspy-", dir="/tmp") as home:
        started = TitanicStack(Path(home))
        started.ask("mmi.service", "nobody")  # the client is connected now, before a test counts sockets
        yield started
        started.close()


@contextmanager
def running(server: S, suffix: str = "mmi") -> Iterator[S]:
    """Run a server while the block runs.

    :param server: a new server, on a broker that runs.
    :param suffix: the service that must be there before the block begins.
    :raises AssertionError: it does not register, or does not stop.
    """
    thread = threading.Thread(target=server.run, name=f"run {server.service}")
    thread.start()
    try:
        with MajorDomoClient(server.broker) as client:
            service = f"{server.get_instance_id()}.{suffix}"
            wait_for(
                lambda: not thread.is_alive() or client.send("mmi.service", service) == [b"200"],
                what=f"{service} to register",
            )
        assert thread.is_alive(), f"{server.service} ended at once"
        yield server
    finally:
        server.shutdown()
        thread.join(15)
        assert not thread.is_alive(), f"{server.service} did not stop"
