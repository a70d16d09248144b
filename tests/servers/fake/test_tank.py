# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated tank obeys Newton."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.servers.fake.tank import HEAT_CAPACITY_J, Tank, Tanks


def tank(speed: float = 1.0, start: float = 20.0) -> Tank:
    return Tank(volume_l=10, room_c=20, loss_w=10, speed=speed, start_c=start, now_s=100.0)


def test_without_a_heater_it_takes_the_temperature_of_the_room() -> None:
    warm = tank(start=30)
    assert warm.celsius(100) == 30
    assert 20 < warm.celsius(100 + 3600) < 30
    assert warm.celsius(1e7) == pytest.approx(20)


def test_a_heater_warms_it_up_to_where_it_loses_as_much() -> None:
    heated = tank()
    heated.heat("heater", 50, 100)
    first = heated.celsius(101) - 20
    assert first == pytest.approx(50 / (HEAT_CAPACITY_J * 10), rel=1e-3)
    assert heated.celsius(1e7) == pytest.approx(25)
    heated.heat("heater", 0, 1e7)
    assert heated.celsius(2e7) == pytest.approx(20)


def test_two_heaters_add_up() -> None:
    heated = tank()
    heated.heat("one", 50, 100)
    heated.heat("two", 50, 100)
    assert heated.celsius(1e7) == pytest.approx(30)


def test_speed() -> None:
    slow, fast = tank(), tank(speed=60)
    for one in (slow, fast):
        one.heat("heater", 50, 100)
    assert fast.celsius(110) == pytest.approx(slow.celsius(700))


@given(st.lists(st.floats(0.01, 1000), min_size=1, max_size=20))
def test_it_does_not_matter_how_often_one_looks(waits: list[float]) -> None:
    often, once = tank(), tank()
    for one in (often, once):
        one.heat("heater", 50, 100)
    now = 100.0
    for wait in waits:
        now += wait
        often.celsius(now)
    assert often.celsius(now) == pytest.approx(once.celsius(now))


def test_a_clock_that_stands_still() -> None:
    assert tank(start=30).celsius(50) == 30


def test_heaters_and_tanks_come_in_any_order() -> None:
    tanks = Tanks()
    tanks.heat("tank", "heater", 50, 100)
    tanks.put("tank", tank(), 100)
    assert tanks.celsius("tank", 1e7) == pytest.approx(25)
    tanks.drop("tank")
    tanks.drop("tank")
    tanks.heat("tank", "heater", 0, 2e7)
    tanks.put("tank", tank(), 2e7)
    assert tanks.celsius("tank", 2e7) == 20
