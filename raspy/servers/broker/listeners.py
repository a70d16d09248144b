# SPDX-License-Identifier: GPL-3.0-or-later
"""Bind the broker's sockets: what systemd passed, or unix sockets and loopback TCP of our own."""

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
from raspy.common.address import PARTS, BrokerAddress
from raspy.common.config import ConfigError

FOLDER_MODE = 0o750
SOCKET_MODE = 0o660

# A frame above the configured limit is refused with a reason as long as it is below this many times
# the limit; beyond that libzmq closes the connection (ZMQ_MAXMSGSIZE).
HARD_FACTOR = 16


class Listeners:
    """Where the broker listens.

    Args:
        broker: its own address.
        also: further addresses, loopback TCP.

    Raises:
        ConfigError: a TCP address that is not loopback, in the configuration or passed by systemd.
    """

    def __init__(self, broker: BrokerAddress, also: Sequence[BrokerAddress] = ()) -> None:
        for address in (broker, *also):
            refuse_open_tcp(address)
        self._broker = broker
        self._addresses = [broker, *also]
        self._passed = {name: fd for name, fd in systemd.passed_sockets().items() if name in PARTS}
        for name, fd in self._passed.items():
            refuse_open_descriptor(name, fd)
        self._lock: TextIO | None = None
        self._files: list[str] = []

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

    def bind(self, socket: zmq.Socket[bytes], part: str) -> None:
        """Bind one of the four sockets at every address.

        Args:
            socket: a ZeroMQ socket that is not bound yet.
            part: one of ``address.PARTS``.

        Raises:
            OSError: an address is taken or can't be had.
        """
        for address in self._addresses:
            endpoint = getattr(address, part)
            passed = self._passed.get(part) if address is self._broker else None
            try:
                if passed is not None:
                    socket.setsockopt(zmq.USE_FD, passed)
                socket.bind(endpoint)
            except zmq.ZMQError as error:
                raise OSError(f"can't listen at {endpoint}: {error.strerror}") from error
            finally:
                if passed is not None:
                    socket.setsockopt(zmq.USE_FD, -1)
            if address.is_local and passed is None:
                path = endpoint.removeprefix("ipc://")
                os.chmod(path, SOCKET_MODE)
                self._files.append(path)

    def close(self) -> None:
        """Remove the unix sockets that are ours, and let another broker have the folder."""
        for path in self._files:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        self._files.clear()
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def refuse_open_tcp(address: BrokerAddress) -> None:
    """Allow plain TCP on loopback only.

    Raises:
        ConfigError: the address can be reached from other machines.
    """
    if address.is_local:
        return
    host = address.mdp.removeprefix("tcp://").rpartition(":")[0].strip("[]")
    if host == "localhost":
        return
    if not _is_loopback(host):
        raise ConfigError(
            f"listen address {address}: plain TCP is allowed on loopback only (tcp://127.0.0.1:PORT), because"
            " whoever reaches it may switch every device"
        )


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
