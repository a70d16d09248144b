# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to the bus: which broker is meant, whether it is there, and requests to it.

Which one: ``--host NAME``, else ``--broker URL``, else ``$RASPY_BROKER``, else that of the installed RasPy
(``broker`` in /etc/raspy/raspy.conf) when it runs, else that of ``python3 -m raspy`` of this user.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Callable
from typing import Any, NamedTuple

from raspy.common import MDP, config
from raspy.common.address import BrokerAddress
from raspy.common.daemon import user_state_folder
from raspy.common.kvcliapi import SNAPSHOT_S, KvSubscriberClient
from raspy.common.mdcliapi import MajorDomoClient
from raspy.ctl import remote
from raspy.ctl.errors import CtlError, NoBroker, NotFound, WrongUse

ENVIRONMENT = "RASPY_BROKER"
# How long the first byte of a connection may take, in seconds; a machine that is off does not refuse it.
CONNECT_S = 2.0
# How long the broker itself may take to say that it lives, in seconds.
ALIVE_S = 1.0

START_SERVICE = "systemctl start raspy.target"
START_STACK = "python3 -m raspy"


class Target(NamedTuple):
    """The broker that is meant.

    Args:
        address: where it is.
        start: the command that starts it, or what to look at.
    """

    address: BrokerAddress
    start: str


def resolve(broker: str | None, host: str | None, host_key: str | None = None) -> Target:
    """Find the broker that is meant.

    Args:
        broker: what ``--broker`` says.
        host: what ``--host`` says, ``NAME`` or ``NAME:PORT``.
        host_key: what ``--host-key`` says.

    Raises:
        WrongUse: both, or no address.
        NoBroker: the keys to that host are not there.
    """
    if broker and host:
        raise WrongUse("--broker and --host are two ways to say the same; give one of them")
    if host_key and not host:
        raise WrongUse("--host-key is the key of the machine that --host names; give that too")
    if host:
        return Target(remote.address(host, host_key or ""), f"{START_SERVICE} on {host}")
    given = broker or os.environ.get(ENVIRONMENT, "")
    if given:
        address = _parse(given)
        return Target(address, _how_to_start(address))
    installed, own = _parse(installed_broker()), _parse(f"ipc://{user_state_folder()}/run")
    if not _there(installed) and (_there(own) or not _is_installed(installed)):
        return Target(own, START_STACK)
    return Target(installed, START_SERVICE)


def installed_broker() -> str:
    """The broker of the installed RasPy, as its configuration says; the usual one when that can't be read."""
    try:
        return str(config.load(config.COMMON_SECTION).broker)
    except config.ConfigError:
        return next(str(option.default) for option in config.COMMON if option.name == "broker")


def _parse(url: str) -> BrokerAddress:
    try:
        return BrokerAddress.parse(url)
    except ValueError as error:
        raise WrongUse(str(error)) from error


def _there(address: BrokerAddress) -> bool:
    return not address.is_local or os.path.exists(address.mdp.removeprefix("ipc://"))


def _is_installed(address: BrokerAddress) -> bool:
    return os.path.isdir(address.folder) or os.path.exists(config.DEFAULT_FILE)


def _how_to_start(address: BrokerAddress) -> str:
    if address == BrokerAddress.parse(installed_broker()):
        return START_SERVICE
    if not address.is_local:
        return f"{START_SERVICE} there"
    folder, run = os.path.split(address.folder)
    return f"{START_STACK} --state {folder}" if run == "run" else START_SERVICE


def knock(target: Target) -> None:
    """See whether somebody listens; under systemd this wakes the broker.

    Raises:
        NoBroker: nobody does, or we may not.
    """
    address = target.address
    try:
        if address.is_local:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(CONNECT_S)
                probe.connect(address.mdp.removeprefix("ipc://"))
        else:
            host, _, port = address.mdp.removeprefix("tcp://").rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except OSError as error:
        raise NoBroker(_why_away(target, error)) from error


def _why_away(target: Target, error: OSError) -> str:
    where = target.address.url
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"you may not use the broker at {where}: join its group (sudo adduser $USER raspy) and log in"
            " again, or use sudo"
        )
    if isinstance(error, socket.gaierror):
        name = where.removeprefix("tcp://").rpartition(":")[0]
        return f"there is no machine called {name!r} in this network"
    return f"the broker at {where} is away; start it with: {target.start}"


class Bus:
    """A connection to the broker.

    Args:
        target: which.
        timeout_s: how long one request may take, in seconds.

    Raises:
        NoBroker: it is away.
    """

    def __init__(self, target: Target, timeout_s: float) -> None:
        self.target = target
        self.timeout_s = timeout_s
        knock(target)
        self._client = self._connect(timeout_s)
        self._services: list[str] | None = None

    def _connect(self, timeout_s: float) -> MajorDomoClient:
        client = MajorDomoClient(self.target.address, name="raspyctl")
        client.retries = 2
        client.timeout = max(1, int(timeout_s * 1000 / client.retries))
        return client

    def close(self) -> None:
        """Close it; again is no error."""
        self._client.destroy()

    # Requests.

    def request(self, service: str, *frames: str | bytes) -> list[bytes]:
        """Send a request; the body of its reply, the status among it.

        Raises:
            NoBroker: the broker has gone.
            CtlError: the service did not answer.
        """
        # What the shell passed on that is no text goes out as the bytes that it was.
        body = [
            frame.encode(errors="surrogateescape") if isinstance(frame, str) else frame for frame in frames
        ]
        reply = self._client.send(service.encode(errors="surrogateescape"), body)
        if reply is None:
            raise self._no_answer(service)
        return reply

    def call(self, service: str, *frames: str | bytes) -> list[bytes]:
        """Send a request; the result frames of its reply.

        Raises:
            NotFound: what the request names is not there.
            CtlError: the service says no, and why; or did not answer.
        """
        try:
            return MDP.split_reply(service, self.request(service, *frames))
        except MDP.NotFoundError as error:
            raise NotFound(str(error)) from error
        except MDP.GenericError as error:
            raise CtlError(str(error)) from error

    def json(self, service: str, *frames: str | bytes) -> Any:
        """The same for a result of one JSON frame."""
        result = self.call(service, *frames)
        try:
            return json.loads(result[-1])
        except (IndexError, ValueError, RecursionError) as error:
            raise CtlError(f"{service} sent an answer that is not JSON") from error

    def names(self, service: str, *frames: str | bytes) -> list[str]:
        """The same for a result of one frame a name."""
        return [frame.decode(errors="replace") for frame in self.call(service, *frames)]

    def _no_answer(self, service: str) -> CtlError:
        if self._client.refusal:
            refusal, here = self._client.refusal, config.default_hostname()
            return NoBroker(remote.why_refused(self.target.address, refusal, here))
        knock(self.target)
        probe = self._connect(ALIVE_S)
        try:
            alive = probe.send("mmi.service", "mmi.service") is not None
        finally:
            probe.destroy()
        if not alive:
            where = self.target.address.url
            return NoBroker(f"the broker at {where} does not answer; start it with: {self.target.start}")
        return CtlError(
            f"{service} has not answered within {self.timeout_s:g} s, and may still carry it out;"
            " raspyctl status shows how it is, --timeout waits longer"
        )

    # What is there.

    def services(self) -> list[str]:
        """The names of all services that are there or can be woken, in order."""
        if self._services is None:
            self._services = self.names("mmi.discovery", ".*")
        return self._services

    def servers(self) -> list[str]:
        """The servers, ``HOST.NAME``, that are there or can be woken, in order."""
        return [name.removesuffix(".mmi") for name in self.services() if name.endswith(".mmi")]

    def asleep(self) -> set[str]:
        """The servers that a request would wake: they have no worker. The broker itself needs none."""
        workers = self.json("mmi.workers")
        return {
            name
            for name in self.servers()
            if not workers.get(f"{name}.mmi") and name.rpartition(".")[2] != "broker"
        }

    def values(self, subtree: str = "/device/") -> dict[str, bytes]:
        """The key/value tree below *subtree*, as it is now.

        Raises:
            NoBroker: the broker does not send it.
        """
        client = self._subscriber(subtree)
        try:
            values = client.fetch()
        finally:
            client.destroy()
        if values is None:
            raise NoBroker(
                f"the broker at {self.target.address.url} does not send its values;"
                f" start it again with: {self.target.start.replace(' start ', ' restart ')}"
            )
        return values

    def follow(
        self, subtrees: list[str], callback: Callable[[str, bytes], None], on_idle: Callable[[], None]
    ) -> KvSubscriberClient:
        """A subscriber to some subtrees, to be run and destroyed by the caller."""
        return self._subscriber(subtrees, callback=callback, on_idle=on_idle)

    def _subscriber(self, subtree: str | list[str], **more: Any) -> KvSubscriberClient:
        speed = max(1.0, SNAPSHOT_S / self.timeout_s)
        return KvSubscriberClient(subtree=subtree, broker=self.target.address, speed=speed, **more)
