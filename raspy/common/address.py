# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a broker is: one URL for its four sockets.

=========================  ===================  ==============
part                       ``ipc:///run/raspy``  ``tcp://h:5514``
=========================  ===================  ==============
requests (MDP)             mdp.sock             5514
key/value snapshot         snapshot.sock        5515
key/value updates out      publisher.sock       5516
key/value updates in       collector.sock       5517
=========================  ===================  ==============
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import zmq

    from raspy.common.curve import CurveKeys

PORT = 5514
PARTS = ("mdp", "snapshot", "publisher", "collector")

# sockaddr_un.sun_path holds 108 bytes with its final NUL (unix(7)).
UNIX_PATH_MAX = 107


class BrokerAddress(NamedTuple):
    """A broker's four ZeroMQ endpoints, the URL that they come from, and the keys to it.

    A broker on another machine lets in only who has a key (docs/remote.md); ``secured`` gives an address
    that has it, and every client, worker and subscriber that is given such an address uses it.

    >>> BrokerAddress.parse("tcp://pi:5514").collector
    'tcp://pi:5517'
    """

    url: str
    mdp: str
    snapshot: str
    publisher: str
    collector: str
    keys: CurveKeys | None = None

    def __str__(self) -> str:
        return self.url

    @property
    def is_local(self) -> bool:
        """True when the broker's sockets are unix sockets, so that control sockets are beside them."""
        return self.url.startswith("ipc://")

    @property
    def folder(self) -> str:
        """The folder of the unix sockets; empty for a TCP address."""
        return self.url.removeprefix("ipc://") if self.is_local else ""

    def secured(self, keys: CurveKeys) -> BrokerAddress:
        """The same address with the keys to it.

        Raises:
            ValueError: it is a folder of unix sockets, whose permissions are the key.
        """
        if self.is_local:
            raise ValueError(f"broker address {self}: keys are for tcp://HOST:{PORT} only")
        return self._replace(keys=keys)

    def connect(self, socket: zmq.Socket[bytes], part: str) -> None:
        """Connect a socket to one of ``PARTS``, with the keys if there are some."""
        endpoint = getattr(self, part)
        if self.keys is not None:
            self.keys.apply(socket)
        if "[" in endpoint:
            socket.ipv6 = True
        socket.connect(endpoint)

    @classmethod
    def parse(cls, url: str | BrokerAddress) -> BrokerAddress:
        """Read a broker URL.

        Args:
            url: ``ipc://FOLDER`` (absolute) or ``tcp://HOST[:PORT]``, the port of requests (default
                5514), with the three others next to it; or an address, which is returned as it is.

        Raises:
            ValueError: neither of the two, or out of the range of ports or path lengths.
        """
        if isinstance(url, BrokerAddress):
            return url
        scheme, separator, rest = url.partition("://")
        if separator and scheme == "ipc":
            return cls._unix(url, rest)
        if separator and scheme == "tcp":
            return cls._tcp(url, rest)
        raise ValueError(f"broker address {url!r}: write ipc:///run/raspy or tcp://HOST:{PORT}")

    @classmethod
    def _unix(cls, url: str, rest: str) -> BrokerAddress:
        folder = rest.rstrip("/")
        if not folder.startswith("/"):
            raise ValueError(f"broker address {url!r}: the folder must be absolute, as in ipc:///run/raspy")
        paths = [f"{folder}/{part}.sock" for part in PARTS]
        longest = max(len(path.encode()) for path in paths)
        if longest > UNIX_PATH_MAX:
            raise ValueError(
                f"broker address {url!r}: a unix socket's path may have {UNIX_PATH_MAX} bytes and this one"
                f" would have {longest}; choose a folder with a shorter path"
            )
        mdp, snapshot, publisher, collector = (f"ipc://{path}" for path in paths)
        return cls(f"ipc://{folder}", mdp, snapshot, publisher, collector)

    @classmethod
    def _tcp(cls, url: str, rest: str) -> BrokerAddress:
        if rest.startswith("[") and rest.endswith("]"):
            host, port_text = rest, ""
        else:
            host, separator, port_text = rest.rpartition(":")
            if not separator:
                host, port_text = rest, ""
        try:
            port = int(port_text) if port_text else PORT
        except ValueError:
            port = 0
        last = 65535 - len(PARTS) + 1
        if not host or not 1 <= port <= last or (":" in host and not host.startswith("[")):
            raise ValueError(
                f"broker address {url!r}: write tcp://HOST:PORT with a port from 1 to {last}"
                " (an IPv6 address in square brackets)"
            )
        mdp, snapshot, publisher, collector = (f"tcp://{host}:{port + n}" for n in range(len(PARTS)))
        return cls(f"tcp://{host}:{port}", mdp, snapshot, publisher, collector)

    @classmethod
    def choose(cls, broker: str | BrokerAddress | None, broker_ip: str, broker_port: int) -> BrokerAddress:
        """The address a constructor was given: *broker* if there is one, else *broker_ip*:*broker_port*."""
        return cls.parse(broker if broker is not None else f"tcp://{broker_ip}:{broker_port}")
