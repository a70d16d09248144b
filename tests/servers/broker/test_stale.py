# SPDX-License-Identifier: GPL-3.0-or-later
"""Values turn stale three polls after their server fell silent, whatever the clocks do."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.servers.broker.stale import StaleSweep

KEY = b"/device/pi/fake/tank/temperature"


class World:
    """A key/value map, two clocks, and the sweep over them, a second at a time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.wall = 1_700_000_000.0
        self.values: dict[bytes, tuple[int, bytes]] = {}
        self.sequence = 0
        self.sweeper = StaleSweep(lambda: self.now, lambda: self.wall)

    def put(self, key: bytes = KEY, **fields: object) -> None:
        body = {"value": 21.5, "unit": "°C", "quality": "good", "polled": self.wall, "poll": 2.0}
        self.put_raw(key, json.dumps({**body, **fields}).encode())

    def put_raw(self, key: bytes, body: bytes) -> None:
        self.sequence += 1
        self.values[key] = (self.sequence, body)

    def sweep(self) -> list[bytes]:
        changed = self.sweeper.sweep(self.values)
        for key, body in changed:
            self.put_raw(key, body)
        return [key for key, _ in changed]

    def seconds_to_stale(self, key: bytes = KEY, limit: int = 60) -> int | None:
        for second in range(limit):
            if key in self.sweep():
                return second
            self.step()
        return None

    def step(self, seconds: float = 1.0) -> None:
        self.now += seconds
        self.wall += seconds

    def quality(self, key: bytes = KEY) -> str:
        return json.loads(self.values[key][1])["quality"]


@pytest.fixture
def world() -> World:
    world = World()
    assert world.sweep() == []
    world.step()
    return world


def test_silent_value_turns_stale_after_three_polls(world: World) -> None:
    world.put(poll=2.0)
    assert world.seconds_to_stale() in (5, 6)
    body = json.loads(world.values[KEY][1])
    assert body["quality"] == "stale"
    assert body["value"] == 21.5
    assert body["unit"] == "°C"


def test_it_is_said_once(world: World) -> None:
    world.put(poll=1.0)
    assert world.seconds_to_stale() is not None
    assert world.seconds_to_stale() is None


def test_value_that_is_published_stays_good(world: World) -> None:
    for _ in range(30):
        world.put(poll=1.0)
        assert world.sweep() == []
        world.step()


def test_comes_back_and_goes_again(world: World) -> None:
    world.put(poll=1.0)
    assert world.seconds_to_stale() is not None
    world.put(poll=1.0)
    assert world.quality() == "good"
    assert world.seconds_to_stale() is not None


@pytest.mark.parametrize("step_s", [-1e6, 1e6])
def test_a_step_of_the_wall_clock_ages_nothing(world: World, step_s: float) -> None:
    world.put(poll=10.0)
    world.sweep()
    world.wall += step_s
    assert world.seconds_to_stale(limit=25) is None
    assert world.seconds_to_stale(limit=10) is not None


def test_found_at_the_start_an_old_value_gets_one_more_poll() -> None:
    world = World()
    world.put(poll=10.0, polled=world.wall - 3600)
    assert world.seconds_to_stale() == 10


def test_found_at_the_start_a_fresh_value_gets_all_three() -> None:
    world = World()
    world.put(poll=10.0)
    assert world.seconds_to_stale() == 30


def test_found_at_the_start_with_a_clock_that_was_set_back() -> None:
    world = World()
    world.put(poll=10.0, polled=world.wall + 1e6)
    assert world.seconds_to_stale() == 30


@pytest.mark.parametrize(
    "fields",
    [{"quality": "fault", "value": None}, {"quality": "stale"}, {"poll": 0}, {"poll": -1}, {"poll": None},
     {"poll": True}, {"poll": "1"}, {"poll": float("nan")}, {"poll": float("inf")}],
)  # fmt: skip
@pytest.mark.parametrize("at_start", [True, False])
def test_left_alone(fields: dict[str, object], at_start: bool) -> None:
    world = World()
    if not at_start:
        world.sweep()
    world.put(**{"poll": 1.0, **fields})
    assert world.seconds_to_stale() is None


def test_only_devices_are_looked_at(world: World) -> None:
    world.put(b"/event/core/dawn", poll=1.0)
    assert world.seconds_to_stale(b"/event/core/dawn") is None


def test_deleted_keys_are_forgotten(world: World) -> None:
    for number in range(50):
        world.put(KEY + str(number).encode())
    world.sweep()
    world.values.clear()
    world.sweep()
    assert not world.sweeper._seen


def test_a_body_is_read_once_and_only_when_its_key_fell_silent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bytes] = []
    loads = json.loads
    monkeypatch.setattr("json.loads", lambda body: read.append(body) or loads(body))
    for _ in range(5):
        world.put(poll=100.0)
        world.sweep()
        world.step()
    assert not read
    for _ in range(5):
        world.sweep()
        world.step()
    assert len(read) == 1


@given(st.binary(max_size=60), st.booleans())
def test_any_body_is_survived(body: bytes, at_start: bool) -> None:
    world = World()
    if not at_start:
        world.sweep()
    world.put_raw(KEY, body)
    assert world.seconds_to_stale(limit=5) is None


@pytest.mark.parametrize("at_start", [True, False])
@pytest.mark.parametrize(
    "field", [b'"unit": "\\ud800"', b'"polled": 1' + b"0" * 400, b'"polled": -1e999', b'"polled": true',
              b'"polled": NaN', b'"value": ' + b"[" * 900 + b"]" * 900],
)  # fmt: skip
def test_a_field_that_json_allows_and_python_does_not_like(field: bytes, at_start: bool) -> None:
    """Any of these once ended the broker, and again at every start, since the map survives."""
    world = World()
    if not at_start:
        world.sweep()
    world.put_raw(KEY, b'{"quality": "good", "poll": 1, %b}' % field)
    assert world.seconds_to_stale() is not None
    assert world.quality() == "stale"


def test_a_body_nested_too_deeply_is_survived(world: World) -> None:
    world.put_raw(KEY, b"[" * 100_000)
    assert world.seconds_to_stale(limit=5) is None


def test_at_whatever_depth_reading_ends_writing_does_not_fail(world: World) -> None:
    for depth in range(700, 1000, 3):
        nested = b'"value": ' + b"[" * depth + b"]" * depth
        world.put_raw(KEY + str(depth).encode(), b'{"quality": "good", "poll": 1, %b}' % nested)
    for _ in range(6):
        world.sweep()
        world.step()
    assert world.quality(KEY + b"700") == "stale"
