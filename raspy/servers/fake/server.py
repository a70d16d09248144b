# SPDX-License-Identifier: GPL-3.0-or-later
"""The server of simulated devices."""

from __future__ import annotations

from typing import Any

from raspy.common import daemon
from raspy.common.device_server import DeviceServer
from raspy.common.devices.device import BaseDevice
from raspy.servers.fake.actuators import ACTUATORS, FakeActuator
from raspy.servers.fake.sensors import SENSORS, FakeSensor
from raspy.servers.fake.tank import Tanks

REPLAY_FOLDER = "replay"
PINS_FOLDER = "pins"


class Fake(DeviceServer):
    """A server of simulated devices, to try RasPy without wiring anything.

    Args: those of ``Server``.
    """

    SERVICE = "fake"
    DEVICES = (*SENSORS, *ACTUATORS)

    def __init__(self, hostname: str = "localhost", service: str = "fake", *args: Any, **kwargs: Any) -> None:
        super().__init__(hostname, service, *args, **kwargs)
        self.tanks = Tanks()

    def prepare(self, device: BaseDevice) -> None:
        """Give a simulated device its world."""
        super().prepare(device)
        if isinstance(device, (FakeSensor, FakeActuator)):
            device.tanks = self.tanks
        if isinstance(device, FakeSensor) and self.data_dir is not None:
            device.folder = self.data_dir / REPLAY_FOLDER
        if isinstance(device, FakeActuator) and self.data_dir is not None:
            device.pins = self.data_dir / PINS_FOLDER


def main() -> int:
    """Run the daemon."""
    return daemon.run(Fake)
