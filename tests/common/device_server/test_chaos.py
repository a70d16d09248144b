# SPDX-License-Identifier: GPL-3.0-or-later
"""Many hands on devices that are slow, fail and hang: never both on, and in the end all are off."""

import random
import threading
import time
from pathlib import Path
from typing import Any

from raspy.common.devices.fault import DeviceFault
from raspy.common.MDP import GenericError
from tests.conftest import wait_for

from .rig import FastRelay, Relay, Rig, Thermometer

SECONDS = 3.0
RELAYS = 12
HANDS = 6

chance = random.Random()


class Poor(Relay):
    """A relay that sometimes is slow, sometimes hangs, sometimes fails, and can be read back."""

    rival: Relay | None = None
    both = False

    def write(self, command: str, value: Any) -> None:
        kind = chance.random()
        if kind < 0.2 and not self.fast:
            time.sleep(chance.random() * (0.5 if kind < 0.05 else 0.02))
        if kind > 0.9:
            raise DeviceFault("no answer")
        self.pin = value
        # The other can't have gone off and on in between: while this is on it may not.
        self.both = self.both or bool(value and self.rival is not None and self.rival.pin)

    def read(self) -> Any:
        if chance.random() < 0.02:
            raise DeviceFault("no answer")
        return self.pin


class FastPoor(Poor, FastRelay):
    """One that at least never takes long."""

    oid = "switch.relay"


class Unsteady(Thermometer):
    """A sensor that sometimes fails, and sometimes is too warm."""

    def read(self) -> Any:
        if chance.random() < 0.05:
            raise DeviceFault("CRC error")
        return 20 + chance.random() * 8.5


def test_many_hands(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.add(Unsteady(name="tank", poll=0.1))
    relays: list[Poor] = []
    for number in range(RELAYS):
        interlocks: list[dict[str, Any]] = [{"only_while": "tank", "minimum": 10, "maximum": 28}]
        if number % 2:
            interlocks.append({"never_with": f"r{number - 1}"})
        kind = (Poor, FastPoor)[number % 3 == 0]
        relays.append(kind(name=f"r{number}", poll=0.3, config={"interlocks": interlocks}))
    for one, two in zip(relays[::2], relays[1::2], strict=True):
        one.rival, two.rival = two, one
    entries = [rig.add(relay) for relay in relays]
    end = time.monotonic() + SECONDS
    done: list[str] = []

    def hand() -> None:
        while time.monotonic() < end:
            entry = chance.choice(entries)
            try:
                rig.engine.command(entry, chance.random() < 0.7, hold_s=chance.choice([0.2, 0.5, 1.0]))
                done.append(entry.device.name)
            except GenericError:
                pass
            time.sleep(0.001)

    threads = [threading.Thread(target=hand) for _ in range(HANDS)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS + 20)
        assert len(set(done)) > RELAYS / 2
        assert not [relay.name for relay in relays if relay.both]
        wait_for(lambda: not any(relay.pin for relay in relays), what="all to be off")
        wait_for(lambda: all(entry.guard.value is False for entry in entries), what="the server to know it")  # type: ignore[union-attr]
    finally:
        rig.close()
