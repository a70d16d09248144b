# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever dies, the heater is off in time."""

import json
import signal
import threading
import time

from raspy.common.kvcliapi import KvSubscriberClient
from raspy.common.mdcliapi import MajorDomoClient
from tests.conftest import wait_for

from .house import HOLD_S, POLL_S, House, Note

GRACE_S = 1.0
HOLD = f"the hold ({HOLD_S:g} s) ends"


def test_the_controller_is_killed_or_hangs(house: House, note: Note) -> None:
    killed, hanging = "heater one", "heater two"
    for heater in (killed, hanging):
        house.furnish(f"tank of {heater}", heater)
    one, two = house.control(killed), house.control(hanging)
    since = time.monotonic()
    one.kill()
    two.signal(signal.SIGSTOP)
    first = house.seconds_to_off(since, HOLD_S + GRACE_S, killed)
    second = house.seconds_to_off(since, HOLD_S + GRACE_S, hanging)
    two.kill()
    note("the controller (a scenario) is killed", HOLD, HOLD_S + GRACE_S, first)
    note("the controller (a scenario) hangs", HOLD, HOLD_S + GRACE_S, second)


def test_the_broker_is_killed(house: House, note: Note) -> None:
    house.furnish()
    controller = house.control()
    since = time.monotonic()
    house.broker.kill()
    took = house.seconds_to_off(since, HOLD_S + GRACE_S)
    controller.kill()
    note("the broker is killed", HOLD, HOLD_S + GRACE_S, took)
    # Without a broker the server can still be asked what it did.
    direct = MajorDomoClient(f"{house.url}/fake.sock")
    try:
        (body,) = direct.call("pi.fake.devices", "exec", "heater", "state")
        assert json.loads(body)["value"] is False
    finally:
        direct.destroy()


def test_the_broker_comes_back_before_the_hold_ends(house: House) -> None:
    hold_s = 3.0
    house.furnish()
    controller = house.control(hold_s=hold_s)
    house.broker.kill()
    house.broker = house.start("broker")
    end = time.monotonic() + hold_s + GRACE_S
    while time.monotonic() < end:
        assert house.is_on(), "a broker that was restarted must not cost the heater"
        time.sleep(0.05)
    controller.kill()


def test_the_device_server_is_killed_and_restarted(house: House, note: Note) -> None:
    house.furnish()
    house.control().kill()
    since = time.monotonic()
    house.fake.kill()
    assert house.is_on(), "the line keeps its level when its owner dies"
    house.fake = house.start("fake")
    took = house.seconds_to_off(since, HOLD_S + GRACE_S)
    note("the device server is killed, and restarted", "safe at its start", HOLD_S + GRACE_S, took)


def test_the_device_server_hangs(house: House, note: Note) -> None:
    """As systemd does: without WATCHDOG=1 for WatchdogSec= it kills the server and starts it again."""
    watchdog_s = 2.0
    house.fake.stop()
    house.fake = house.start("fake", WATCHDOG_USEC=str(int(watchdog_s * 1e6)))
    house.wait_served()
    house.furnish()
    controller = house.control()
    notify = house.fake.notify
    assert notify is not None

    def fed() -> int:
        notify.receive(0.05)
        return notify.lines.count("WATCHDOG=1")

    count = fed()
    wait_for(lambda: fed() > count, what="the watchdog to be fed")
    since = last = time.monotonic()
    count = fed()
    house.fake.signal(signal.SIGSTOP)
    controller.kill()
    while time.monotonic() - last < watchdog_s:
        now = fed()
        if now > count:
            last, count = time.monotonic(), now
    house.fake.kill()
    house.fake = house.start("fake")
    took = house.seconds_to_off(since, watchdog_s + HOLD_S)
    limit = watchdog_s + 3.0
    note("the device server hangs", f"the watchdog ({watchdog_s:g} s here) restarts it", limit, took)


def test_the_device_server_is_stopped(house: House, note: Note) -> None:
    house.furnish()
    controller = house.control()
    since = time.monotonic()
    house.fake.signal(signal.SIGTERM)
    took = house.seconds_to_off(since, GRACE_S)
    assert house.fake.wait() == 0
    controller.kill()
    note("the device server is stopped", "safe at its end", GRACE_S, took)


def test_titanic_and_the_controller_are_killed(house: House, note: Note) -> None:
    hold_s = 2.0
    house.furnish()
    controller = house.control(hold_s=hold_s)
    house.titanic.kill()
    assert house.is_on()
    since = time.monotonic()
    controller.kill()
    took = house.seconds_to_off(since, hold_s + GRACE_S)
    note("titanic and the controller are killed", f"the hold ({hold_s:g} s) ends", hold_s + GRACE_S, took)


def test_values_of_a_server_that_was_killed_turn_stale(house: House) -> None:
    house.furnish()
    seen: dict[str, str] = {}
    subscriber = KvSubscriberClient(
        subtree="/device/",
        broker=house.url,
        callback=lambda key, body: seen.update({key: json.loads(body)["quality"]}),
    )
    thread = threading.Thread(target=subscriber.run)
    thread.start()
    keys = ("/device/pi/fake/tank/temperature", "/device/pi/fake/heater/state")
    try:
        wait_for(lambda: all(seen.get(key) == "good" for key in keys), what="good values")
        house.fake.kill()
        since = time.monotonic()
        wait_for(lambda: all(seen.get(key) == "stale" for key in keys), what="the values to be stale")
        # Three polls, and the two looks of the broker between which the last one may lie.
        assert time.monotonic() - since < 3 * POLL_S + 2 + GRACE_S
        assert house.broker.running
    finally:
        subscriber.shutdown()
        thread.join(30)
        subscriber.destroy()
