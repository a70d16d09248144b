# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios in a running core: fired, fed, restarted, stopped, hostile; all in real processes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from raspy.common.MDP import ClientError, NotFoundError
from tests.conftest import wait_for
from tests.servers.core.stack import KEY, CoreStack

ONCE = "scenario.log('ran because of ' + scenario.reason['by'])"
LOOP = """
scenario.log('on')
while scenario.wait():
    scenario.log(str(scenario.value('t') if scenario.entries else ''))
scenario.log('off')
"""


def key(name: str) -> str:
    return KEY.replace("tank", name)


class TestFiring:
    def test_by_a_condition_once_each_time(self, stack: CoreStack) -> None:
        stack.add("cold", ONCE, {"t": {"key": key("cold"), "below": 20, "hysteresis": 1}})
        assert stack.info("cold")["waiting_for"] == ["t"] and stack.state("cold") == "waiting"
        for value in (25, 19, 18):
            stack.publish(key("cold"), value)
        stack.wait_said("cold", "ran because of entry")
        stack.wait_state("cold", "idle")
        stack.publish(key("cold"), None, quality="fault", error="CRC")
        stack.publish(key("cold"), 22)
        stack.publish(key("cold"), 19)
        stack.wait_said("cold", "ran because of entry", 2)
        assert stack.info("cold")["starts"] == 2

    def test_a_fault_is_not_below(self, stack: CoreStack) -> None:
        stack.add("faulty", ONCE, {"t": {"key": key("faulty"), "below": 20}})
        stack.publish(key("faulty"), None, quality="fault", error="85 °C")
        stack.publish(key("faulty"), 5, quality="stale")
        wait_for(lambda: stack.info("faulty")["entries"]["t"]["quality"] == "stale", what="stale")
        assert stack.info("faulty")["starts"] == 0

    def test_for_how_long(self, stack: CoreStack) -> None:
        stack.add("patient", ONCE, {"t": {"key": key("patient"), "above": 20, "for_s": 0.3}})
        begin = time.monotonic()
        stack.publish(key("patient"), 25)
        stack.wait_said("patient", "ran because of entry")
        assert time.monotonic() - begin >= 0.3

    def test_all_must_hold_together(self, stack: CoreStack) -> None:
        stack.add(
            "both",
            ONCE,
            {"a": {"key": key("both_a"), "above": 1}, "b": {"key": key("both_b"), "above": 1}},
            when="all",
        )
        stack.publish(key("both_a"), 2)
        wait_for(lambda: stack.info("both")["entries"]["a"]["holds"], what="a")
        assert stack.info("both")["starts"] == 0
        stack.publish(key("both_b"), 2)
        stack.wait_said("both", "ran because of entry")

    def test_a_value_whose_server_is_gone_becomes_stale(self, stack: CoreStack) -> None:
        stack.add("blind", ONCE, {"t": {"key": key("blind"), "bad": True}})
        stack.wait_said("blind", "ran because of entry")
        stack.publish(key("blind"), 20, poll=0.1)
        wait_for(lambda: stack.info("blind")["entries"]["t"]["quality"] == "stale", what="stale")
        stack.wait_said("blind", "ran because of entry", 2)

    def test_by_hand_and_by_each_other(self, stack: CoreStack) -> None:
        stack.add("second", ONCE)
        stack.add(
            "first",
            "print(scenario.scenarios.list_keys().count('second'), scenario.scenarios.status('second'),"
            " scenario.scenarios.start('second'))\n"
            "try:\n    scenario.scenarios.start('nobody')\nexcept RequestError as error:\n    print(error)",
        )
        assert stack.json("scenario", "start", "first") is True
        stack.wait_said("second", "ran because of scenario")
        stack.wait_said("first", "there is no scenario 'nobody'")
        assert stack.said("first")[0] == "1 idle True"

    def test_never_twice_at_once_unless_allowed(self, stack: CoreStack) -> None:
        stack.add("alone", LOOP)
        stack.add("crowd", LOOP, parallel=2)
        assert [stack.json("scenario", "start", "alone") for _ in range(2)] == [True, False]
        assert [stack.json("scenario", "start", "crowd") for _ in range(3)] == [True, True, False]
        stack.wait_said("crowd", "on", 2)
        assert len(stack.info("crowd")["running_s"]) == 2
        for name in ("alone", "crowd"):
            assert stack.json("scenario", "stop", name) is True
            stack.wait_state(name, "idle")
            assert stack.json("scenario", "stop", name) is False

    def test_what_is_not_active_does_not_start(self, stack: CoreStack) -> None:
        stack.add("asleep", ONCE, {"t": {"key": key("asleep"), "above": 1}}, active=False)
        stack.publish(key("asleep"), 5)
        with pytest.raises(ClientError, match="not active"):
            stack.ask("scenario", "start", "asleep")
        assert stack.state("asleep") == "inactive" and stack.info("asleep")["starts"] == 0

    def test_fed_while_it_runs(self, stack: CoreStack) -> None:
        stack.add("fed", LOOP, {"t": key("fed")})
        stack.ask("scenario", "start", "fed")
        stack.wait_said("fed", "on")
        for value in (1, 2, 3):
            stack.publish(key("fed"), value)
            stack.wait_said("fed", str(value))
        stack.publish(key("fed"), None)
        stack.wait_said("fed", "None")
        stack.ask("scenario", "stop", "fed")
        stack.wait_said("fed", "off")
        assert stack.wait_state("fed", "waiting")["last"]["kind"] == "stopped"


class TestAsking:
    def test_publish_and_event(self, stack: CoreStack) -> None:
        stack.add(
            "author",
            """
scenario.publish('count', 7, 'l')
scenario.publish('gone', 1)
scenario.publish('gone', None)
scenario.event('done', 'It is done')
for key, value in (('status', 1), ('a/b', 1), ('big', 'x' * 5000)):
    try:
        scenario.publish(key, value)
    except RequestError as error:
        print(error)
for n in range(70):
    try:
        scenario.publish(f'k{n}', n)
    except RequestError as error:
        print(error)
        break
print('end')
""",
        )
        stack.ask("scenario", "start", "author")
        assert stack.wait_event("scenario/author", "done")["message"] == "It is done"
        assert stack.values("/scenario/author/count") == [7]
        stack.wait_said("author", "end")
        said = stack.said("author")
        assert [text.split()[0] for text in said[:3]] == ["'status'", "'a/b'", "a"] and "no more fit" in said[
            3
        ]
        wait_for(lambda: ("/scenario/author/gone", None) in stack.heard, what="the key to be gone")
        stack.ask("scenarios", "delete", "author")
        wait_for(lambda: ("/scenario/author/count", None) in stack.heard, what="its keys to go with it")

    def test_cron(self, stack: CoreStack) -> None:
        lamp = "/device/test/nobody/lamp/state"
        stack.add(
            "planner",
            f"""
on = {{'key': {lamp!r}, 'value': True}}
scenario.cron.add('planner_daily', interval_s=3600, scenario='planner', command=on)
print('planner_daily' in scenario.cron.list_keys(), scenario.cron.next('planner_daily') > 0)
scenario.cron.update('planner_daily', info='x')
scenario.cron.remove('planner_daily')
def refused(do, *args, **kwargs):
    try:
        do(*args, **kwargs)
    except RequestError as error:
        print(error)
refused(scenario.cron.fire, 'planner_daily')
refused(scenario.cron.add, 'other', interval_s=3600)
refused(scenario.cron.remove, 'plannerx')
refused(scenario.cron.add, 'planner', interval_s=3600, request={{'service': 'x', 'frames': ['y']}})
refused(scenario.cron.add, 'planner', interval_s=3600, command={{'key': '/device/a/b/c/d', 'value': 1}})
refused(scenario._link.ask, 'cron.add', name='planner', definition=5)
refused(scenario._link.ask, 'cron.explode', name='planner')
for n in range(25):
    try:
        scenario.cron.add(f'planner_{{n}}', interval_s=3600, active=False)
    except RequestError as error:
        print(n, error)
        break
print('end')
""",
            {"lamp": lamp},
        )
        stack.ask("scenario", "start", "planner")
        stack.wait_said("planner", "end")
        said = stack.said("planner")
        assert said[:2] == ["True True", "there is no cron job 'planner_daily'"]
        for text, words in zip(
            said[2:],
            (
                "not its own",
                "not its own",
                "send no requests",
                "no entry with the key",
                "JSON object",
                "no action 'explode'",
                "20 scenario planner has",
            ),
            strict=False,
        ):
            assert words in text, said

    def test_time_and_sun(self, stack: CoreStack) -> None:
        stack.add(
            "watcher",
            "print(scenario.now().tzinfo is not None,"
            " scenario.sun()['sunrise'] < scenario.sun()['noon'] < scenario.sun()['dusk'])",
        )
        stack.ask("scenario", "start", "watcher")
        stack.wait_said("watcher", "True True")

    def test_a_device_whose_server_is_not_there(self, stack: CoreStack) -> None:
        stack.add(
            "lost",
            "try:\n    scenario.command('lamp', True, hold=5)\nexcept RequestError as error:\n"
            "    print('refused', len(str(error)) > 10)",
            {"lamp": "/device/test/nobody/lamp/state"},
        )
        stack.ask("scenario", "start", "lost")
        stack.wait_said("lost", "refused True")

    @pytest.mark.parametrize(
        "message",
        [
            {"do": "command", "entry": "x", "value": 1},
            {"do": "command"},
            {"do": "explode"},
            {"do": 5},
            {},
            {"do": "publish", "key": "x", "value": 1, "unit": 5},
            {"do": "publish"},
            {"do": "scenario.start"},
            {"do": "event", "kind": "a b", "message": "x"},
            {"do": "event", "kind": "a", "message": 5},
            {"do": "command", "entry": "lamp", "value": "x" * 5000},
            {"do": "command", "entry": "lamp", "value": 1, "hold": -1},
            {"do": "cron.next", "name": "../x"},
        ],
    )
    def test_whatever_it_asks_is_answered(self, stack: CoreStack, message: dict[str, Any]) -> None:
        name = f"asker_{abs(hash(json.dumps(message)))}"
        stack.add(
            name,
            f"try:\n    m = {message!r}\n    scenario._link.ask(m.pop('do', None), **m)\n"
            "except RequestError as error:\n    print('refused')",
            {"t": key("asker"), "lamp": "/device/test/nobody/lamp/state"},
        )
        stack.ask("scenario", "start", name)
        stack.wait_said(name, "refused")

    def test_half_a_character_and_deep_lists_harm_nobody(self, stack: CoreStack) -> None:
        stack.add(
            "odd",
            """
print('\\ud800')
scenario.event('odd', 'x\\ud800y')
scenario.publish('odd', '\\ud800')
deep = []
for _ in range(900):
    deep = [deep]
try:
    scenario.publish('deep', deep)
except (RequestError, RecursionError) as error:
    pass
print('end')
""",
        )
        stack.ask("scenario", "start", "odd")
        stack.wait_said("odd", "end")
        assert stack.said("odd")[0] == "?"


class TestEnding:
    def test_a_crash_is_an_event_a_count_and_lines_in_the_journal(self, stack: CoreStack) -> None:
        before = stack.statistic("scenario.error")
        stack.add("crash", "def f():\n    return 1 / 0\n\nf()", restart="never")
        stack.ask("scenario", "start", "crash")
        event = stack.wait_event("scenario/crash", "error")
        assert event["lines"] == [
            "line 4, in <module>: f()",
            "line 2, in f: return 1 / 0",
            "ZeroDivisionError: division by zero",
        ]
        info = stack.wait_state("crash", "failed")
        assert info["last"]["kind"] == "error" and info["failures"] == 1
        assert stack.statistic("scenario.error") == before + 1
        assert "line 2, in f: return 1 / 0" in stack.core.output
        assert "crash" in stack.ask("mmi", "status")[0].partition("failed:")[2]
        assert stack.values("/scenario/crash/status")[-1] == "failed"

    def test_is_restarted_until_it_gives_up(self, stack: CoreStack) -> None:
        stack.add("hopeless", "scenario.log(scenario.reason['by'])\n1 / 0", restart_delay_s=0.05)
        stack.ask("scenario", "start", "hopeless")
        event = stack.wait_event("scenario/hopeless", "gave up", 60)
        assert "not restarted any more" in event["message"]
        info = stack.wait_state("hopeless", "gave up")
        assert info["starts"] == 6 and stack.said("hopeless").count("restart") == 5
        assert "gave up: hopeless" in stack.ask("mmi", "status")[0]
        stack.ask("scenarios", "update", "hopeless", json.dumps({"code": "print('well')"}))
        stack.ask("scenario", "start", "hopeless")
        stack.wait_said("hopeless", "well")
        assert stack.wait_state("hopeless", "idle")["last"]["kind"] == "done"

    def test_always_means_always(self, stack: CoreStack) -> None:
        stack.add("eternal", "scenario.log('again')", restart="always", restart_delay_s=0.05)
        stack.ask("scenario", "start", "eternal")
        stack.wait_said("eternal", "again", 8)
        stack.ask("scenario", "stop", "eternal")
        stack.wait_state("eternal", "idle")
        starts = stack.info("eternal")["starts"]
        assert (
            stack.json("scenario", "stop", "eternal") is False and stack.info("eternal")["starts"] == starts
        )

    def test_its_maximum_run_time(self, stack: CoreStack) -> None:
        stack.add("long", "while scenario.wait():\n    pass\nscenario.log('tidied')", max_runtime_s=0.3)
        stack.ask("scenario", "start", "long")
        assert "its maximum of 0.3 s" in stack.wait_event("scenario/long", "timeout")["message"]
        assert "tidied" in stack.said("long") and stack.state("long") == "failed"

    def test_changed_while_it_runs_the_new_code_takes_over(self, stack: CoreStack) -> None:
        stack.add("changing", LOOP)
        stack.ask("scenario", "start", "changing")
        stack.wait_said("changing", "on")
        stack.ask("scenarios", "update", "changing", json.dumps({"code": LOOP.replace("'on'", "'new'")}))
        stack.wait_said("changing", "new")
        assert stack.said("changing")[:3] == ["on", "off", "new"]
        stack.ask("scenarios", "delete", "changing")
        with pytest.raises(NotFoundError):
            stack.state("changing")


HOSTILE = {
    "endless_loop": ("while True:\n    pass", "processor"),
    "fork_bomb": ("import os\nwhile True:\n    os.fork()", "error"),
    "gigabyte": ("x = bytearray(10 ** 9)", "memory"),
    "shadow": ("print(open('/etc/shadow').read())", "error"),
    "network": ("import socket\nsocket.socket()", "error"),
    "writer": ("open('/tmp/raspy-hostile', 'w').write('x')", "error"),
    "killer": ("import os\nfor pid in range(2, 5000):\n    os.kill(pid, 9)", "error"),
    "quitter": ("import os\nos._exit(0)", "died"),
    "liar": ("import os\nos.write(0, b'nonsense' * 1000 + b'\\n')\nscenario.sleep(5)", "died"),
}


def test_hostile_scenarios_are_contained_and_a_good_one_does_not_notice(stack: CoreStack) -> None:
    stack.add("good", LOOP, {"t": key("good")})
    stack.ask("scenario", "start", "good")
    stack.wait_said("good", "on")
    for name, (code, _) in HOSTILE.items():
        stack.add(name, code, restart="never", cpu_s=1)
        stack.ask("scenario", "start", name)
    for number in range(10):
        stack.publish(key("good"), number)
        stack.wait_said("good", str(number), timeout_s=30)
    for name, (_, kind) in HOSTILE.items():
        assert stack.wait_event(f"scenario/{name}", kind, 60)["lines"]
        assert stack.wait_state(name, "failed")["last"]["kind"] == kind
        stack.ask("scenarios", "delete", name)
    assert stack.core.running and stack.state("good") == "running"
    assert not Path("/tmp/raspy-hostile").exists()
    assert "Traceback" not in stack.core.output
    stack.ask("scenarios", "delete", "good")


def test_a_flooding_scenario_leaves_time_for_others(stack: CoreStack) -> None:
    stack.add("flood", "while True:\n    scenario.log('x' * 2000)")
    stack.add("calm", LOOP, {"t": key("calm")})
    for name in ("flood", "calm"):
        stack.ask("scenario", "start", name)
    stack.wait_said("calm", "on")
    for number in range(5):
        stack.publish(key("calm"), number)
        stack.wait_said("calm", str(number), timeout_s=30)
    for name in ("flood", "calm"):
        stack.ask("scenarios", "delete", name)
