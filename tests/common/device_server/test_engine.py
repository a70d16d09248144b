# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine: polls in due time whatever others do, and what it drives ends up safe."""

import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from raspy.common.device_server.engine import Engine
from raspy.common.devices.device import Command
from raspy.common.devices.fault import DeviceFault
from raspy.common.MDP import ClientError, NotFoundError, ServerError
from tests.conftest import wait_for

from .rig import TV, Dimmer, FastRelay, FastThermometer, Relay, Rig, Thermometer

COLD = {"only_while": "tank", "minimum": 10, "maximum": 28}


def commands(rig: Rig, entry: Any, value: Any, **how: Any) -> threading.Thread:
    """Send a command in a thread of its own, as a handler that may have to wait."""

    def send() -> None:
        try:
            rig.engine.command(entry, value, **how)
        except ServerError:
            pass

    thread = threading.Thread(target=send)
    thread.start()
    return thread


# -- polling -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Thermometer, FastThermometer])
def test_polls_and_publishes(rig: Rig, kind: type[Thermometer]) -> None:
    device = kind(name="tank", poll=0.1, config={"unit": "°F"})
    rig.add(device)
    wait_for(lambda: device.reads >= 5, what="five polls")
    body = rig.last("tank/temperature")
    assert set(body) == {"value", "unit", "quality", "time", "polled", "poll"}
    assert (body["value"], body["unit"], body["quality"], body["poll"]) == (77.0, "°F", "good", 0.1)
    assert device.opens == 1
    assert rig.engine.outcome.polls >= 5


def test_polls_are_as_far_apart_as_they_should_be(rig: Rig) -> None:
    for number in range(20):
        rig.add(FastThermometer(name=f"t{number}", poll=0.2))
    wait_for(lambda: len(rig.bodies("t19/temperature")) >= 6, what="six polls")
    polled = [body["polled"] for body in rig.bodies("t19/temperature")][1:]
    assert polled == sorted(polled)
    # In ten intervals there can't be twenty polls, nor two, on any machine; how exact they are is measured
    # by the benchmark.
    assert 0.1 < (polled[-1] - polled[0]) / (len(polled) - 1) < 1.0


@pytest.mark.parametrize("poll", [0, -1])
def test_what_is_not_to_be_polled_is_not(rig: Rig, poll: float) -> None:
    quiet = Thermometer(name="quiet", poll=poll)
    other = Thermometer(name="other", poll=0.1)
    entry = rig.add(quiet)
    rig.add(other)
    wait_for(lambda: other.reads >= 3, what="the other's polls")
    assert quiet.reads == 0
    rig.engine.poll(entry)
    assert rig.last("quiet/temperature")["value"] == 25.0


def test_a_device_that_hangs_delays_nobody(rig: Rig) -> None:
    bad = Thermometer(name="bad", poll=0.1)
    good = Thermometer(name="good", poll=0.1)
    bad.on_read.block()
    rig.add(bad)
    rig.add(good)
    rig.wait_for("bad/temperature", quality="fault", error="did not answer within 0.3 s", value=None)
    before = good.reads
    wait_for(lambda: good.reads >= before + 5, what="five more polls of the good one")
    assert bad.reads == 1
    beats = rig.beats
    wait_for(lambda: rig.beats > beats, what="the engine to turn, or the watchdog would starve")
    bad.on_read.blocks.set()
    rig.wait_for("bad/temperature", quality="good", value=25.0)


def test_many_that_hang_delay_nobody(rig: Rig) -> None:
    hanging = [Thermometer(name=f"bad{number}", poll=0.1) for number in range(40)]
    for device in hanging:
        device.on_read.block()
        rig.add(device)
    good = Thermometer(name="good", poll=0.1)
    rig.add(good)
    wait_for(lambda: rig.last("bad39/temperature")["quality"] == "fault", what="all to be at fault")
    before = good.reads
    wait_for(lambda: good.reads >= before + 3, what="the good one to be polled")


def test_what_takes_more_than_three_polls_is_stale_before_it_is_at_fault(rig: Rig) -> None:
    device = Thermometer(name="slow", poll=0.1)
    device.timeout_s = 2.0
    rig.add(device)
    rig.wait_for("slow/temperature", quality="good")
    device.on_read.block()
    body = rig.wait_for("slow/temperature", quality="stale", value=25.0)
    assert body["polled"] >= body["time"]
    device.on_read.blocks.set()
    rig.wait_for("slow/temperature", quality="good")


@pytest.mark.parametrize(
    ("raises", "words"),
    [
        (DeviceFault("CRC error"), "CRC error"),
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (OSError("odd"), "odd"),
        (ZeroDivisionError("x"), "its driver failed (ZeroDivisionError), see the journal"),
    ],
)
def test_what_a_driver_raises_is_a_fault(
    rig: Rig, raises: Exception, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    device = Thermometer(name="tank", poll=0.1)
    rig.add(device)
    rig.wait_for("tank/temperature", quality="good")
    device.on_read.raises = raises
    first = rig.wait_for("tank/temperature", quality="fault", value=None, error=words)
    wait_for(lambda: rig.last("tank/temperature")["polled"] > first["polled"], what="another poll")
    assert rig.last("tank/temperature")["time"] == first["time"]
    device.on_read.raises = None
    rig.wait_for("tank/temperature", quality="good")
    lines = [record for record in caplog.records if "tank" in record.getMessage()]
    assert lines
    assert all(record.RASPY_DEVICE == "tank" for record in lines)
    assert any(record.exc_info for record in lines) is isinstance(raises, ZeroDivisionError)


def test_a_flapping_fault_is_logged_once_a_minute(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    device = Thermometer(name="tank", poll=0.1)
    rig.add(device)
    for _ in range(3):
        device.on_read.raises = DeviceFault("CRC error")
        rig.wait_for("tank/temperature", quality="fault")
        device.on_read.raises = None
        rig.wait_for("tank/temperature", quality="good")
    assert [record.getMessage() for record in caplog.records if "tank" in record.getMessage()] == [
        "tank: CRC error"
    ]


def test_open_is_tried_again(rig: Rig) -> None:
    device = Thermometer(name="tank", poll=0.1)
    device.on_open.raises = FileNotFoundError(2, "No such file or directory")
    rig.add(device)
    rig.wait_for("tank/temperature", quality="fault", error="No such file or directory")
    assert device.reads == 0
    device.on_open.raises = None
    rig.wait_for("tank/temperature", quality="good")
    assert device.opens >= 2


def test_an_interval_can_be_changed(rig: Rig) -> None:
    device = Thermometer(name="tank", poll=100)
    entry = rig.add(device)
    rig.wait_for("tank/temperature", quality="good", poll=100.0)
    device.poll = 0.1
    rig.engine.retime(entry)
    wait_for(lambda: device.reads >= 4, what="polls at the new interval")
    device.poll = 0.0
    rig.engine.retime(entry)


def test_a_fast_device_that_becomes_slow_goes_to_a_thread(rig: Rig) -> None:
    class Moody(Thermometer):
        fast = True

        def write(self, command: str, value: Any) -> None:
            pass

    device = Moody(name="moody", poll=0.1)
    entry = rig.add(device)
    rig.wait_for("moody/temperature", quality="good")
    assert device.on_read.threads <= {"rig-engine", threading.current_thread().name}

    def change() -> None:
        device.fast = False
        device.on_read.block()

    rig.engine.call(entry, change)
    rig.wait_for("moody/temperature", quality="fault")
    device.on_read.blocks.set()
    rig.wait_for("moody/temperature", quality="good")
    assert any(name.startswith("rig-1") for name in device.on_read.threads)


def test_a_part_of_the_values_at_fault(rig: Rig) -> None:
    tv = TV(name="tv", poll=0.1)
    tv.readable = True
    tv.pin = {"power": True, "volume.level": 10, "channel.number": DeviceFault("no tuner")}
    rig.add(tv)
    rig.wait_for("tv/power", value=True, quality="good")
    rig.wait_for("tv.volume/level", value=10, unit="%")
    rig.wait_for("tv.channel/number", quality="fault", error="no tuner")


# -- driving -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Relay, FastRelay])
def test_safe_at_the_start_driven_held_and_safe_again(
    rig: Rig, kind: type[Relay], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    device = kind(name="heater")
    entry = rig.add(device)
    rig.wait_for("heater/state", value=False, quality="good")
    rig.engine.command(entry, True, hold_s=0.5, who="thermostat-1", why="too cold")
    assert device.pin is True
    assert rig.last("heater/state")["value"] is True
    begun = rig.last("heater/state")["time"]
    body = rig.wait_for("heater/state", value=False)
    assert 0.4 < body["time"] - begun < 3.0
    assert device.writes == [False, True, False]
    lines = [record for record in caplog.records if getattr(record, "RASPY_DEVICE", "") == "heater"]
    assert [line.getMessage() for line in lines] == [
        "heater: off, was unknown (the server takes charge of it)",
        "heater: on, was off (asked by thermostat-1; too cold; held for 0.5 s)",
        "heater: off, was on (the hold of 0.5 s was not renewed)",
    ]
    assert [line.RASPY_REQUEST for line in lines] == ["", "thermostat-1", ""]
    assert len({line.MESSAGE_ID for line in lines}) == 2
    assert rig.engine.lapses == 1


def test_a_hold_that_is_renewed_goes_on(rig: Rig) -> None:
    device = Relay(name="heater")
    entry = rig.add(device)
    rig.wait_for("heater/state", value=False)
    for _ in range(8):
        rig.engine.command(entry, True, hold_s=0.6)
        beats = rig.beats
        wait_for(lambda beats=beats: rig.beats > beats, what="a turn")
    assert device.writes == [False, True]
    rig.wait_for("heater/state", value=False)


def test_what_is_refused_changes_nothing(rig: Rig) -> None:
    device = Relay(name="heater", config={"interlocks": [COLD]})
    entry = rig.add(device)
    rig.wait_for("heater/state", value=False)
    with pytest.raises(ClientError, match="tank is missing"):
        rig.engine.command(entry, True)
    assert device.writes == [False]


@pytest.mark.parametrize("kind", [Thermometer, FastThermometer])
@pytest.mark.parametrize("raises", [DeviceFault("CRC error"), None])
def test_a_sensor_that_fails_takes_its_heater_with_it(
    rig: Rig, kind: type[Thermometer], raises: Exception | None
) -> None:
    sensor = kind(name="tank", poll=0.1)
    heater = Relay(name="heater", config={"interlocks": [COLD]})
    rig.add(sensor)
    entry = rig.add(heater)
    rig.wait_for("tank/temperature", quality="good")
    rig.engine.command(entry, True)
    if raises is None:
        sensor.raw = 29.0
    sensor.on_read.raises = raises
    rig.wait_for("heater/state", value=False)
    assert heater.pin is False


def test_a_sensor_that_hangs_takes_its_heater_with_it_when_it_is_stale(rig: Rig) -> None:
    sensor = Thermometer(name="tank", poll=0.1)
    sensor.timeout_s = 10.0
    heater = Relay(name="heater", config={"interlocks": [COLD]})
    rig.add(sensor)
    entry = rig.add(heater)
    rig.wait_for("tank/temperature", quality="good")
    rig.engine.command(entry, True)
    sensor.on_read.block()
    rig.wait_for("heater/state", value=False)
    assert rig.last("tank/temperature")["quality"] == "stale"
    with pytest.raises(ClientError, match="tank is stale"):
        rig.engine.command(entry, True)
    sensor.on_read.blocks.set()


def test_a_pump_that_stops_takes_its_heater_with_it(rig: Rig) -> None:
    pump, heater = Relay(name="pump"), Relay(name="heater", config={"interlocks": [{"only_while": "pump"}]})
    on = rig.add(pump)
    entry = rig.add(heater)
    rig.wait_for("heater/state", value=False)
    with pytest.raises(ClientError, match="pump is off, and must be on"):
        rig.engine.command(entry, True)
    rig.engine.command(on, True, hold_s=0.5)
    rig.engine.command(entry, True)
    rig.wait_for("heater/state", value=True)
    rig.wait_for("pump/state", value=False)
    rig.wait_for("heater/state", value=False)


def test_never_both(rig: Rig) -> None:
    heater = Relay(name="heater", config={"interlocks": [{"never_with": "cooler"}]})
    one, two = rig.add(heater), rig.add(Relay(name="cooler"))
    rig.wait_for("cooler/state", value=False)
    rig.engine.command(one, True)
    with pytest.raises(ClientError, match="never be on together with heater"):
        rig.engine.command(two, True)
    rig.engine.command(one, False)
    rig.engine.command(two, True)
    with pytest.raises(ClientError, match="never be on together with cooler"):
        rig.engine.command(one, True)


def test_never_both_not_even_while_one_is_still_being_switched_on(rig: Rig) -> None:
    slow = Relay(name="heater", config={"interlocks": [{"never_with": "cooler"}]})
    slow.timeout_s = 5.0
    one, two = rig.add(slow), rig.add(Relay(name="cooler"))
    rig.wait_for("heater/state", value=False)
    rig.wait_for("cooler/state", value=False)
    slow.on_write.block()
    on = commands(rig, one, True)
    assert slow.on_write.entered.wait(30)
    off = commands(rig, one, False)
    wait_for(lambda: one.guard.current is False, what="off to be wanted")  # type: ignore[union-attr]
    with pytest.raises(ClientError, match="never be on together with heater"):
        rig.engine.command(two, True)
    slow.on_write.blocks.set()
    on.join(30)
    off.join(30)
    rig.engine.command(two, True)


def test_a_device_that_does_not_take_a_command(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    device = Relay(name="heater")
    entry = rig.add(device)
    rig.wait_for("heater/state", value=False)
    device.on_write.raises = DeviceFault("no acknowledgement")
    with pytest.raises(DeviceFault, match="heater: no acknowledgement"):
        rig.engine.command(entry, True, hold_s=50)
    assert rig.last("heater/state")["quality"] == "fault"
    wait_for(lambda: len(device.on_write.threads) and rig.engine.table.entries)
    device.on_write.raises = None
    rig.wait_for("heater/state", value=False, quality="good")
    assert device.pin is False
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert errors == ["heater: could not be switched on: no acknowledgement"]


def test_a_write_that_hangs_and_takes_effect_after_all_is_undone(rig: Rig) -> None:
    device, other = Relay(name="heater"), Relay(name="lamp")
    entry, lamp = rig.add(device), rig.add(other)
    rig.wait_for("heater/state", value=False)
    device.on_write.block()
    with pytest.raises(DeviceFault, match=r"heater: did not answer within 0\.3 s"):
        rig.engine.command(entry, True, hold_s=50)
    rig.engine.command(lamp, True)
    with pytest.raises(DeviceFault, match="still does not answer"):
        rig.engine.command(entry, True, hold_s=50)
    with pytest.raises(DeviceFault, match="told as soon as it does"):
        rig.engine.command(entry, False)
    with pytest.raises(DeviceFault, match="still does not answer"):
        rig.engine.poll(entry)
    device.on_write.blocks.set()
    rig.wait_for("heater/state", value=False, quality="good")
    wait_for(lambda: device.writes[-2:] == [True, False], what="on to be undone")
    assert device.pin is False


def test_a_hold_that_ends_while_its_write_is_under_way(rig: Rig) -> None:
    device = Relay(name="heater")
    device.timeout_s = 5.0
    entry = rig.add(device)
    rig.wait_for("heater/state", value=False)
    device.on_write.block()
    thread = commands(rig, entry, True, hold_s=0.2)
    assert device.on_write.entered.wait(30)
    assert entry.guard is not None
    wait_for(lambda: entry.guard.current is False, what="the hold to end")
    device.on_write.blocks.set()
    thread.join(30)
    wait_for(lambda: device.writes == [False, True, False], what="the safe state after it")


def test_a_newer_command_overtakes_one_that_waits(rig: Rig) -> None:
    device = Relay(name="heater")
    device.timeout_s = 5.0
    entry = rig.add(device)
    rig.wait_for("heater/state", value=False)
    device.on_write.block()
    first = commands(rig, entry, True)
    assert device.on_write.entered.wait(30)
    second = commands(rig, entry, False)
    wait_for(lambda: len(entry.queue) == 1, what="the second to wait")
    third = commands(rig, entry, True)
    wait_for(lambda: len(entry.queue) == 2, what="the third to wait")
    device.on_write.blocks.set()
    for thread in (first, second, third):
        thread.join(30)
    assert device.writes == [False, True, True]
    assert device.pin is True


def test_a_relay_that_is_found_in_another_state(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    device = Relay(name="heater", poll=0.1)
    device.readable = True
    entry = rig.add(device)
    rig.wait_for("heater/state", value=False)
    rig.engine.command(entry, True)
    device.pin = False
    rig.wait_for("heater/state", quality="fault", error="is off, and was switched on")
    rig.wait_for("heater/state", quality="good", value=False)
    device.pin = True
    rig.wait_for("heater/state", quality="fault", error="is on, and was switched off")
    rig.wait_for("heater/state", quality="good", value=False)
    assert device.pin is False


def test_after_a_failure_a_poll_alone_does_not_make_it_well(rig: Rig) -> None:
    device = Relay(name="heater", poll=0.1)
    entry = rig.add(device)
    rig.wait_for("heater/state", value=False)
    device.on_write.raises = DeviceFault("dead")
    with pytest.raises(DeviceFault):
        rig.engine.command(entry, True)
    polls = rig.engine.outcome.polls
    wait_for(lambda: rig.engine.outcome.polls > polls + 2, what="polls")
    assert rig.last("heater/state")["quality"] == "fault"


def test_an_actuator_that_can_not_be_read_any_more_goes_to_its_safe_state(rig: Rig) -> None:
    class Board(Relay):
        def read(self) -> Any:
            if self.readable:
                raise DeviceFault("the board does not answer")
            return super().read()

    device = Board(name="heater", poll=0.1)
    entry = rig.add(device)
    rig.wait_for("heater/state", value=False)
    rig.engine.command(entry, True)
    device.readable = True
    rig.wait_for("heater/state", quality="fault", error="the board does not answer")
    wait_for(lambda: device.pin is False, what="the safe state")
    device.readable = False
    rig.wait_for("heater/state", quality="good", value=False)


def test_a_device_that_takes_very_long(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raspy.common.device_server.engine.WAIT_MAX_S", 0.2)
    device = Thermometer(name="tank", poll=0)
    device.timeout_s = 60.0
    entry = rig.add(device)
    device.on_read.block()
    with pytest.raises(DeviceFault, match=r"tank: has not answered within 0\.2 s"):
        rig.engine.poll(entry)
    device.on_read.blocks.set()
    rig.wait_for("tank/temperature", quality="good")


def test_without_a_safe_state_others_may_switch_it(rig: Rig) -> None:
    tv = TV(name="tv", poll=0.1)
    entry = rig.add(tv)
    rig.wait_for("tv/power", quality="fault", error="its state is not known: it was not commanded yet")
    assert tv.writes == []
    rig.engine.command(entry, True)
    rig.wait_for("tv/power", quality="good", value=True)
    tv.readable, tv.pin = True, False
    rig.wait_for("tv/power", quality="good", value=False)
    assert entry.guard is not None
    assert entry.guard.value is False


def test_the_longest_run_and_what_waits_for_a_minimum_time(rig: Rig) -> None:
    runs = rig.add(Dimmer(name="runs", config={"max_run_s": 0.4}))
    waits = rig.add(Dimmer(name="waits", config={"min_on_s": 0.4}))
    rig.wait_for("waits/level", value=0.0)
    rig.engine.command(runs, 50.0)
    rig.engine.command(waits, 50.0)
    rig.engine.command(waits, 0.0)
    assert rig.last("waits/level")["value"] == 50.0
    rig.wait_for("runs/level", value=0.0)
    rig.wait_for("waits/level", value=0.0)


def test_other_commands(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    tv = TV(name="tv", poll=0.1)
    entry = rig.add(tv)
    rig.engine.command(entry, True)
    assert rig.engine.call(entry, lambda: tv.exec_cmd("media.tv-volume", "level", 30)) == 30
    rig.engine.sent(entry, "volume.level", 30, "me", "louder")
    first = rig.wait_for("tv.volume/level", value=30, quality="good")
    wait_for(lambda: rig.last("tv.volume/level")["polled"] > first["polled"], what="it to be published again")
    assert rig.last("tv.volume/level")["time"] == first["time"]
    assert "tv: volume.level 30 (asked by me; louder)" in caplog.text
    entry.guard.tripped = True  # type: ignore[union-attr]
    rig.engine.sent(entry, "reset", None, "", "")
    assert entry.guard.tripped is False  # type: ignore[union-attr]


def test_what_a_call_raises_comes_back(rig: Rig) -> None:
    entry = rig.add(Thermometer(name="tank"))

    def wrong() -> None:
        raise ClientError("not like this")

    with pytest.raises(ClientError, match="not like this"):
        rig.engine.call(entry, wrong)
    with pytest.raises(DeviceFault, match="tank: its driver failed"):
        rig.engine.call(entry, lambda: [][1])


def test_a_device_is_not_flooded(rig: Rig) -> None:
    device = Thermometer(name="tank", poll=0)
    device.timeout_s = 10.0
    entry = rig.add(device)
    device.on_read.block()
    alive: list[int] = []

    def reads() -> None:
        try:
            rig.engine.poll(entry, alive=lambda: alive.append(1))
        except ServerError:
            pass

    threads = [threading.Thread(target=reads) for _ in range(9)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(entry.queue) >= 8, what="a full queue")
    with pytest.raises(ServerError, match="tank is busy"):
        rig.engine.poll(entry)
    wait_for(lambda: len(alive) >= 9, what="those who wait to say that they are alive")
    device.on_read.blocks.set()
    for thread in threads:
        thread.join(10)


# -- the end -----------------------------------------------------------------------------------------


def test_removing_a_device(rig: Rig) -> None:
    device, sensor = Relay(name="heater"), Thermometer(name="tank", poll=0.1)
    entry, other = rig.add(device), rig.add(sensor)
    rig.wait_for("tank/temperature", quality="good")
    rig.engine.command(entry, True)
    rig.engine.remove(entry)
    rig.engine.remove(other)
    assert device.pin is False
    assert sensor.closed
    deleted = {key for key, body in rig.published if not body}
    assert deleted == {"pi/rig/heater/state", "pi/rig/tank/temperature"}
    with pytest.raises(NotFoundError, match="was removed"):
        rig.engine.poll(other)
    with pytest.raises(NotFoundError, match="there is no device 'heater'"):
        rig.engine.table.find("heater")
    reads = sensor.reads
    again = rig.add(Thermometer(name="tank", poll=0.1))
    wait_for(lambda: again.values, what="the new one")
    assert sensor.reads == reads


@pytest.fixture
def short_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Safe states get less time than they would."""
    monkeypatch.setattr("raspy.common.device_server.engine.STOP_S", 0.3)
    monkeypatch.setattr("raspy.common.device_server.engine._JOIN_S", 0.1)


@pytest.mark.usefixtures("short_stop")
def test_removing_a_device_that_hangs(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    device = Relay(name="heater", poll=0.1)
    entry = rig.add(device)
    rig.wait_for("heater/state", value=False)
    device.on_write.block()
    with pytest.raises(DeviceFault):
        rig.engine.command(entry, True)
    rig.engine.remove(entry)
    assert "heater: its safe state could not be set: it does not answer" in caplog.text
    published = len(rig.published)
    device.on_write.blocks.set()
    wait_for(lambda: device.pin is False, what="the safe state, all the same")
    assert len(rig.published) == published


def test_removed_and_added_again_minimum_times_go_on(rig: Rig) -> None:
    entry = rig.add(Relay(name="heater", config={"min_off_s": 1000}))
    rig.wait_for("heater/state", value=False)
    entry.guard.since_s -= 400  # type: ignore[union-attr]
    rig.engine.remove(entry)
    entry = rig.add(Relay(name="heater", config={"min_off_s": 500}))
    rig.wait_for("heater/state", value=False)
    with pytest.raises(ClientError, match=r"off 4[0-9]{2} s ago and stays so for at least 500 s"):
        rig.engine.command(entry, True)


def test_stopping_puts_everything_in_its_safe_state(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    heater, pump = Relay(name="heater"), FastRelay(name="pump", config={"safe": True})
    sensor, tv = Thermometer(name="tank", poll=0.1), TV(name="tv")
    entries = [rig.add(device) for device in (heater, pump, sensor, tv)]
    rig.wait_for("tank/temperature", quality="good")
    rig.engine.command(entries[0], True, hold_s=1000)
    rig.engine.command(entries[1], False, hold_s=1000)
    rig.engine.command(entries[3], True)
    rig.stop()
    assert (heater.pin, pump.pin, tv.pin) == (False, True, True)
    assert sensor.closed
    assert rig.last("tank/temperature")["quality"] == "stale"
    assert rig.last("heater/state") == {**rig.last("heater/state"), "quality": "stale", "value": False}
    assert "heater: off, was on (the server stops)" in caplog.text
    with pytest.raises(ServerError, match="the server is stopping"):
        rig.engine.command(entries[0], True)
    assert heater.pin is False


@pytest.mark.usefixtures("short_stop")
def test_stopping_does_not_wait_for_ever(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    hanging, well = Relay(name="hanging"), Relay(name="well")
    entry, other = rig.add(hanging), rig.add(well)
    rig.wait_for("hanging/state", value=False)
    rig.engine.command(other, True)
    hanging.on_write.block()
    with pytest.raises(DeviceFault):
        rig.engine.command(entry, True)
    rig.stop()
    assert well.pin is False
    assert "hanging: its safe state could not be set" in caplog.text
    hanging.on_write.blocks.set()


def test_a_device_that_can_not_be_closed(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    class Odd(Thermometer):
        def close(self) -> None:
            raise OSError("no")

    rig.add(Odd(name="odd", poll=0.1))
    rig.wait_for("odd/temperature", quality="good")
    rig.stop()
    assert "odd: could not be closed: no" in caplog.text


def test_an_engine_that_breaks_puts_everything_in_its_safe_state(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    heater = Relay(name="heater")
    entry = rig.add(heater)
    rig.wait_for("heater/state", value=False)
    rig.engine.command(entry, True)

    def broken(self: Engine) -> float:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Engine, "turn", broken)
    wait_for(lambda: rig.crashed is not None, what="the engine to end")
    assert heater.pin is False


# -- over a restart ----------------------------------------------------------------------------------


def restart(old: Rig, folder: Path, boot: str = "boot") -> Rig:
    """What follows a SIGKILL: the old one is gone without a word, and a new one starts."""
    old.engine._closing = True
    return Rig(folder, boot).start()


@pytest.mark.parametrize(("boot", "words"), [("boot", "off [45][0-9]{2} s ago"), ("another", "off 0 s ago")])
def test_minimum_times_go_on_over_a_restart_but_not_over_a_boot(
    rig: Rig, tmp_path: Path, boot: str, words: str
) -> None:
    entry = rig.add(Relay(name="compressor", config={"min_off_s": 1000}))
    rig.wait_for("compressor/state", value=False)
    entry.guard.since_s -= 400  # type: ignore[union-attr]
    wait_for(lambda: (tmp_path / "actuators.json").exists(), what="the ledger")
    rig.engine._ledger.save(rig.engine.table.guards())
    new = restart(rig, tmp_path, boot)
    try:
        entry = new.add(Relay(name="compressor", config={"min_off_s": 1000}))
        new.wait_for("compressor/state", value=False)
        with pytest.raises(ClientError, match=words):
            new.engine.command(entry, True)
    finally:
        new.close()


def test_a_device_that_was_on_rests_from_the_restart_on(rig: Rig, tmp_path: Path) -> None:
    entry = rig.add(Relay(name="compressor", config={"min_off_s": 1000}))
    rig.wait_for("compressor/state", value=False)
    entry.guard.since_s -= 2000  # type: ignore[union-attr]
    rig.engine.command(entry, True, hold_s=5)
    new = restart(rig, tmp_path)
    try:
        device = Relay(name="compressor", config={"min_off_s": 1000})
        entry = new.add(device)
        new.wait_for("compressor/state", value=False)
        assert device.pin is False
        with pytest.raises(ClientError, match="off 0 s ago"):
            new.engine.command(entry, True)
    finally:
        new.close()


def test_a_longest_run_is_remembered_over_a_restart(rig: Rig, tmp_path: Path) -> None:
    entry = rig.add(Relay(name="refill", config={"max_run_s": 0.2}))
    rig.wait_for("refill/state", value=False)
    rig.engine.command(entry, True)
    rig.wait_for("refill/state", value=False)
    rig.engine._ledger.save(rig.engine.table.guards())
    new = restart(rig, tmp_path)
    try:
        entry = new.add(Relay(name="refill", config={"max_run_s": 0.2}))
        with pytest.raises(ClientError, match="longest run"):
            new.engine.command(entry, True)
    finally:
        new.close()


def test_a_command_with_a_callback_is_not_polled() -> None:
    class Called(Thermometer):
        commands = {"double": Command(type="Int", callback=lambda device, value: 2 * value)}

    assert Called(name="x").exec_cmd("sensor.temperature", "double", 2) == 4
