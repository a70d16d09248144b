# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of an actuator: holds, minimum times, longest runs, interlocks; nothing gets round it."""

import math
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from raspy.common.device_server.guard import RETRY_S, Drive, Guard, State
from raspy.common.devices.light import LightDimmer
from raspy.common.devices.switch import SwitchRelay
from raspy.common.MDP import ClientError


class World:
    """One guard, a clock, and what it sees of the others."""

    def __init__(self, kind: type = SwitchRelay, **config: Any) -> None:
        self.now = 1000.0
        self.others: dict[str, State] = {}
        self.device = kind(name="heater", config=config)
        self.guard = Guard(self.device, self.look, self.now)

    def look(self, name: str, command: str) -> State:
        return self.others.get(name, State("missing"))

    def start(self) -> None:
        self.do(self.guard.safe_now("start", ""))
        self.now += 1e5

    def do(self, drive: Drive | None, works: bool = True) -> Drive | None:
        if drive is not None:
            if works:
                self.guard.done(drive, self.now)
            else:
                self.guard.failed(self.now, drive)
        return drive

    def command(self, value: Any, hold: float | None = None, works: bool = True) -> Drive | None:
        return self.do(self.guard.command(value, hold, self.now, "me", "because"), works)

    def due(self, after: float = 0.0) -> Drive | None:
        self.now += after
        return self.do(self.guard.due(self.now))


def world(kind: type = SwitchRelay, **config: Any) -> World:
    made = World(kind, **config)
    made.start()
    return made


# -- holds -----------------------------------------------------------------------------------------


def test_a_hold_that_is_not_renewed_ends_in_the_safe_state() -> None:
    it = world()
    drive = it.command(True, hold=5)
    assert drive is not None
    assert (drive.value, drive.event, drive.who, drive.why) == (True, "command", "me", "because")
    assert it.guard.next_s() == it.now + 5
    assert it.due(4.999) is None
    drive = it.due(0.001)
    assert drive is not None
    assert (drive.value, drive.event, drive.who) == (False, "hold", "")
    assert "5 s" in drive.why
    assert it.guard.value is False
    assert it.guard.next_s() == math.inf


def test_a_hold_is_renewed_without_a_write() -> None:
    it = world()
    it.command(True, hold=5)
    for _ in range(10):
        assert it.due(3) is None
        assert it.command(True, hold=5) is None
    assert it.guard.value is True
    assert it.due(5) is not None


def test_a_command_without_a_hold_ends_it() -> None:
    it = world()
    it.command(True, hold=5)
    it.command(True)
    assert it.due(1e6) is None
    assert it.guard.held_by == ""


def test_a_hold_of_the_safe_state_is_none() -> None:
    it = world()
    it.command(False, hold=5)
    assert it.guard.next_s() == math.inf


def test_without_a_safe_state_there_is_no_hold() -> None:
    it = world(safe=None)
    with pytest.raises(ClientError, match="no safe state"):
        it.guard.command(True, 5, it.now)
    assert it.guard.safe_now("stop", "") is None
    assert not it.guard.away


def test_safe_may_be_on() -> None:
    it = world(safe=True)
    assert it.guard.value is True
    it.command(False, hold=600)
    drive = it.due(600)
    assert drive is not None
    assert drive.value is True


def test_a_dimmer() -> None:
    it = world(LightDimmer, safe=20)
    it.command(80.0, hold=5)
    it.command(90.0, hold=5)
    assert it.due(5).value == 20.0  # type: ignore[union-attr]


# -- minimum times, longest run --------------------------------------------------------------------


def test_minimum_off_time_refuses_on() -> None:
    it = world(min_off_s=60)
    it.command(True)
    it.command(False)
    it.now += 20
    with pytest.raises(ClientError, match="off 20 s ago and stays so for at least 60 s: ask again in 40 s"):
        it.command(True)
    it.now += 40
    assert it.command(True) is not None


def test_minimum_on_time_delays_off_and_forgets_nothing() -> None:
    it = world(min_on_s=60)
    it.command(True, hold=1000)
    it.now += 10
    assert it.command(False) is None
    assert it.guard.later is not None
    assert it.guard.value is True
    assert it.due(49) is None
    drive = it.due(1)
    assert drive is not None
    assert (drive.value, drive.event, drive.who, drive.why) == (False, "later", "me", "because")


def test_a_later_command_takes_the_place_of_one_that_waits() -> None:
    it = world(min_on_s=60)
    it.command(True)
    it.command(False)
    it.command(True, hold=1000)
    assert it.guard.later is None
    assert it.due(500) is None


def test_a_device_that_is_safe_on_is_not_switched_off_before_its_time() -> None:
    it = world(safe=True, min_on_s=60)
    it.command(False)
    it.command(True)
    with pytest.raises(ClientError, match="switched on 0 s ago"):
        it.command(False)


def test_towards_safe_on_waits_for_the_minimum_off_time() -> None:
    it = world(safe=True, min_off_s=60)
    it.command(False)
    assert it.command(True) is None
    assert it.due(60).value is True  # type: ignore[union-attr]


def test_without_a_safe_state_off_waits_and_on_is_refused() -> None:
    it = world(safe=None, min_on_s=60, min_off_s=60)
    it.command(True)
    assert it.command(False) is None
    assert it.due(60).value is False  # type: ignore[union-attr]
    with pytest.raises(ClientError, match="switched off"):
        it.command(True)


def test_the_safe_state_waits_for_no_minimum_time() -> None:
    it = world(min_on_s=60)
    it.command(True, hold=5)
    assert it.due(5).value is False  # type: ignore[union-attr]


def test_longest_run() -> None:
    it = world(max_run_s=100)
    it.command(True, hold=1000)
    assert it.due(99) is None
    it.command(True, hold=1000)
    drive = it.due(1)
    assert drive is not None
    assert (drive.value, drive.event) == (False, "max_run")
    assert it.guard.tripped
    with pytest.raises(ClientError, match="longest run: command it off first"):
        it.command(True)
    it.command(False)
    assert it.command(True) is not None


def test_a_reset_ends_what_the_longest_run_began() -> None:
    it = world(max_run_s=100)
    it.command(True)
    it.due(100)
    it.guard.reset()
    assert it.command(True) is not None


def test_levels_do_not_count_as_switching() -> None:
    it = world(LightDimmer, max_run_s=100, min_on_s=10, min_off_s=10)
    it.command(50.0)
    it.now += 60
    assert it.command(80.0) is not None
    assert it.due(40).event == "max_run"  # type: ignore[union-attr]


# -- interlocks ------------------------------------------------------------------------------------

COLD = State("good", 22.0)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (State("missing"), "tank is missing"),
        (State("not read yet"), "tank is not read yet"),
        (State("stale"), "tank is stale"),
        (State("at fault (CRC error)"), r"tank is at fault \(CRC error\)"),
        (State("good", 28.1), "tank is 28.1, and must be between 10 and 28"),
        (State("good", 9.9), "tank is 9.9, and must be between 10 and 28"),
        (State("good", "x"), "tank is x, and must be"),
    ],
)
def test_only_while(state: State, words: str) -> None:
    it = world(interlocks=[{"only_while": "tank", "minimum": 10, "maximum": 28}])
    it.others["tank"] = COLD
    it.command(True, hold=1000)
    assert it.due() is None
    it.others["tank"] = state
    drive = it.due()
    assert drive is not None
    assert (drive.value, drive.event) == (False, "interlock")
    with pytest.raises(ClientError, match="heater must stay in its safe state: " + words):
        it.command(True)
    assert it.command(False) is None
    it.others["tank"] = COLD
    assert it.command(True) is not None


def test_only_while_another_is_on() -> None:
    it = world(interlocks=[{"only_while": "pump"}])
    it.others["pump"] = State("good", 50.0, drives=True, may_be_on=True)
    it.command(True)
    it.others["pump"] = State("good", 0.0, drives=True, may_be_on=False)
    assert it.due() is not None
    with pytest.raises(ClientError, match="pump is 0, and must be on"):
        it.command(True)


def test_never_with() -> None:
    it = world()
    it.guard.rivals = ("cooler",)
    it.others["cooler"] = State("good", True, drives=True, may_be_on=True)
    with pytest.raises(ClientError, match="never be on together with cooler"):
        it.command(True)
    it.others["cooler"] = State("in an unknown state", None, drives=True, may_be_on=True)
    with pytest.raises(ClientError, match="which is or may be on"):
        it.command(True)
    it.others["cooler"] = State("good", False, drives=True, may_be_on=False)
    assert it.command(True, hold=5) is not None
    it.others["cooler"] = State("in an unknown state", None, drives=True, may_be_on=True)
    assert it.command(True, hold=5) is None


# -- failures --------------------------------------------------------------------------------------


def test_after_a_command_that_failed_the_safe_state_is_tried_until_it_takes() -> None:
    it = world()
    it.command(True, hold=100, works=False)
    assert it.guard.value is None
    assert it.guard.may_be_on
    assert it.guard.state().quality == "in an unknown state"
    assert it.due() is None
    for _ in range(3):
        assert it.guard.next_s() == it.now + RETRY_S
        it.now += RETRY_S
        drive = it.do(it.guard.due(it.now), works=False)
        assert drive is not None
        assert (drive.value, drive.event) == (False, "retry")
    assert it.due(RETRY_S) is not None
    assert it.guard.value is False
    assert it.due(1e6) is None


def test_a_command_after_a_failure_is_tried() -> None:
    it = world()
    it.command(True, works=False)
    assert it.command(True, hold=5) is not None
    assert it.guard.value is True
    assert it.due(RETRY_S) is None


def test_what_comes_back_late_does_not_stay() -> None:
    """A write hangs, counts as failed, and takes effect after all."""
    it = world()
    drive = it.guard.command(True, 5, it.now)
    assert drive is not None
    it.guard.failed(it.now, drive)
    it.guard.done(drive, it.now)
    assert it.guard.value is True
    after = it.due(RETRY_S)
    assert after is not None
    assert after.value is False


def test_an_older_failure_says_nothing_of_a_newer_command() -> None:
    it = world()
    old = it.guard.command(True, 5, it.now)
    new = it.guard.safe_now("stop", "")
    assert old is not None
    assert new is not None
    assert not it.guard.wanted(old)
    it.guard.failed(it.now, old)
    assert it.guard.wanted(new)
    assert it.guard.current is False
    it.guard.done(new, it.now)
    assert not it.guard.away


def test_the_end_of_a_hold_while_the_write_is_under_way() -> None:
    it = world()
    slow = it.guard.command(True, 5, it.now)
    assert slow is not None
    it.now += 5
    safe = it.guard.due(it.now)
    assert safe is not None
    assert not it.guard.wanted(slow)
    assert it.guard.due(it.now) is None
    it.guard.done(slow, it.now)
    assert it.guard.may_be_on
    it.guard.done(safe, it.now)
    assert not it.guard.may_be_on


def test_what_is_being_written_may_be_on_though_it_is_not_wanted_any_more() -> None:
    it = world()
    on = it.guard.command(True, None, it.now)
    assert on is not None
    it.guard.begun(on)
    off = it.guard.command(False, None, it.now)
    assert off is not None
    assert it.guard.value is False
    assert it.guard.current is False
    assert it.guard.may_be_on
    it.guard.ended()
    it.guard.done(on, it.now)
    assert it.guard.may_be_on
    it.guard.begun(off)
    it.guard.ended()
    it.guard.done(off, it.now)
    assert not it.guard.may_be_on


def test_a_device_without_a_safe_state_may_be_switched_by_others() -> None:
    it = world(safe=None)
    it.guard.found(True, it.now)
    assert it.guard.value is True
    it.guard.found(False, it.now)
    assert it.guard.state().may_be_on is False
    it.guard.failed(it.now)
    assert it.guard.next_s() == math.inf


# -- whatever happens ------------------------------------------------------------------------------


class Whatever(RuleBasedStateMachine):
    """Two heaters that must never be on together, and only while the tank is between 10 and 28."""

    LIMIT = {"only_while": "tank", "minimum": 10, "maximum": 28}

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.tank = COLD
        self.guards: dict[str, Guard] = {}
        self.on_s: dict[str, float] = {}
        self.off_s: dict[str, float] = {}
        self.held_s: dict[str, float] = {}

    @initialize(
        min_on=st.sampled_from([0, 0, 3]),
        min_off=st.sampled_from([0, 0, 4]),
        max_run=st.sampled_from([0, 10]),
    )
    def make(self, min_on: float, min_off: float, max_run: float) -> None:
        self.limits = min_on, min_off, max_run
        for name, other in (("one", "two"), ("two", "one")):
            times = {"min_on_s": min_on, "min_off_s": min_off, "max_run_s": max_run}
            relay = SwitchRelay(name=name, config={**times, "interlocks": [self.LIMIT]})
            guard = self.guards[name] = Guard(relay, self.look, self.now)
            guard.rivals = (other,)
            self.off_s[name] = self.now
            self.carry_out(name, guard.safe_now("start", ""), True)

    def look(self, name: str, command: str) -> State:
        return self.tank if name == "tank" else self.guards[name].state()

    def carry_out(self, name: str, drive: Drive | None, works: bool) -> None:
        guard = self.guards[name]
        if drive is None:
            return
        if not works:
            guard.failed(self.now, drive)
            return
        was_on = guard.value is not False
        if drive.value and not was_on:
            assert self.now - self.off_s[name] >= self.limits[1], "went on before its minimum off time"
            self.on_s[name] = self.now
        if was_on and not drive.value:
            self.off_s[name] = self.now
            # What is not known to be on may be told off at once.
            if guard.value is True and drive.event in ("command", "later"):
                assert self.now - self.on_s.get(name, -1e9) >= self.limits[0], "went off before its time"
        guard.done(drive, self.now)

    def settle(self, works: bool = True) -> None:
        for name, guard in self.guards.items():
            self.carry_out(name, guard.due(self.now), works)

    @rule(
        name=st.sampled_from(["one", "two"]),
        value=st.booleans(),
        works=st.sampled_from([True, True, False]),
        hold=st.sampled_from([None, 1, 5]),
    )
    def command(self, name: str, value: bool, works: bool, hold: float | None) -> None:
        try:
            drive = self.guards[name].command(value, hold, self.now)
        except ClientError:
            return
        self.held_s[name] = self.now + hold if hold and value else math.inf
        self.carry_out(name, drive, works)

    @rule(seconds=st.sampled_from([0.5, 1, 2, 7, 11]), works=st.sampled_from([True, True, False]))
    def wait(self, seconds: float, works: bool) -> None:
        end = self.now + seconds
        while self.now < end:
            coming = [guard.next_s() for guard in self.guards.values()]
            self.now = min([end, *(next_s for next_s in coming if next_s > self.now)])
            self.settle(works)

    @rule(tank=st.sampled_from([COLD, COLD, State("good", 30.0), State("stale"), State("at fault (x)")]))
    def sensor(self, tank: State) -> None:
        self.tank = tank
        self.settle()

    @rule(name=st.sampled_from(["one", "two"]))
    def found_in_another_state(self, name: str) -> None:
        self.guards[name].failed(self.now)

    @invariant()
    def what_is_on_may_be_on(self) -> None:
        for name, guard in self.guards.items():
            if guard.value is not True:
                continue
            assert self.tank.quality == "good"
            assert self.tank.value <= 28
            assert self.now < self.held_s[name], "a hold that was not renewed did not end"
            if self.limits[2]:
                assert self.now - guard.since_s < self.limits[2], "on for longer than its longest run"

    @invariant()
    def never_both(self) -> None:
        assert sum(guard.value is True for guard in self.guards.values()) < 2

    @invariant()
    def what_is_unknown_will_be_tried(self) -> None:
        for guard in self.guards.values():
            if guard.value is None:
                assert guard.next_s() <= self.now + RETRY_S


TestWhatever = Whatever.TestCase
TestWhatever.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
