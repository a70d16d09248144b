# SPDX-License-Identifier: GPL-3.0-or-later
"""What a value's own server says of it: whether it is to be logged, and as what kind of number."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import NamedTuple

from raspy.common import MDP
from raspy.common.mdcliapi import MajorDomoClient
from raspy.servers.logger.samples.series import KINDS

FRESH_S = 60.0
"""How long an answer of a server is good: a device whose logging is switched is noticed after so long."""

ABSENT_S = 2.0
"""Likewise for the answer that there is no such service, or no such device."""

PATIENCE_S = 20.0
"""A server that has no `devices` service for so long does not have one."""

SERVERS_MAX = 200
MISSED_MAX = 2000
"""Servers, and devices that they do not have, that are remembered."""


class Declaration(NamedTuple):
    """What is known of a value.

    Args:
        log: whether to log it.
        kind: its data source type, one of `KINDS`.
    """

    log: bool
    kind: str = "GAUGE"


UNDECLARED = Declaration(True)
"""A server that has no `devices` service and still publishes numbers means them to be kept."""

UNWANTED = Declaration(False)


class _Server:
    """What one server answered, and when.

    Args:
        at: when (monotonic seconds).
        devices: whether to log it, and its oid, by device; None when it has no `devices` service.
        kinds: data source types by oid and command.
        absent_since: since when it has no `devices` service.
    """

    __slots__ = ("absent_since", "at", "devices", "kinds")

    def __init__(
        self,
        at: float,
        devices: dict[str, tuple[bool, str]] | None,
        kinds: dict[tuple[str, str], str],
        absent_since: float = 0.0,
    ) -> None:
        self.at = at
        self.devices = devices
        self.kinds = kinds
        self.absent_since = absent_since


class Declarations:
    """Asks the `devices` services, and remembers for a minute. Not thread safe.

    Arguments:
        client: a client of the thread that asks.
        patience_s: how long a server may have no `devices` service before it counts as one without.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        client: MajorDomoClient,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._patience_s = patience_s
        self._clock = clock
        self._servers: dict[str, _Server] = {}
        # Devices that a server did not have in its last answer: since when they are looked for.
        self._missed: dict[tuple[str, str], float] = {}

    def of(self, key: str) -> Declaration | None:
        """What is declared of ``HOST/NAME/DEVICE/COMMAND``.

        Returns:
            It, or None when the server does not answer now.
        """
        host, name, device, command = key.split("/", 3)
        service = MDP.routing_key(host, name)
        server = self._server(service, FRESH_S)
        device, _, part = device.partition(".")
        if server is not None and (server.devices is None or device not in server.devices):
            # The server may be starting, or the device may be new.
            server = self._server(service, ABSENT_S)
        if server is None:
            return None
        if server.devices is None:
            return UNDECLARED if self._clock() - server.absent_since >= self._patience_s else None
        if device not in server.devices:
            missed_at = self._missed.setdefault((service, device), self._clock())
            if server.at <= missed_at:
                return None
        self._missed.pop((service, device), None)
        log, oid = server.devices.get(device, (False, ""))
        kind = server.kinds.get((oid, f"{part}.{command}" if part else command), "")
        return Declaration(True, kind) if log and kind in KINDS else UNWANTED

    def _server(self, name: str, fresh_s: float) -> _Server | None:
        """What a server answered within so many seconds, or answers now; what it last did if it does not."""
        server = self._servers.get(name)
        now = self._clock()
        if server is not None and now - server.at < fresh_s:
            return server
        try:
            fresh = self._ask(name, now)
        except (MDP.GenericError, ValueError, TypeError, KeyError, AttributeError):
            # Away, or it answers what no device server answers.
            return server
        if fresh.devices is None and server is not None and server.devices is None:
            fresh.absent_since = server.absent_since
        if len(self._servers) >= SERVERS_MAX or len(self._missed) >= MISSED_MAX:
            self._servers.clear()
            self._missed.clear()
        self._servers[name] = fresh
        return fresh

    def _ask(self, name: str, now: float) -> _Server:
        service = f"{name}.devices"
        try:
            self._client.call("mmi.service", service)
        except MDP.ClientError:
            return _Server(now, None, {}, now)
        devices = {
            name: (device["log"], device["oid"])
            for name, device in json.loads(self._client.call(service, "list")[0]).items()
        }
        kinds = {}
        for oid, template in json.loads(self._client.call(service, "templates")[0]).items():
            for command, declared in template["commands"].items():
                kinds[oid, command] = declared["datasource"]
        return _Server(now, devices, kinds)
