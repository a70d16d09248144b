# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated sensors and actuators that behave, and misbehave on command, as real ones do.

They are drivers like any other: polled, published, held and guarded by the same code as real devices. So a
scenario, a dashboard or an interlock can be tried before anything is wired, and RasPy's own tests
use the same devices that users see. See simulators.py, tank.py, faults.py, and docs/devices.md.
"""

from raspy.servers.fake.server import Fake, main

__all__ = ["Fake", "main"]
