# SPDX-License-Identifier: GPL-3.0-or-later
"""A broker that lets in remote peers with a key, and such peers."""

from __future__ import annotations

import json
from pathlib import Path

from raspy.common.address import BrokerAddress
from raspy.common.curve import CurveKeys, Pair
from tests.conftest import tcp_base

from .broker import RunningBroker
from .peers import Peers
from .processes import Processes
from .recorder import Recorder, curve_options, pair, receive

__all__ = ["CurvedBroker", "Recorder", "curve_options", "json_of", "pair", "receive"]


class CurvedBroker(RunningBroker):
    """A broker on unix sockets, and on TCP for those with a key."""

    def __init__(self, processes: Processes, *settings: str, host: str = "127.0.0.1"):
        self.keys = processes.home / "authorized_keys.d"
        self.keys.mkdir()
        self.port = tcp_base()
        self.tcp = f"tcp://{host}:{self.port}"
        super().__init__(
            processes,
            f"listen=tcp://*:{self.port}",
            f"authorized_keys={self.keys}",
            "heartbeat_s=0.8",
            *settings,
        )

    @property
    def public(self) -> str:
        """Its public key, as it says itself."""
        with Peers(self.url) as peers:
            return str(json_of(peers, b"test.broker.mmi", b"info")["public_key"])

    def authorize(self, name: str, key: str, more: str = "") -> Path:
        """Let somebody in."""
        file = self.keys / f"{name}.pub"
        file.write_text(f"# {name}\n{key}{more}\n")
        return file

    def address_for(self, own: Pair, server: str = "") -> BrokerAddress:
        """Its address with the keys to it."""
        return BrokerAddress.parse(self.tcp).secured(CurveKeys(server or self.public, own))

    def peers(self, own: Pair, server: str = "") -> Peers:
        """Peers with a key that come in by TCP."""
        return Peers(self.tcp, **curve_options(own, server or self.public))

    def strangers(self) -> list[str]:
        """The lines that it has logged about those who were not let in."""
        return [line for line in self.child.output.splitlines() if "peer over TCP" in line]


def json_of(peers: Peers, service: bytes, *body: bytes) -> dict[str, object]:
    """The JSON object that a service answers."""
    reply = peers.ask(service, *body)
    assert reply[-1] == b"200", reply
    found = json.loads(reply[0])
    assert isinstance(found, dict)
    return found
