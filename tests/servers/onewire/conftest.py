# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of real sysfs trees (trees/README) with the links of /sys/bus/w1/devices."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

TREES = Path(__file__).parent / "trees"


class Sysfs:
    """A writable copy of one frozen tree.

    Attributes:
        devices: the folder of the buses, as below /sys/devices.
        links: the folder that stands for /sys/bus/w1/devices.
    """

    def __init__(self, root: Path, tree: str) -> None:
        self.devices = root / "devices"
        self.links = root / "bus"
        shutil.copytree(TREES / tree, self.devices)
        self.links.mkdir()
        for bus in self.devices.iterdir():
            (self.links / bus.name).symlink_to(bus)
            for sensor in bus.iterdir():
                if sensor.is_dir():
                    (self.links / sensor.name).symlink_to(sensor)

    def file(self, sensor: str, name: str = "w1_slave") -> Path:
        return (self.links / sensor / name).resolve()

    def unplug(self, sensor: str) -> None:
        shutil.rmtree((self.links / sensor).resolve())
        (self.links / sensor).unlink()

    def plug(self, sensor: str, source: str, bus: str = "w1_bus_master1") -> None:
        """Let `sensor` appear with the content of the frozen sensor `source` (tree/bus/id)."""
        shutil.copytree(TREES / source, self.devices / bus / sensor)
        (self.links / sensor).symlink_to(self.devices / bus / sensor)

    def write(self, sensor: str, source: str) -> None:
        """Let a sensor answer as the frozen sensor `source` does."""
        for path in (TREES / source).iterdir():
            self.put(sensor, path.name, path.read_text())

    def put(self, sensor: str, name: str, content: str) -> None:
        """Change a file's content at once: a reader sees the old or the new one, as of the kernel's."""
        path = self.file(sensor, name)
        fresh = path.with_name(name + ".new")
        fresh.write_text(content)
        fresh.replace(path)

    def hang(self, sensor: str, name: str = "w1_slave") -> None:
        """Let every read of a sensor's file block, until release()."""
        path = self.file(sensor, name)
        fresh = path.with_name(name + ".new")
        os.mkfifo(fresh)
        fresh.replace(path)

    def release(self, sensor: str, name: str = "w1_slave") -> None:
        """Let the reads that hang end with nothing; those to come as well."""
        path = self.file(sensor, name)
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            pass  # nobody reads
        self.put(sensor, name, "")


@pytest.fixture
def sysfs(tmp_path: Path) -> Iterator[Sysfs]:
    """The good tree; ends what hangs in it."""
    tree = Sysfs(tmp_path / "good", "good")
    yield tree
    for path in tree.devices.rglob("*"):
        if path.is_fifo():
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
            except OSError:
                pass
