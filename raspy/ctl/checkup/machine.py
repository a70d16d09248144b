# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine: clock, disk, SD card, memory, power, 1-wire bus. Everything is only read.

Sources: Linux Documentation/ABI/testing/sysfs-fs-ext4, JEDEC JESD84 (an eMMC's life time), proc(5),
Documentation/w1; for power the Raspberry Pi documentation of ``vcgencmd get_throttled``.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from raspy.ctl.checkup import Finding, good, problem, warning
from raspy.servers.core.clock.trust import SANE_EPOCH_S, Trust
from raspy.servers.host import throttled_words
from raspy.servers.onewire.server import DEVICES_DIR

MIB = 1 << 20
# Free room: below the first RasPy may stop writing soon, below the second it is time to look.
LEAST_FREE_BYTES = 200 * MIB
FREE_PART, FREE_INODES = 0.10, 0.05
LEAST_MEMORY_PART = 0.10
# JEDEC: 0x0b is "exceeded its estimated life time", each step before is 10 %.
WORN, WEARING = 0x0B, 0x09
ASK_S = 5.0


def findings(root: Path, state: Path) -> Iterator[Finding]:
    """All of them.

    Args:
        root: where /proc and /sys are; tests have a tree of their own.
        state: RasPy's state folder.
    """
    yield from clock(root)
    yield from disk(state)
    yield from card(root)
    yield from memory(root)
    yield from power(root)
    yield from onewire(root)


def clock(root: Path, now: float | None = None) -> Iterator[Finding]:
    """Whether the time is right: schedules and histories depend on it."""
    now = time.time() if now is None else now
    where = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(now))
    if now < SANE_EPOCH_S:
        yield problem(
            "the clock is years behind", where, "connect a network, or: timedatectl set-time 'DATE TIME'"
        )
        return
    trust = Trust(lambda: now, root=root)
    if trust.look(_ntp_synchronized):
        source = {"ntp": "NTP", "rtc": "a battery-backed clock"}[trust.source]
        yield good(f"the clock is confirmed by {source}", where)
    else:
        todo = "timedatectl set-ntp true, and apt install systemd-timesyncd if it is missing; or add an RTC"
        yield warning(
            "nothing confirms the clock, neither NTP nor an RTC; jobs marked trusted wait", where, todo
        )


def _ntp_synchronized() -> bool:
    command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=ASK_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.stdout.strip() == b"yes"


def disk(state: Path) -> Iterator[Finding]:
    """Room for what RasPy keeps."""
    try:
        about = os.statvfs(state)
    except OSError as error:
        yield problem(
            f"can't be looked at: {error.strerror}", str(state), "start RasPy once, it makes the folder"
        )
        return
    free, size = about.f_bavail * about.f_frsize, about.f_blocks * about.f_frsize
    what = f"{free // MIB} MiB of {size // MIB} are free"
    todo = "du -xh / | sort -h | tail shows what is large; journalctl --vacuum-size=100M drops old journals"
    if about.f_flag & os.ST_RDONLY:
        yield problem(
            "the disk is read-only, so nothing is kept",
            str(state),
            "dmesg says why; a card that does so is dying",
        )
    elif free < LEAST_FREE_BYTES:
        yield problem(what, str(state), todo)
    elif free < FREE_PART * size:
        yield warning(what, str(state), todo)
    elif about.f_files and about.f_favail < FREE_INODES * about.f_files:
        yield warning(
            f"only {about.f_favail} more files can be made", str(state), "remove folders of many small files"
        )
    else:
        yield good(what, str(state))


def card(root: Path) -> Iterator[Finding]:
    """Signs of a worn SD card, as far as the kernel tells: file system errors, and an eMMC's own word."""
    errors = 0
    for counter in sorted((root / "sys/fs/ext4").glob("*/errors_count")):
        count = _number(counter)
        if count:
            errors += count
            device = counter.parent.name
            todo = (
                f"back up now (raspyctl backup), then have it checked at the next boot; dmesg | grep {device}"
            )
            yield problem(f"the file system has met {count} errors", device, todo)
    read = 0
    for block in sorted((root / "sys/block").glob("mmcblk*")):
        about = block / "device"
        if not about.is_dir():
            continue
        name = _text(about / "name") or block.name
        lives = [int(word, 16) for word in _text(about / "life_time").split() if _is_hex(word)]
        if not lives or max(lives) == 0:
            yield good(f"{name}: a card that does not tell how worn it is", block.name)
            continue
        read += 1
        worst = max(lives)
        if worst >= WORN:
            yield problem(f"{name} has reached the end of its life", block.name, "back up now and replace it")
        elif worst >= WEARING:
            yield warning(f"{name} has used {10 * worst} % of its life", block.name, "have a new one at hand")
        else:
            yield good(f"{name} has used at most {10 * worst} % of its life", block.name)
    if not errors and not read:
        yield good("no file system has met an error", "/sys/fs/ext4")


def memory(root: Path) -> Iterator[Finding]:
    """Room in memory, and whether the kernel had to kill for want of it."""
    sizes = {}
    for line in _text(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        number = value.split()[:1]
        if number and number[0].isdigit():
            sizes[name] = int(number[0]) * 1024
    total, available = sizes.get("MemTotal", 0), sizes.get("MemAvailable", 0)
    if not total:
        return
    what = f"{available // MIB} MiB of {total // MIB} are available"
    if available < LEAST_MEMORY_PART * total:
        todo = "raspyctl services shows what RasPy takes, 'systemd-cgtop -m' what all take"
        yield warning(what, "/proc/meminfo", todo)
    else:
        yield good(what, "/proc/meminfo")
    for line in _text(root / "proc/vmstat").splitlines():
        name, _, count = line.partition(" ")
        if name == "oom_kill" and count.strip().isdigit() and int(count):
            todo = "journalctl -k -g 'Out of memory' says what; stop what the machine has no room for"
            yield warning(
                f"the kernel killed {count.strip()} processes for want of memory since it started",
                "/proc/vmstat",
                todo,
            )


def power(root: Path) -> Iterator[Finding]:
    """What the firmware of a Raspberry Pi says of power and heat."""
    for file in sorted((root / "sys/devices/platform").glob("*/*firmware*/get_throttled")):
        text = _text(file)
        if not _is_hex(text):
            continue
        words = throttled_words(int(text, 16))
        if words == "no":
            yield good("power and temperature are well", str(file))
            continue
        todo = (
            "under-voltage: a better power supply and a shorter cable; hot: a heat sink. Both kill SD cards"
        )
        tell = problem if int(text, 16) & 1 else warning
        yield tell(f"the firmware says: {words}", str(file), todo)


def onewire(root: Path) -> Iterator[Finding]:
    """The bus of temperature sensors."""
    devices = root / DEVICES_DIR.lstrip("/")
    if not devices.is_dir():
        if "Raspberry Pi" in _text(root / "proc/device-tree/model"):
            todo = "for DS18B20 sensors add 'dtoverlay=w1-gpio' to /boot/firmware/config.txt and reboot"
            yield good(f"there is no 1-wire bus; {todo}", DEVICES_DIR)
        return
    buses = [one.name for one in devices.glob("w1_bus_master*")]
    sensors = [one.name for one in devices.iterdir() if one.name[2:3] == "-"]
    if not buses:
        todo = "add 'dtoverlay=w1-gpio' to /boot/firmware/config.txt and reboot"
        yield warning("the kernel knows 1-wire, but there is no bus", DEVICES_DIR, todo)
        return
    if sensors and not (root / "sys/module/w1_therm").is_dir():
        yield problem(
            f"{len(sensors)} sensors, but nothing that reads them", DEVICES_DIR, "modprobe w1_therm"
        )
    elif sensors:
        yield good(f"{len(sensors)} sensors on {len(buses)} buses", DEVICES_DIR)
    else:
        todo = "check the wiring: data on GPIO 4, and 4.7 kOhm between data and 3.3 V"
        yield warning("the 1-wire bus is there, and no sensor answers", DEVICES_DIR, todo)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip("\0\n ")
    except OSError:
        return ""


def _number(path: Path) -> int:
    text = _text(path)
    return int(text) if text.isascii() and text.isdigit() else 0


def _is_hex(text: str) -> bool:
    try:
        int(text, 16)
    except ValueError:
        return False
    return True
