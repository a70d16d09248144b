# SPDX-License-Identifier: GPL-3.0-or-later
"""The broker as a daemon: it binds the sockets, and runs the router and the key/value proxy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import zmq

from raspy.common import curve, daemon
from raspy.common.address import PORT, BrokerAddress
from raspy.common.config import ConfigError, Option
from raspy.common.offences import Offences
from raspy.common.statistics import SNMPCounter
from raspy.servers.broker.gate import Gate
from raspy.servers.broker.keyring import Keyring
from raspy.servers.broker.listeners import Listeners
from raspy.servers.broker.proxy import Proxy
from raspy.servers.broker.router import TICK_MS, Router

# Messages that wait in ZeroMQ for one peer, each way.
HWM = 10_000
KEYS_FOLDER = Path("/etc/raspy/authorized_keys.d")
# The broker's own key, in its state folder.
KEY_FILE = "key"


class Broker(Router):
    """Majordomo Protocol broker and key/value proxy.

    Args: those of ``Server``; *broker* is where it listens.
    """

    SERVICE = "broker"
    SETTINGS = (
        Option(
            "listen", list, [], "further addresses: tcp://127.0.0.1:5514 plainly, tcp://*:5514 with keys only"
        ),
        Option("authorized_keys", Path, KEYS_FOLDER, "folder of the keys that may come in by TCP"),
        # An idle worker is given HEARTBEAT_LIVENESS of these; ours say every 3.5 s that they live.
        Option("heartbeat_s", float, 3.5, "how often each worker is told that the broker lives", 0.8, 60),
        Option("request_age_s", float, 30, "how long a request waits for a worker", 0.1, 86400),
        Option("answer_age_s", float, 300, "how long a worker may take for a request", 0.1, 86400),
        Option("max_requests", int, 1000, "requests that wait for one service", 1, 1_000_000),
        Option("max_waiting_bytes", int, 32 << 20, "bytes of all requests that wait", 1 << 16),
        Option("max_message_bytes", int, 4 << 20, "bytes of one message", 1 << 10, 64 << 20),
        Option("max_services", int, 4096, "services that are known at a time", 16, 1_000_000),
        Option("max_workers", int, 1024, "workers that are registered at a time", 16, 1_000_000),
        Option("max_value_bytes", int, 64 << 10, "bytes of one value of the key/value tree", 256, 16 << 20),
        Option("max_keys", int, 10_000, "keys of the key/value tree", 16, 10_000_000),
        Option("max_map_bytes", int, 32 << 20, "bytes of the key/value tree", 1 << 16),
        Option("subscriber_queue", int, 20_000, "updates that wait for one slow subscriber", 100, 1_000_000),
    )

    def __init__(
        self,
        hostname: str = "localhost",
        service: str = "broker",
        broker_ip: str = "127.0.0.1",
        broker_port: int = PORT,
        **kwargs: Any,
    ) -> None:
        super().__init__(hostname, service, broker_ip, broker_port, **kwargs)
        self.proxy: Proxy | None = None
        self.pair: curve.Pair | None = None

    def setup(self) -> None:
        """Bind the sockets and bring the key/value tree back."""
        super().setup()
        try:
            also = [BrokerAddress.parse(url) for url in self.settings.listen]
        except ValueError as error:
            raise ConfigError(f"[broker] listen: {error}") from error
        self.listeners = Listeners(self.broker, also)
        self.listeners.open()
        self._open_gate()
        socket = self.ctx.socket(zmq.ROUTER)
        socket.router_mandatory = 1
        socket.sndhwm = socket.rcvhwm = HWM
        socket.rcvtimeo = TICK_MS
        self.socket = socket
        self.listeners.bind(socket, "mdp", self.settings.max_message_bytes)
        self.proxy = Proxy(
            self.hostname,
            self.service,
            broker=self.broker,
            settings=self.settings,
            ctx=self.ctx,
            listeners=self.listeners,
            statistics=self,
            data_dir=self.data_dir,
        )
        self.proxy.open()
        self.register("mmi", self.mmi_actions())
        self.register("statistics", self.statistics_actions())

    def _open_gate(self) -> None:
        """Have a key, made at the first start; and a gate, where there is a way in by TCP."""
        remote = self.listeners.remote
        try:
            if self.data_dir is None:
                raise curve.KeyFault("there is no folder for the broker's key; give it a --data-dir")
            self.pair = curve.load_or_make(self.data_dir / KEY_FILE)
        except curve.KeyFault as error:
            if remote:
                raise ConfigError(f"[broker] listen: {error}") from error
            self.log.warning("%s; without it there is no way in by TCP", error)
            return
        if not remote:
            return
        offences = Offences(self.log, self.add_statistic(SNMPCounter("broker.strangers", "peers not let in")))
        keyring = Keyring(self.settings.authorized_keys, self.log)
        self.gate = self.listeners.gate = Gate(self.ctx, self.pair, keyring, offences, self.log)
        text = "peers with a key come in at %s; this broker's own public key is %s"
        self.log.info(text, " and ".join(remote), self.pair.public)

    def mmi_info(self) -> dict[str, Any]:
        """Action ``info``, with what concerns remote peers: the public key, where they come in, who may."""
        info = super().mmi_info()
        info["public_key"] = "" if self.pair is None else self.pair.public
        info["remote"] = self.listeners.remote
        info["authorized_keys"] = str(self.settings.authorized_keys)
        return info

    def _workers(self) -> list[tuple[str, Any]]:
        # Its own services are answered by the router itself, so there are no workers for them.
        assert self.proxy is not None
        workers = [("requests", self.route), ("key/value", self.proxy.run), ("control", self.worker_control)]
        return workers if self.gate is None else [*workers, ("remote", self._guard)]

    def _guard(self) -> None:
        assert self.gate is not None
        self.gate.run(self.stopping, self.alive)

    def ready(self) -> bool:
        """The sockets are bound: it is ready."""
        return True

    def status_line(self) -> str:
        """How much is going on."""
        keys = 0 if self.proxy is None else len(self.proxy.kvmap)
        return f"{self._n_services.value} services, {self._n_workers.value} workers, {keys} keys"

    def shutdown(self) -> None:
        """Shutdown the broker."""
        super().shutdown()
        if self.proxy is not None:
            self.proxy.shutdown()

    def teardown(self) -> None:
        """Close the sockets and the key/value tree."""
        super().teardown()
        if self.gate is not None:
            self.gate.close()
        if self.proxy is not None:
            self.proxy.close()
        if self.socket is not None:
            self.socket.close()
            self.listeners.close()


def main() -> int:
    """Run the broker until SIGTERM."""
    return daemon.run(Broker)
