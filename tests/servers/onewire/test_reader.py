# SPDX-License-Identifier: GPL-3.0-or-later
"""Sensors of one bus measure together, and one that hangs keeps no other."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from raspy.servers.onewire.bus import W1Tree
from raspy.servers.onewire.reader import BusReader
from raspy.servers.onewire.sensor import Measurement, SensorFault
from tests.conftest import wait_for

from .conftest import Sysfs
from .test_sensor import GOOD

BUS, SECOND_BUS = "w1_bus_master1", "w1_bus_master2"
A, B, C = "28-00000d1efbf6", "28-00000d1efed4", "28-00000d2b5549"
TIMEOUT_S = 10.0
log = logging.getLogger("test")


class Tree(W1Tree):
    """Writes down who is read."""

    def __init__(self, sysfs: Sysfs) -> None:
        super().__init__(sysfs.links)
        self.read_ids: list[str] = []

    def read(self, sensor_id: str) -> Measurement:
        self.read_ids.append(sensor_id)
        return super().read(sensor_id)


def on_bus(sysfs: Sysfs, bus: str) -> list[str]:
    tree = W1Tree(sysfs.links)
    return [sensor for sensor in GOOD if tree.bus_of(sensor) == bus]


def bulk_triggers(sysfs: Sysfs) -> bool:
    """Whether the bus has been told to measure since the last look."""
    path = sysfs.links / BUS / "therm_bulk_read"
    told = path.read_bytes() == b"trigger\n"
    path.write_text("0\n")
    return told


def read_all(reader: BusReader, sensors: list[str]) -> dict[str, Future[Measurement]]:
    """Read sensors at the same time, each in a thread of its own, as the engine does."""
    with ThreadPoolExecutor(len(sensors)) as pool:
        return {sensor: pool.submit(reader.read, sensor) for sensor in sensors}


def test_sensors_asked_for_together_measure_together(sysfs: Sysfs) -> None:
    sensors = on_bus(sysfs, BUS)
    reader = BusReader(W1Tree(sysfs.links), BUS, log)
    for _ in range(3):
        readings = read_all(reader, sensors)
        assert {s: readings[s].result().celsius for s in sensors} == {s: GOOD[s][0] for s in sensors}
        assert bulk_triggers(sysfs)


def test_one_sensor_alone_needs_no_command_to_the_bus(sysfs: Sysfs) -> None:
    assert BusReader(W1Tree(sysfs.links), BUS, log).read(A).celsius == 15.25
    assert not bulk_triggers(sysfs)


def test_a_bus_without_the_command_is_read_in_all_threads_at_once(sysfs: Sysfs) -> None:
    sensors = on_bus(sysfs, SECOND_BUS)
    together = threading.Barrier(len(sensors))

    class Meeting(W1Tree):
        def read(self, sensor_id: str) -> Measurement:
            together.wait(TIMEOUT_S)  # until all others are being read as well
            return super().read(sensor_id)

    readings = read_all(BusReader(Meeting(sysfs.links), SECOND_BUS, log), sensors)
    assert {s: readings[s].result().celsius for s in sensors} == {s: GOOD[s][0] for s in sensors}


def test_a_measurement_that_nobody_asked_for_is_thrown_away(sysfs: Sysfs) -> None:
    """After a bulk conversion every sensor answers with it until it is read, be it an hour later."""
    tree = Tree(sysfs)
    reader = BusReader(tree, BUS, log)
    read_all(reader, [A, B])
    assert sorted(tree.read_ids) == [A, B]
    for expected in ([C, C], [C], [A]):
        tree.read_ids.clear()
        assert reader.read(expected[0]).celsius == GOOD[expected[0]][0]
        assert tree.read_ids == expected


def test_what_is_thrown_away_may_be_anything(sysfs: Sysfs) -> None:
    reader = BusReader(W1Tree(sysfs.links), BUS, log)
    sysfs.write(C, "bad/w1_bus_master1/28-0000000000c1")
    read_all(reader, [A, B])
    with pytest.raises(SensorFault, match="CRC"):
        reader.read(C)


def test_a_bus_that_refuses_the_command_is_read_singly(
    sysfs: Sysfs, caplog: pytest.LogCaptureFixture
) -> None:
    class Refusing(W1Tree):
        def convert_all(self, bus: str) -> None:
            raise OSError(5, "Input/output error")

    reader = BusReader(Refusing(sysfs.links), BUS, log)
    for _ in range(2):
        readings = read_all(reader, [A, B])
        assert (readings[A].result().celsius, readings[B].result().celsius) == (15.25, 15.187)
    assert [record.getMessage() for record in caplog.records] == [
        "w1_bus_master1: no measuring together ([Errno 5] Input/output error), sensors are read singly"
    ]


def test_a_fault_is_the_sensors_own(sysfs: Sysfs) -> None:
    sysfs.write(A, "bad/w1_bus_master1/28-0000000000c1")
    readings = read_all(BusReader(W1Tree(sysfs.links), BUS, log), [A, B])
    assert isinstance(readings[A].exception(), SensorFault)
    assert readings[B].result().celsius == 15.187


def test_one_that_hangs_keeps_no_other(sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raspy.servers.onewire.reader.FETCH_S", 0.2)
    reader = BusReader(W1Tree(sysfs.links), BUS, log)
    sysfs.hang(A)
    with ThreadPoolExecutor(1) as pool:
        hung = pool.submit(reader.read, A)
        for _ in range(3):
            readings = read_all(reader, [B, C])
            assert (readings[B].result(TIMEOUT_S).celsius, readings[C].result(TIMEOUT_S).celsius) == (
                15.187,
                15.375,
            )
        assert not hung.done()
        wait_for(lambda: hung.done() or sysfs.release(A))
        with pytest.raises(SensorFault, match="empty"):
            hung.result()
    sysfs.write(A, f"good/{BUS}/{A}")
    assert reader.read(A).celsius == 15.25


def test_a_bus_that_hangs_lets_all_go_when_it_comes_back(sysfs: Sysfs) -> None:
    """The command to measure hangs: everybody does, and nobody longer than it."""
    back = threading.Event()

    class Wedged(W1Tree):
        def convert_all(self, bus: str) -> None:
            back.wait(TIMEOUT_S)

    reader = BusReader(Wedged(sysfs.links), BUS, log)
    with ThreadPoolExecutor(3) as pool:
        readings = [pool.submit(reader.read, sensor) for sensor in (A, B, C)]
        assert not any(reading.done() for reading in readings)
        back.set()
        assert [reading.result(TIMEOUT_S).celsius for reading in readings] == [15.25, 15.187, 15.375]
