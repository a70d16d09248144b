# SPDX-License-Identifier: GPL-3.0-or-later
"""The broker: requests by Majordomo (RFC 7, RFC 8), and the key/value tree by the Clone pattern.

Rooms: ``majordomo`` is the daemon, ``router`` routes requests, ``services`` is what it knows of them, ``mmi``
answers about them, ``activation`` wakes sleeping servers, ``proxy`` numbers and spreads key/value
updates, ``keyvalue`` keeps them over a crash, ``stale`` marks those whose server is gone, ``listeners``
binds the sockets.

Who may die: a worker is brittle, the broker is tolerant. Nothing a peer sends stops it.
"""

from raspy.servers.broker.majordomo import Broker, main
from raspy.servers.broker.proxy import Proxy, Route
from raspy.servers.broker.services import Service, Worker

__all__ = ["Broker", "Proxy", "Route", "Service", "Worker", "main"]
