# SPDX-License-Identifier: GPL-3.0-or-later
"""Put all actuators of a server that is not running in their safe states, and end.

A line may keep its level when the server that drives it dies, and a server that dies again and again is not
started any more. So systemd runs this after each end of a device server, however it came about::

    ExecStopPost=/usr/bin/python3 -m raspy.common.device_server.safe raspy.servers.fake:Fake

It takes the command line of the daemon itself, and needs neither broker nor titanic: what is configured comes
from the local copy. Source: systemd.service(5), ExecStopPost=.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from raspy.common import daemon
from raspy.common.device_server.server import DeviceServer


def safe(cls: type[DeviceServer]) -> type[DeviceServer]:
    """A server that puts all actuators in their safe states instead of running."""

    class Safe(cls):  # type: ignore[misc, valid-type]
        """Put all actuators in their safe states, and end."""

        local = True

        def run(self) -> None:
            """To take charge of a device is to make it safe; and then the engine stops before it turned."""
            try:
                self.setup()
            finally:
                self.engine.stop()
                self.destroy()

    return Safe


def main(argv: Sequence[str] | None = None) -> int:
    """Run it.

    Args:
        argv: ``MODULE:CLASS`` of the server, and its command line; the process's own if left out.

    Returns:
        The exit status, as of the daemon.
    """
    target, *rest = sys.argv[1:] if argv is None else argv
    module, _, name = target.partition(":")
    return daemon.run(safe(getattr(importlib.import_module(module), name)), rest)


if __name__ == "__main__":
    sys.exit(main())
