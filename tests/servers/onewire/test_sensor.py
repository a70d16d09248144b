# SPDX-License-Identifier: GPL-3.0-or-later
"""What is a temperature and what is not."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.servers.onewire.sensor import (
    FAMILIES,
    NEIGHBOUR_C,
    NEIGHBOUR_S,
    Judge,
    Measurement,
    SensorFault,
    parse,
)

from .conftest import TREES

GOOD = {
    "28-00000d1efbf6": (15.25, 12),
    "28-00000d1efed4": (15.187, 12),
    "28-00000d2b5549": (15.375, 12),
    "28-041460bdd6ff": (24.937, 12),
    "28-00000a0b0c0d": (-10.125, 12),
    "28-00000a0b0c09": (25.5, 9),
    "10-000802be73fa": (22.25, 9),
    "10-00080316b010": (-25.0, 9),
    "22-0000001a2b3c": (25.062, 12),
    "3b-0000001829ab": (26.125, 12),
    "3b-0d5802190b1a": (409.0, None),
    "42-000000a1b2c3": (21.5, 12),
}
BAD = {
    "28-0000000000c1": ("crc", "checksum"),
    "28-000000000085": ("power-on", "85.000 °C"),
    "28-000000000127": ("power", "too little power"),
    "28-000000000150": ("range", "150.000 °C is outside what a DS18B20 measures (-55 to 125 °C)"),
    "28-0000000000a0": ("range", "-64.000 °C"),
    "28-000000000000": ("short", "shorted to ground"),
    "28-0000000000ff": ("silent", "nothing answers"),
    "28-0000000000e0": ("empty", "empty reading"),
    "28-0000000000b0": ("garbled", "not understood: 'f4 00 4b 46 : crc'"),
    "10-0000000000d0": ("garbled", "makes no sense"),
    "3b-0000000000a1": ("thermocouple", "is open"),
    "3b-0000000000a2": ("thermocouple", "shorted to ground"),
    "3b-0000000000a4": ("thermocouple", "shorted to the supply"),
    "3b-0000000000a8": ("thermocouple", "reports a fault"),
}


def content(tree: str, sensor: str, name: str = "w1_slave") -> str:
    return next((TREES / tree).glob(f"*/{sensor}/{name}")).read_text()


@pytest.mark.parametrize("sensor", GOOD)
def test_good_readings(sensor: str) -> None:
    celsius, resolution = GOOD[sensor]
    assert parse(sensor, content("good", sensor)) == Measurement(celsius, None, resolution)
    assert parse(sensor, content("good", sensor, "temperature")).celsius == celsius


def test_every_family_has_a_good_sensor() -> None:
    assert {sensor[:2] for sensor in GOOD} == set(FAMILIES)


@pytest.mark.parametrize("sensor", BAD)
def test_each_kind_of_bad_has_its_own_words(sensor: str) -> None:
    kind, words = BAD[sensor]
    with pytest.raises(SensorFault) as caught:
        parse(sensor, content("bad", sensor))
    assert caught.value.kind == kind
    assert words in str(caught.value)


def test_a_kept_temperature_is_not_believed_after_a_checksum_error() -> None:
    """The second line holds the last good one: t= is a number, and an old one."""
    text = content("bad", "28-0000000000c1")
    assert "t=15250" in text
    with pytest.raises(SensorFault, match="checksum"):
        parse("28-0000000000c1", text)


@pytest.mark.parametrize("sensor", ["28-000000000085", "10-000000000085"])
def test_85_needs_a_witness_when_the_memory_does_not_tell(sensor: str) -> None:
    for name in ("w1_slave", "temperature"):
        if (sensor, name) == ("28-000000000085", "w1_slave"):
            continue  # its memory tells: a fault in any case
        measurement = parse(sensor, content("bad", sensor, name))
        assert measurement.celsius == 85.0
        assert measurement.doubt is not None and measurement.doubt.kind == "power-on"


def test_a_true_85_of_a_ds18b20_is_doubted_until_a_neighbour_vouches() -> None:
    memory = "50 05 4b 46 7f ff 10 10 f3"
    measurement = parse("28-00000d1efbf6", f"{memory} : crc=f3 YES\n{memory} t=85000\n")
    judge = Judge()
    with pytest.raises(SensorFault, match=r"85\.000"):
        judge.accept(measurement, now_s=100)
    judge.accept(Measurement(84.5), now_s=101)
    assert judge.accept(measurement, now_s=102) == 85.0
    assert judge.accept(measurement, now_s=102 + NEIGHBOUR_S) == 85.0  # it is its own neighbour now


@pytest.mark.parametrize(
    ("neighbour_c", "age_s"),
    [(85 - NEIGHBOUR_C - 0.1, 1), (85 + NEIGHBOUR_C + 0.1, 1), (84.9, NEIGHBOUR_S + 0.1), (25.0, 10)],
)
def test_far_or_old_neighbours_do_not_vouch(neighbour_c: float, age_s: float) -> None:
    judge = Judge()
    judge.accept(Measurement(neighbour_c), now_s=1000)
    doubtful = parse("28-00000d1efbf6", "85000\n")
    for _ in range(2):  # and refused readings do not become neighbours
        with pytest.raises(SensorFault) as caught:
            judge.accept(doubtful, now_s=1000 + age_s)
        assert caught.value.kind == "power-on"


def test_zero_without_memory_may_be_a_short() -> None:
    judge = Judge()
    zero = parse("28-00000d1efbf6", "0\n")
    with pytest.raises(SensorFault) as caught:
        judge.accept(zero, now_s=5)
    assert caught.value.kind == "short"
    judge.accept(Measurement(0.062), now_s=6)
    assert judge.accept(zero, now_s=7) == 0.0


def test_zero_with_memory_is_a_temperature() -> None:
    memory = "00 00 4b 46 7f ff 10 10 25"
    assert parse("28-00000d1efbf6", f"{memory} : crc=25 YES\n{memory} t=0\n").doubt is None


@given(st.sampled_from(sorted(GOOD)), st.text(max_size=200))
def test_any_text_is_a_temperature_or_a_fault(sensor: str, text: str) -> None:
    check_total(sensor, text)


@given(
    st.sampled_from(sorted(GOOD)),
    st.binary(min_size=9, max_size=9),
    st.sampled_from(["YES", "NO"]),
    st.integers(-9_999_999, 9_999_999),
)
def test_any_memory_is_a_temperature_or_a_fault(sensor: str, memory: bytes, verdict: str, milli: int) -> None:
    check_total(sensor, f"{memory.hex(' ')} : crc=00 {verdict}\n{memory.hex(' ')} t={milli}\n")


def check_total(sensor: str, text: str) -> None:
    try:
        measurement = parse(sensor, text)
    except SensorFault as fault:
        assert str(fault) and fault.kind
    else:
        assert math.isfinite(measurement.celsius)
        assert -270 <= measurement.celsius <= 1768
