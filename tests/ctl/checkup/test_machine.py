# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor finds on machines of all sorts: trees of /proc and /sys, made here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.ctl.checkup import Finding, machine

NOW = 1_769_000_000.0


def put(root: Path, path: str, text: str = "") -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def states(found: list[Finding]) -> list[str]:
    return [finding.state for finding in found]


def only(found: list[Finding]) -> Finding:
    (one,) = found
    assert one.todo or one.state == "good", "it says what to do"
    return one


@pytest.fixture
def no_timedated(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without timedatectl."""
    monkeypatch.setenv("PATH", str(run_dir))


@pytest.mark.usefixtures("no_timedated")
def test_clock(run_dir: Path) -> None:
    assert only(list(machine.clock(run_dir, 1000.0)))[:2] == ("problem", "the clock is years behind")
    assert "nothing confirms the clock" in only(list(machine.clock(run_dir, NOW))).what
    put(run_dir, "sys/class/rtc/rtc0/since_epoch", str(int(NOW)))
    assert only(list(machine.clock(run_dir, NOW))).what == "the clock is confirmed by a battery-backed clock"
    put(run_dir, "run/systemd/timesync/synchronized")
    assert only(list(machine.clock(run_dir, NOW))).what == "the clock is confirmed by NTP"


@pytest.mark.usefixtures("no_timedated")
def test_clock_by_timedated(run_dir: Path) -> None:
    put(run_dir, "timedatectl", "#!/bin/sh\necho yes\n")
    (run_dir / "timedatectl").chmod(0o755)
    assert only(list(machine.clock(run_dir, NOW))).what == "the clock is confirmed by NTP"


class Disk:
    """What statvfs(3) says."""

    def __init__(self, free: int, size: int, flags: int = 0, inodes: int = 1000):
        self.f_bavail, self.f_blocks, self.f_frsize, self.f_flag = free, size, machine.MIB, flags
        self.f_files, self.f_favail = 1000, inodes


@pytest.mark.parametrize(
    ("disk", "state", "what"),
    [(Disk(20_000, 30_000), "good", "20000 MiB of 30000 are free"),
     (Disk(100, 30_000), "problem", "100 MiB of"), (Disk(2000, 30_000), "warning", "2000 MiB of"),
     (Disk(20_000, 30_000, os.ST_RDONLY), "problem", "read-only"),
     (Disk(20_000, 30_000, 0, 10), "warning", "only 10 more files")],
)  # fmt: skip
def test_disk(disk: Disk, state: str, what: str, monkeypatch: pytest.MonkeyPatch, run_dir: Path) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    found = only(list(machine.disk(run_dir)))
    assert found.state == state and what in found.what


def test_this_disk(run_dir: Path) -> None:
    assert "are free" in only(list(machine.disk(run_dir))).what
    assert only(list(machine.disk(run_dir / "none"))).state == "problem"


LIVES = (
    ("0x01 0x02", "good", "has used at most 20 %"),
    ("0x09 0x01", "warning", "90 %"),
    ("0x0b 0x01", "problem", "the end of its life"),
    ("0x00 0x00", "good", "not tell"),
    ("no idea", "good", "not tell"),
)


def test_card(run_dir: Path) -> None:
    assert only(list(machine.card(run_dir))).what == "no file system has met an error"
    put(run_dir, "sys/fs/ext4/mmcblk0p2/errors_count", "0\n")
    put(run_dir, "sys/block/mmcblk0/device/name", "SC32G\n")
    (run_dir / "sys/block/mmcblk0boot0").mkdir()
    assert [finding.what for finding in machine.card(run_dir)] == [
        "SC32G: a card that does not tell how worn it is", "no file system has met an error",
    ]  # fmt: skip
    for life, state, what in LIVES:
        put(run_dir, "sys/block/mmcblk0/device/life_time", life + "\n")
        found = next(machine.card(run_dir))
        assert found.state == state and what in found.what
    put(run_dir, "sys/fs/ext4/mmcblk0p2/errors_count", "3\n")
    found = next(machine.card(run_dir))
    assert found[:3] == ("problem", "the file system has met 3 errors", "mmcblk0p2")
    assert "back up now" in found.todo


def test_memory(run_dir: Path) -> None:
    assert list(machine.memory(run_dir)) == []
    put(run_dir, "proc/meminfo", "MemTotal:  1000000 kB\nMemAvailable: 500000 kB\nOdd\n")
    put(run_dir, "proc/vmstat", "nr_free 5\noom_kill 0\n")
    assert only(list(machine.memory(run_dir))).what == "488 MiB of 976 are available"
    put(run_dir, "proc/meminfo", "MemTotal:  1000000 kB\nMemAvailable: 50000 kB\n")
    put(run_dir, "proc/vmstat", "oom_kill 2\n")
    low, killed = machine.memory(run_dir)
    assert (low.state, killed.state) == ("warning", "warning")
    assert killed.what == "the kernel killed 2 processes for want of memory since it started"


@pytest.mark.parametrize(
    ("bits", "state", "what"),
    [("0\n", "good", "power and temperature are well"), ("50005\n", "problem", "under-voltage"),
     ("50000\n", "warning", "before"), ("8\n", "warning", "hot")],
)  # fmt: skip
def test_power(run_dir: Path, bits: str, state: str, what: str) -> None:
    assert list(machine.power(run_dir)) == []
    put(run_dir, "sys/devices/platform/soc/soc:firmware/get_throttled", bits)
    found = only(list(machine.power(run_dir)))
    assert found.state == state and what in found.what
    put(run_dir, "sys/devices/platform/soc/soc:firmware/get_throttled", "error")
    assert list(machine.power(run_dir)) == []


def test_onewire(run_dir: Path) -> None:
    assert list(machine.onewire(run_dir)) == []
    put(run_dir, "proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")
    assert "add 'dtoverlay=w1-gpio'" in only(list(machine.onewire(run_dir))).what
    devices = run_dir / "sys/bus/w1/devices"
    devices.mkdir(parents=True)
    assert "there is no bus" in only(list(machine.onewire(run_dir))).what
    (devices / "w1_bus_master1").mkdir()
    assert "no sensor answers" in only(list(machine.onewire(run_dir))).what
    (devices / "28-0000000000a0").mkdir()
    assert only(list(machine.onewire(run_dir)))[3] == "modprobe w1_therm"
    (run_dir / "sys/module/w1_therm").mkdir(parents=True)
    assert only(list(machine.onewire(run_dir))).what == "1 sensors on 1 buses"


def test_all_of_this_machine(run_dir: Path) -> None:
    found = list(machine.findings(Path("/"), run_dir))
    assert {"good"} <= set(states(found)) <= {"good", "warning", "problem"}


READ = (
    "proc/meminfo", "proc/vmstat", "proc/device-tree/model", "sys/fs/ext4/x/errors_count",
    "sys/block/mmcblk0/device/life_time", "sys/devices/platform/a/b-firmware/get_throttled",
)  # fmt: skip


@given(st.binary(max_size=100))
def test_files_that_hold_anything(noise: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="raspy-", dir="/tmp") as home:
        root = Path(home)
        for path in READ:
            put(root, path)
            (root / path).write_bytes(noise)
        for look in (machine.memory, machine.card, machine.power, machine.onewire):
            assert set(states(list(look(root)))) <= {"good", "warning", "problem"}
