# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine's own sensors, read from the files of other machines, and of this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.common.config import Settings
from raspy.common.devices.fault import DeviceFault
from raspy.common.kvcliapi import KvSubscriberClient
from raspy.servers import host
from raspy.servers.host import Host, HostDevice, throttled_words
from tests.support.broker import HOSTNAME
from tests.support.running import running
from tests.support.titanic import TitanicStack
from tests.support.waiting import wait_for

MACHINES = ["pi4", "pi5", "pc"]


def poll(kind: type[HostDevice], machine: Path) -> dict[str, Any]:
    device = kind(name="x")
    device.proc, device.sys, device.disk = machine / "proc", machine / "sys", machine
    device.open()
    return device.do_poll()


@pytest.mark.parametrize(
    ("machine", "celsius"), [("pi4", 48.2), ("pi5", 52.4), ("pc", 61.1)], indirect=["machine"]
)
def test_temperature_of_the_processor(machine: Path, celsius: float) -> None:
    assert poll(host.Cpu, machine)["temperature"] == celsius


@pytest.mark.parametrize("machine", ["pc"], indirect=True)
def test_a_machine_without_a_thermometer_leaves_it_out(machine: Path) -> None:
    (machine / "sys/class/hwmon/hwmon1/name").write_text("acpi_fan\n")
    assert "temperature" not in poll(host.Cpu, machine)


@pytest.mark.parametrize("machine", ["pi4"], indirect=True)
@pytest.mark.parametrize("content", ["", "hot", "999999"])
def test_a_thermometer_that_gives_no_temperature_is_at_fault(machine: Path, content: str) -> None:
    (machine / "sys/class/thermal/thermal_zone0/temp").write_text(content)
    assert isinstance(poll(host.Cpu, machine)["temperature"], DeviceFault)


@pytest.mark.parametrize("machine", ["pi4"], indirect=True)
def test_a_thermometer_that_vanishes_is_at_fault(machine: Path) -> None:
    (machine / "sys/class/thermal/thermal_zone0/temp").unlink()
    fault = poll(host.Cpu, machine)["temperature"]
    assert isinstance(fault, DeviceFault) and "thermal_zone0/temp can't be read" in str(fault)


@pytest.mark.parametrize("machine", ["pi4"], indirect=True)
def test_usage_is_what_was_used_since_the_last_poll(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = host.Cpu(name="x")
    device.sys = machine / "sys"
    device.open()
    assert "usage" not in device.do_poll()  # of a moment nothing can be said
    monkeypatch.setattr(host, "USAGE_LEAST_S", 0.0)
    stat = machine / "proc/stat"
    # 100 ticks more: 25 in user space, 75 idle
    stat.write_text(stat.read_text().replace("402311", "402336").replace("138204211", "138204286"))
    assert device.do_poll()["usage"] == 25.0


@pytest.mark.parametrize("machine", ["pi4"], indirect=True)
def test_load(machine: Path) -> None:
    assert poll(host.Load, machine) == {"1min": 0.31, "5min": 0.24, "15min": 0.19}


@pytest.mark.parametrize(
    ("machine", "values"),
    [("pi4", {"used": 14.7, "available": 3392.4, "swap": 25.0}), ("pc", {"used": 14.7, "available": 3392.4})],
    indirect=["machine"],
)
def test_memory(machine: Path, values: dict[str, float]) -> None:
    assert poll(host.Memory, machine) == values


def test_disk(tmp_path: Path) -> None:
    usage = os.statvfs(tmp_path)
    values = poll(host.Disk, tmp_path)
    assert 0 < values["used"] < 100
    assert abs(values["free"] - usage.f_bavail * usage.f_frsize / 1e6) < 100


@pytest.mark.parametrize(
    ("machine", "values"),
    [
        ("pi4", {"uptime": 350735, "throttled": "under-voltage, throttled before"}),
        ("pi5", {"uptime": 350735, "throttled": "no"}),
        ("pc", {"uptime": 350735}),
    ],
    indirect=["machine"],
)
def test_system(machine: Path, values: dict[str, Any]) -> None:
    assert poll(host.System, machine) == values


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        (0x0, "no"),
        (0x1, "under-voltage now"),
        (0x50005, "under-voltage, throttled now"),
        (0x50001, "under-voltage now; throttled before"),
        (0x80008, "hot now"),
        (0xE0000, "frequency capped, throttled, hot before"),
    ],
)
def test_throttled_in_words(bits: int, words: str) -> None:
    assert throttled_words(bits) == words


@given(st.integers(0, 2**32 - 1))
def test_any_bits_have_words(bits: int) -> None:
    assert (throttled_words(bits) == "no") == (bits & 0xF000F == 0)


@pytest.mark.parametrize("machine", ["pi4"], indirect=True)
def test_a_file_that_can_not_be_read_is_a_fault_of_that_device(machine: Path) -> None:
    (machine / "proc/loadavg").unlink()
    with pytest.raises(FileNotFoundError):
        poll(host.Load, machine)


@pytest.mark.parametrize("machine", ["pi4"], indirect=True)
def test_publishes_values_with_unit_and_quality(machine: Path, stack: TitanicStack, tmp_path: Path) -> None:
    """The server, on a real broker, with another machine's files."""
    settings = Settings.defaults(Host.SETTINGS, poll_s=0.2)
    server = Host(
        HOSTNAME, broker=stack.url, settings=settings, data_dir=tmp_path / "host",
        proc=machine / "proc", sys=machine / "sys",
    )  # fmt: skip
    seen: dict[str, Any] = {}
    subscriber = KvSubscriberClient(
        subtree=f"/device/{HOSTNAME}/host/", broker=stack.url,
        callback=lambda key, body: seen.update({key: json.loads(body)}),
    )  # fmt: skip
    expected = {
        "cpu/temperature": (48.2, "°C"),
        "load/1min": (0.31, ""),
        "memory/used": (14.7, "%"),
        "memory/available": (3392.4, "MB"),
        "system/uptime": (350735, "s"),
        "system/throttled": ("under-voltage, throttled before", ""),
    }
    with running(server, "devices"):
        reader = server.spawn("reader", subscriber.run)
        try:
            for key, (value, unit) in expected.items():
                body = wait_for(lambda key=key: seen.get(f"/device/{HOSTNAME}/host/{key}"), what=key)
                assert (body["value"], body["unit"], body["quality"]) == (value, unit, "good")
            assert {"disk/used", "disk/free"} < {key.split("/host/")[1] for key in seen}
            (machine / "proc/loadavg").write_text("2.00 1.00 0.50 1/214 4711\n")
            wait_for(lambda: seen[f"/device/{HOSTNAME}/host/load/1min"]["value"] == 2.0)
            assert server.status_line() == "5 devices, all well"
        finally:
            subscriber.shutdown()
            reader.join()
            subscriber.destroy()


def test_this_machine(own_stack: TitanicStack) -> None:
    """As a process, as it is run: it reads this very machine."""
    own_stack.broker.server("host", "poll_s=0.5")
    devices = json.loads(own_stack.ask(f"{HOSTNAME}.host.devices", "list")[0])
    assert sorted(devices) == ["cpu", "disk", "load", "memory", "system"]
    assert (devices["cpu"]["poll"], devices["disk"]["poll"]) == (0.5, 60.0)
    value = json.loads(own_stack.ask(f"{HOSTNAME}.host.devices", "exec", "system", "uptime")[0])
    uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    assert 0 <= uptime_s - value["value"] < 60


def test_main_refuses_a_bad_setting(tmp_path: Path) -> None:
    config = tmp_path / "raspy.conf"
    config.write_text("[host]\npoll_s = 0\n")
    done = subprocess.run(
        [sys.executable, "-m", "raspy.servers.host", "--config", config],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 78
    assert "[host] poll_s = '0': must be a number from 0.1 to 3600" in done.stderr
