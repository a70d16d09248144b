# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's tree: who is there, what is missing, and every way a file can fail."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from raspy.servers.onewire.bus import W1Tree
from raspy.servers.onewire.sensor import SensorFault

from .conftest import Sysfs
from .test_sensor import BAD, GOOD

NOBODY = 65534


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be nobody for a moment when the tests run as root, whom no permission stops."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def fault_of(tree: W1Tree, sensor: str) -> SensorFault:
    with pytest.raises(SensorFault) as caught:
        tree.read(sensor)
    return caught.value


def test_finds_sensors_and_buses(sysfs: Sysfs) -> None:
    tree = W1Tree(sysfs.links)
    assert tree.sensors() == sorted(GOOD)
    assert tree.buses() == ["w1_bus_master1", "w1_bus_master2"]
    assert tree.bus_of("28-00000d1efbf6") == "w1_bus_master1"
    assert tree.bus_of("10-000802be73fa") == "w1_bus_master2"
    assert tree.bus_of("28-00000000dead") == ""
    assert tree.setup_problem() is None


def test_strangers_on_the_bus_are_no_sensors(sysfs: Sysfs) -> None:
    for name in ("2d-00000de5d608", "28-short", "28-00000D1EFBF6", "28-00000d1efbf6.old", "00-800000000000"):
        (sysfs.links / name).mkdir()
    assert W1Tree(sysfs.links).sensors() == sorted(GOOD)


@pytest.mark.parametrize("sensor", GOOD)
def test_reads(sysfs: Sysfs, sensor: str) -> None:
    assert W1Tree(sysfs.links).read(sensor).celsius == GOOD[sensor][0]


def test_reads_a_kernel_before_5_8(tmp_path: Path) -> None:
    tree = W1Tree(Sysfs(tmp_path / "s", "old-kernel").links)
    assert tree.read("28-00000d1efbf6").celsius == 15.25
    assert not tree.can_convert_all("w1_bus_master1")


def test_reads_temperature_when_there_is_no_w1_slave(sysfs: Sysfs) -> None:
    sysfs.file("28-00000d1efbf6").unlink()
    measurement = W1Tree(sysfs.links).read("28-00000d1efbf6")
    assert (measurement.celsius, measurement.resolution) == (15.25, None)


def test_every_bad_sensor_faults(tmp_path: Path) -> None:
    tree = W1Tree(Sysfs(tmp_path / "s", "bad").links)
    assert {sensor: fault_of(tree, sensor).kind for sensor in BAD} == {s: BAD[s][0] for s in BAD}
    assert fault_of(tree, "28-0000000000d0").kind == "driver"


def test_a_lost_sensor(sysfs: Sysfs) -> None:
    sysfs.unplug("28-00000d1efbf6")
    fault = fault_of(W1Tree(sysfs.links), "28-00000d1efbf6")
    assert fault.kind == "missing" and "not on the bus" in str(fault)


def test_a_sensor_that_vanishes_while_it_is_read(sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel answers ENODEV for a file that is open while its chip goes."""

    def vanish(descriptor: int, size: int) -> bytes:
        sysfs.unplug("28-00000d1efbf6")
        raise OSError(19, "No such device")

    tree = W1Tree(sysfs.links)
    monkeypatch.setattr(os, "read", vanish)
    assert fault_of(tree, "28-00000d1efbf6").kind == "missing"


def test_no_permission(run_dir: Path) -> None:
    run_dir.chmod(0o755)
    sysfs = Sysfs(run_dir / "s", "good")
    path = sysfs.file("28-00000d1efbf6")
    path.chmod(0)
    with unprivileged():
        fault = fault_of(W1Tree(sysfs.links), "28-00000d1efbf6")
    assert fault.kind == "permission"
    assert str(fault).startswith("no permission to read ") and str(fault).endswith("28-00000d1efbf6/w1_slave")


def test_an_input_output_error(sysfs: Sysfs) -> None:
    path = sysfs.file("28-00000d1efbf6")
    path.unlink()
    path.mkdir()
    fault = fault_of(W1Tree(sysfs.links), "28-00000d1efbf6")
    assert fault.kind == "io" and "Is a directory" in str(fault)


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ("no-sensor", "no thermometer answers: check the wiring"),
        ("phantoms", "4.7 kΩ resistor"),
        ("no-driver", "w1-therm is not loaded"),
    ],
)
def test_says_what_is_missing(tmp_path: Path, tree: str, words: str) -> None:
    assert words in (W1Tree(Sysfs(tmp_path / "s", tree).links).setup_problem() or "")


def test_says_that_1_wire_is_not_set_up(tmp_path: Path) -> None:
    problem = W1Tree(tmp_path / "none").setup_problem()
    assert problem is not None
    assert "is missing" in problem and "dtoverlay=w1-gpio" in problem
    assert "dtoverlay=w1-gpio" in (W1Tree(tmp_path).setup_problem() or "")
    assert W1Tree(tmp_path / "none").sensors() == []


def test_bulk_conversion_is_per_bus(sysfs: Sysfs) -> None:
    tree = W1Tree(sysfs.links)
    assert tree.can_convert_all("w1_bus_master1")
    assert not tree.can_convert_all("w1_bus_master2")
    assert not tree.can_convert_all("")
    tree.convert_all("w1_bus_master1")
    # the kernel takes these eight bytes and no others
    assert (sysfs.links / "w1_bus_master1" / "therm_bulk_read").read_bytes() == b"trigger\n"


def test_sets_the_resolution(sysfs: Sysfs) -> None:
    tree = W1Tree(sysfs.links)
    tree.set_resolution("28-00000d1efbf6", 10)
    assert sysfs.file("28-00000d1efbf6", "resolution").read_bytes() == b"10\n"


def test_sets_the_resolution_by_w1_slave_on_old_kernels(tmp_path: Path) -> None:
    sysfs = Sysfs(tmp_path / "s", "old-kernel")
    W1Tree(sysfs.links).set_resolution("28-00000d1efbf6", 9)
    assert sysfs.file("28-00000d1efbf6").read_bytes().startswith(b"9\n")
