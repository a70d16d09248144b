# SPDX-License-Identifier: GPL-3.0-or-later
"""What the broker knows of a service, its workers, and the requests on their way."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple


class Waiting(NamedTuple):
    """A request that no worker has taken yet."""

    client: bytes
    body: list[bytes]
    since: float  # monotonic seconds
    size: int  # bytes that it takes


class Service:
    """A single service.

    Args:
        name: its full name.

    Attributes:
        requests: those that no worker has taken yet.
        waiting: the workers that can take a request now; the one that waits longest comes first.
        workers: how many are registered.
        offered: whether it ever had a worker.
    """

    __slots__ = ("name", "offered", "requests", "waiting", "workers")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.requests: deque[Waiting] = deque()
        self.waiting: deque[Worker] = deque()
        self.workers = 0
        self.offered = False


class Worker:
    """A worker, idle or active.

    Args:
        identity: its routing id in hexadecimal, for people.
        address: its routing id.
        lifetime: until when it lives without another sign, in monotonic seconds.

    Attributes:
        free: how many more requests it takes now, at most its credit.
        inflight: the clients whose requests it has, oldest first, and since when.
    """

    __slots__ = ("address", "expiry", "free", "identity", "inflight", "service")

    def __init__(self, identity: str, address: bytes, lifetime: float) -> None:
        self.identity = identity
        self.address = address
        self.expiry = lifetime
        self.service: Service | None = None
        self.free = 0
        self.inflight: deque[tuple[bytes, float]] = deque()

    @property
    def service_name(self) -> str:
        """The name of its service, for people."""
        return "no service" if self.service is None else self.service.name.decode()
