# SPDX-License-Identifier: GPL-3.0-or-later
"""Two simulated days of fifty sensors, with both processes killed meanwhile, compared with what was sent."""

import math
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import HOSTNAME
from tests.support.leaks import alive
from tests.support.logger import body
from tests.support.logger_stack import LoggerStack
from tests.support.waiting import wait_for

SENSORS = 50
POLL_S = 120
DAYS_S = 2 * 86400
BEGIN = int(time.time()) // 300 * 300 - DAYS_S - 3600
FLUSH_S = 5.0
"""What a power cut, or SIGKILL of both processes at once, may take of the wall clock's time."""

CHUNK_S = 7200
FAULTY = 7
"""This sensor is at fault for a simulated hour."""


def value(sensor: int, moment: int) -> float | None:
    """What a sensor reads; None: it is at fault."""
    if sensor == FAULTY and BEGIN + 36_000 <= moment < BEGIN + 39_600:
        return None
    return round(20 + sensor / 10 + math.sin(moment / 7000 + sensor), 3)


class Simulation:
    """Publishes simulated time as fast as the logger takes it."""

    def __init__(self, stack: LoggerStack) -> None:
        self.stack = stack
        self.moment = BEGIN
        self.sent = 0

    def until(self, after_s: int) -> None:
        """Go on until so many seconds after the beginning."""
        while self.moment < BEGIN + after_s:
            end = min(self.moment + CHUNK_S, BEGIN + after_s)
            moments = range(self.moment + POLL_S, end + 1, POLL_S)
            self.sent += self.stack.publish(
                (f"sensor{sensor}/temperature", self._body(sensor, moment))
                for moment in moments
                for sensor in range(SENSORS)
            )
            self.moment = end
            self.stack.taken(self.sent)

    def _body(self, sensor: int, moment: int) -> bytes:
        number = value(sensor, moment)
        if number is None:
            return body(None, moment, poll=POLL_S, quality="fault", error="CRC error")
        return body(number, moment, poll=POLL_S)

    def kill_both(self) -> None:
        """SIGKILL the logger and its rrdcached at once, and start again."""
        rrdcached = self.stack.rrdcached
        for pid in (self.stack.logger.pid, rrdcached):
            os.kill(pid, signal.SIGSTOP)
        for pid in (rrdcached, self.stack.logger.pid):
            os.kill(pid, signal.SIGKILL)
        self.stack.logger.kill()
        wait_for(lambda: not alive(rrdcached))
        self.stack.start()
        self.sent = 0


@pytest.fixture(scope="module")
def days() -> Iterator[dict[str, object]]:
    """Where the RRDs are after two days, and what was told again."""
    with tempfile.TemporaryDirectory(prefix="raspy-", dir="/tmp") as home:
        stack = LoggerStack(Path(home), f"flush_s={FLUSH_S:g}")
        try:
            yield live(stack)
        finally:
            stack.close()


def live(stack: LoggerStack) -> dict[str, object]:
    """Two days."""
    stack.devices.logged.update({f"sensor{number}": True for number in range(SENSORS)})
    simulation = Simulation(stack)
    simulation.until(12 * 3600)
    stack.kill_rrdcached()
    simulation.until(30 * 3600)
    # All of this is older than FLUSH_S when both are killed; what follows is not.
    synced = stack.figure("spool.bytes")
    wait_for(lambda: stack.figure("spool.bytes") > synced, FLUSH_S + 10, "the next sync of the spool")
    simulation.until(31 * 3600)
    simulation.kill_both()
    simulation.until(DAYS_S)
    wait_for(lambda: stack.figure("series.open") == SENSORS)
    replayed = stack.figure("writer.replayed")
    assert stack.logger.stop() == 0
    return {
        "rrd": stack.folder / "rrd" / HOSTNAME / "fake",
        "replayed": replayed,
        "spool": stack.folder / "spool",
    }


def rows(path: Path, function: str, start: int, end: int) -> dict[int, float]:
    """What stands in a file, NaN left out, as rrdtool itself reads it."""
    command = ["rrdtool", "fetch", path, function, "-s", str(start), "-e", str(end)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found = {}
    for line in lines:
        moment, colon, text = line.partition(": ")
        if colon and text != "-nan" and text != "nan":
            found[int(moment)] = float(text)
    return found


def minute(sensor: int, moment: int) -> float | None:
    """What the minute that ends at *moment* is worth: the reading that covers it."""
    return value(sensor, BEGIN + -(-(moment - BEGIN) // POLL_S) * POLL_S)


def five_minutes(sensor: int, moment: int) -> float | None:
    """The mean of five minutes, of those that are known."""
    minutes = [minute(sensor, moment - 60 * n) for n in range(5)]
    known = [one for one in minutes if one is not None]
    return math.fsum(known) / len(known) if len(known) >= 3 else None


@pytest.mark.parametrize("sensor", range(0, SENSORS, 7))
def test_what_was_sent_is_what_is_fetched(days: dict[str, object], sensor: int) -> None:
    """All but the hour that was on its way when both were killed; faults are unknown, nothing is made up."""
    path = Path(str(days["rrd"])) / f"sensor{sensor}" / "temperature.rrd"
    lost = range(BEGIN + 30 * 3600, BEGIN + 31 * 3600 + 900)
    fine = rows(path, "AVERAGE", BEGIN + DAYS_S - 86400, BEGIN + DAYS_S)
    coarse = rows(path, "AVERAGE", BEGIN, BEGIN + DAYS_S)
    assert min(fine) > BEGIN + DAYS_S - 86400 and max(fine) == BEGIN + DAYS_S
    for step, found, expected in ((60, fine, minute), (300, coarse, five_minutes)):
        first = BEGIN + 600 if step == 300 else BEGIN + DAYS_S - 86400 + 60
        for moment in range(first, BEGIN + DAYS_S + 1, step):
            wanted = expected(sensor, moment)
            if moment in lost and moment not in found:
                continue
            if wanted is None:
                assert moment not in found, f"{moment - BEGIN} s: {found[moment]} was never sent"
            else:
                assert found.get(moment) == pytest.approx(wanted, abs=1e-6), (
                    f"{moment - BEGIN} s after the beginning"
                )


def test_least_and_greatest(days: dict[str, object]) -> None:
    path = Path(str(days["rrd"])) / "sensor3" / "temperature.rrd"
    for function, extreme in (("MIN", min), ("MAX", max)):
        found = rows(path, function, BEGIN + DAYS_S - 40_000, BEGIN + DAYS_S - 1000)
        for moment, number in found.items():
            assert number == pytest.approx(extreme([minute(3, moment) or 0.0]), abs=1e-6)


def test_the_long_archives_are_filled_as_well(days: dict[str, object]) -> None:
    path = Path(str(days["rrd"])) / "sensor3" / "temperature.rrd"
    for span, step in ((40 * 86400, 21600), (3000 * 86400, 86400)):
        found = rows(path, "AVERAGE", BEGIN + DAYS_S - span, BEGIN + DAYS_S)
        assert len(found) >= DAYS_S // step - 1
        for number in found.values():
            assert number == pytest.approx(20.3, abs=1.0)


def test_what_the_killed_ones_had_was_told_again(days: dict[str, object]) -> None:
    replayed = days["replayed"]
    assert isinstance(replayed, int) and replayed > 10_000
    assert list(Path(str(days["spool"])).iterdir()) == []
