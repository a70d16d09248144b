# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the device servers' tests."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from raspy.common.device_server import DeviceServer

from .bus import Bus
from .rig import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """An engine that runs, and keeps its ledger in `tmp_path`."""
    made = Rig(tmp_path)
    made.start()
    yield made
    made.close()


@pytest.fixture(scope="module")
def _bus() -> Iterator[Bus]:
    folder = Path(tempfile.mkdtemp(prefix="raspy-", dir="/tmp"))
    made = Bus(folder)
    made.titanic()
    yield made
    made.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def bus(_bus: Bus) -> Iterator[Bus]:
    """A bus with broker and titanic; the servers that a test starts end with it, their devices stay."""
    yield _bus
    for server, _ in list(_bus._servers):
        for name in server.devices_list_keys():
            entry = server.engine.table.find(name)
            for part in ("on_read", "on_write"):
                if hasattr(entry.device, part):
                    getattr(entry.device, part).blocks.set()
        _bus.stop(server)


@pytest.fixture
def lonely(run_dir: Path) -> Iterator[Bus]:
    """A bus of the test's own, without titanic."""
    made = Bus(run_dir)
    yield made
    made.close()


@pytest.fixture
def served(bus: Bus) -> Iterator[tuple[Bus, DeviceServer]]:
    """The bus, and a server without devices."""
    server = bus.serve()
    yield bus, server
    for name in sorted(bus.call("list_keys"), key=lambda name: name != b"heater"):
        bus.call("remove", name)
