# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for a thermostat: holds a heater on, and renews that until it dies.

``python3 -m tests.faults.controller URL HEATER HOLD_S RENEW_S``. It is stubborn: whatever it is answered, and
whatever the temperature, it asks again. What keeps the heater safe must not be it.
"""

from __future__ import annotations

import json
import sys
import time

from raspy.common.mdcliapi import MajorDomoClient
from raspy.common.MDP import GenericError


def main() -> None:
    """Hold the heater, for ever."""
    url, heater, hold_s, renew_s = sys.argv[1:]
    client = MajorDomoClient(url, name="controller")
    client.retries = 1
    while True:
        options = json.dumps({"hold": float(hold_s), "why": "the stand-in wants it warm"})
        try:
            client.call("pi.fake.devices", "exec", heater, "state", "on", options)
        except GenericError as error:
            print(error, flush=True)
        time.sleep(float(renew_s))


if __name__ == "__main__":
    main()
