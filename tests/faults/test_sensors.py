# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever fault the sensor has, the heater that depends on it is off in time, and stays off.

The controller is stubborn: it lives through all of this, and asks for the heater again and again. All faults
are had at the same time, each by a sensor of its own, so they also show that they do not disturb each other.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from raspy.servers.fake.faults import FAULTS, NONE

from .house import POLL_S, House, Note

GRACE_S = 2.0
STUCK_S = 2.0
DRIFT = 2.0
RUN_S = 3.0

AT_ONCE = "a fault breaks the interlock"
RUN = f"max_run_s ({RUN_S:g} s here)"

CASES = {
    "85": ("reads 85 °C (power-on)", AT_ONCE, POLL_S),
    "crc": ("CRC error", AT_ONCE, POLL_S),
    "missing": ("missing", AT_ONCE, POLL_S),
    "range": ("reads -127", AT_ONCE, POLL_S),
    "slow": ("does not answer", "stale after three polls", 4 * POLL_S),
    "stuck": ("stuck", f"stuck_s ({STUCK_S:g} s here) makes it a fault", STUCK_S + POLL_S),
    "drift": (f"drifts ({DRIFT:g} °C/s)", "leaves the limits of the interlock", 4.0 / DRIFT + POLL_S),
    "blind stuck": ("stuck, unnoticed", RUN, RUN_S),
    "blind drift": ("drifts too slowly to be noticed", RUN, RUN_S),
}


def furnish(house: House, case: str) -> None:
    blind = case.startswith("blind")
    sensor = {"stuck_s": STUCK_S if case == "stuck" else 0, "drift": 0.01 if blind else DRIFT}
    house.furnish(f"tank {case}", f"heater {case}", config=sensor, relay={"max_run_s": RUN_S if blind else 0})


@pytest.fixture(scope="module")
def seconds(shared_house: House) -> Iterator[dict[str, float]]:
    """Seconds from the beginning of each fault until its heater was off; then all were off for a while."""
    house = shared_house
    for case in CASES:
        furnish(house, case)
    begun: dict[str, float] = {}
    controllers = []
    for case in CASES:
        if case.startswith("blind"):
            # What ends this one begins with the heater.
            begun[case] = time.monotonic()
        controllers.append(house.control(f"heater {case}", renew_s=0.3))
    for case in CASES:
        begun.setdefault(case, time.monotonic())
        house.call("exec", f"tank {case}", "fault", case.rpartition(" ")[2])

    def off(case: str) -> float:
        return house.seconds_to_off(begun[case], 10.0, f"heater {case}")

    with ThreadPoolExecutor(len(CASES)) as pool:
        took = dict(zip(CASES, pool.map(off, CASES), strict=True))
    house.stays_off([f"heater {case}" for case in CASES])
    for controller in controllers:
        controller.kill()
    yield took
    house.call("exec", "tank slow", "fault", "none")


def test_every_fault_is_tried() -> None:
    assert set(FAULTS) - {NONE} <= set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_a_sensor_at_fault(seconds: dict[str, float], note: Note, case: str) -> None:
    words, by, limit = CASES[case]
    note(f"sensor: {words}", by, limit + GRACE_S, seconds[case])


def test_a_relay_that_does_not_take_off_is_told_until_it_does(shared_house: House, note: Note) -> None:
    house = shared_house
    house.furnish("tank dead", "heater dead")
    controller = house.control("heater dead", hold_s=1.0, renew_s=0.2)
    house.call("exec", "heater dead", "fault", "dead")
    controller.kill()
    deadline = time.monotonic() + 2.5
    while time.monotonic() < deadline:
        assert house.is_on("heater dead")
        time.sleep(0.05)
    since = time.monotonic()
    house.call("exec", "heater dead", "fault", "none")
    took = house.seconds_to_off(since, 1 + GRACE_S, "heater dead")
    note("the relay did not take 'off', and now does", "told again each second", 1 + GRACE_S, took)


def test_the_documentation_has_every_row() -> None:
    text = (Path(__file__).parents[2] / "docs" / "safety.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| sensor: ")]
    assert len(rows) == len(CASES)
    for words, by, limit in CASES.values():
        (row,) = [row for row in rows if row.startswith(f"| sensor: {words} ")]
        assert by in row
        assert f" {limit + GRACE_S:.1f} s |" in row
