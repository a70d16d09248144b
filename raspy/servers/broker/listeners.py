# SPDX-License-Identifier: GPL-3.0-or-later
"""Bind the broker's sockets: what systemd passed, or our own.

Unix sockets and loopback TCP are plain; whatever others can reach is behind the gate and its keys.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import socket as stdlib_socket
from collections.abc import Sequence
from typing import TextIO

import zmq

from raspy.common import systemd
from raspy.common.address import PARTS, PORT, BrokerAddress
from raspy.common.config import ConfigError
from raspy.servers.broker.gate import Gate

FOLDER_MODE = 0o750
SOCKET_MODE = 0o660

# A frame above the configured limit is refused with a reason as long as it is below this many times
# the limit; beyond that libzmq closes the connection (ZMQ_MAXMSGSIZE).
HARD_FACTOR = 16

# FileDescriptorName= of raspy-broker-tcp.socket.
OPEN = "tcp"


class Listeners:
    """Where the broker listens.

    Args:
        broker: its own address.
        also: further addresses. Loopback TCP is plain; any other lets in only who has a key, as do the
            sockets of raspy-broker-tcp.socket.

    Attributes:
        gate: who lets in those with a key; to be set before ``bind`` when ``remote``.

    Raises:
        ConfigError: its own address is TCP that is not loopback, or systemd passed such a socket for it.
    """

    def __init__(self, broker: BrokerAddress, also: Sequence[BrokerAddress] = ()) -> None:
        refuse_open_tcp(broker)
        self._broker = broker
        self._addresses = [broker, *(address for address in also if is_closed(address))]
        self._open = [address for address in also if not is_closed(address)]
        self._passed = {name: fd for name, fd in systemd.passed_sockets().items() if name in PARTS}
        for name, fd in self._passed.items():
            refuse_open_descriptor(name, fd)
        self._passed_open = by_part(systemd.passed_as(OPEN))
        self.gate: Gate | None = None
        self._lock: TextIO | None = None
        self._files: list[str] = []

    @property
    def remote(self) -> list[str]:
        """Where peers with a key come in, as URLs; empty when there is no such place."""
        ports = sorted({port for part, port, _ in self._passed_open if part == PARTS[0]})
        return [str(address) for address in self._open] + [f"tcp://*:{port}" for port in ports]

    def open(self) -> None:
        """Make room for many connections; make the folder of the unix sockets, and claim it.

        Raises:
            OSError: another broker has it, or it can't be made.
        """
        allow_connections()
        if not self._broker.is_local or self._passed:
            return
        os.makedirs(self._broker.folder, mode=FOLDER_MODE, exist_ok=True)
        path = f"{self._broker.folder}/broker.lock"
        lock = open(path, "w")  # noqa: SIM115 - held open while the process lives
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            why = f"another broker is running at {self._broker}; stop it, or choose another folder"
            raise OSError(why) from None
        self._lock = lock

    def bind(self, socket: zmq.Socket[bytes], part: str, max_message_bytes: int) -> None:
        """Bind one of the four sockets at every address.

        Args:
            socket: a ZeroMQ socket that is not bound yet.
            part: one of ``address.PARTS``.
            max_message_bytes: how much its peers may send in one message.

        Raises:
            OSError: an address is taken or can't be had.
        """
        prepare(socket, max_message_bytes)
        for address in self._addresses:
            endpoint = getattr(address, part)
            passed = self._passed.get(part) if address is self._broker else None
            _bind(socket, endpoint, passed)
            if address.is_local and passed is None:
                path = endpoint.removeprefix("ipc://")
                os.chmod(path, SOCKET_MODE)
                self._files.append(path)
        if not self.remote:
            return
        # Options hold for what is bound from here on: above are those who need no key.
        assert self.gate is not None
        self.gate.guard(socket, part, max_message_bytes)
        for address in self._open:
            endpoint = getattr(address, part)
            _bind(socket, endpoint, None)
            self.gate.at(int(endpoint.rpartition(":")[2]))
        for its_part, port, passed in self._passed_open:
            if its_part == part:
                _bind(socket, f"tcp://*:{port}", passed)
                self.gate.at(port)

    def close(self) -> None:
        """Remove the unix sockets that are ours, and let another broker have the folder."""
        for path in self._files:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        self._files.clear()
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _bind(socket: zmq.Socket[bytes], endpoint: str, passed: int | None) -> None:
    try:
        if passed is not None:
            socket.setsockopt(zmq.USE_FD, passed)
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        raise OSError(f"can't listen at {endpoint}: {error.strerror}") from error
    finally:
        if passed is not None:
            socket.setsockopt(zmq.USE_FD, -1)


def by_part(descriptors: Sequence[int]) -> list[tuple[str, int, int]]:
    """Tell which of the sockets of raspy-broker-tcp.socket is which: by their ports, four in a row.

    Args:
        descriptors: the sockets, in any order; there may be several with the same port, IPv4 and IPv6.

    Returns:
        Part, port and descriptor of each.

    Raises:
        ConfigError: they are not TCP, or their ports are not four in a row.
    """
    ports: dict[int, int] = {}
    for descriptor in descriptors:
        with stdlib_socket.socket(fileno=os.dup(descriptor)) as passed:
            inet = passed.family in (stdlib_socket.AF_INET, stdlib_socket.AF_INET6)
            ports[descriptor] = passed.getsockname()[1] if inet else 0
    first = min(ports.values(), default=0)
    if ports and (not first or {port - first for port in ports.values()} != set(range(len(PARTS)))):
        there = ", ".join(map(str, sorted(ports.values())))
        raise ConfigError(
            f"the sockets {OPEN!r} that systemd passed have the ports {there}; ListenStream= of their unit"
            f" must name four TCP ports in a row, {PORT} to {PORT + 3}"
        )
    return [(PARTS[port - first], port, descriptor) for descriptor, port in ports.items()]


def refuse_open_tcp(address: BrokerAddress) -> None:
    """Allow plain TCP on loopback only.

    Raises:
        ConfigError: the address can be reached from other machines.
    """
    if not is_closed(address):
        raise ConfigError(
            f"broker address {address}: plain TCP is allowed on loopback only (tcp://127.0.0.1:PORT), because"
            f" whoever reaches it may switch every device; for peers with keys say listen = {address}"
        )


def is_closed(address: BrokerAddress) -> bool:
    """Whether an address can be reached from this machine only."""
    host = address.mdp.removeprefix("tcp://").rpartition(":")[0].strip("[]")
    return address.is_local or host == "localhost" or _is_loopback(host)


def refuse_open_descriptor(name: str, fd: int) -> None:
    """The same for a listening socket that systemd passed.

    Raises:
        ConfigError: it can be reached from other machines.
    """
    with stdlib_socket.socket(fileno=os.dup(fd)) as passed:
        host = passed.getsockname()[0] if passed.family != stdlib_socket.AF_UNIX else "127.0.0.1"
    if not _is_loopback(host):
        raise ConfigError(
            f"the socket {name!r} that systemd passed listens at {host}: plain TCP is allowed on loopback"
            " only; change ListenStream= of its unit"
        )


def _is_loopback(host: str) -> bool:
    for family in (stdlib_socket.AF_INET, stdlib_socket.AF_INET6):
        try:
            packed = stdlib_socket.inet_pton(family, host)
        except OSError:
            continue
        return packed[0] == 127 if family == stdlib_socket.AF_INET else packed == bytes(15) + b"\x01"
    return False


def allow_connections() -> None:
    """As many open descriptors as this process may have: libzmq ends a process that has none left."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def prepare(socket: zmq.Socket[bytes], max_message_bytes: int) -> None:
    """Options that all four sockets share, before they bind.

    Args:
        socket: one of them.
        max_message_bytes: how much its peers may send in one message.
    """
    socket.linger = 0
    socket.maxmsgsize = HARD_FACTOR * max_message_bytes
    # A peer whose machine lost power is noticed by the kernel, not by silence that may be work.
    socket.tcp_keepalive = 1
    socket.tcp_keepalive_idle = 10
    socket.tcp_keepalive_intvl = 5
    socket.tcp_keepalive_cnt = 3
