# SPDX-License-Identifier: GPL-3.0-or-later
"""Core on the bus: its services, what it keeps, and what it survives."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import raspy.servers.core as package
from raspy.common.config import Settings
from raspy.common.MDP import ClientError, NotFoundError, ServerError
from raspy.servers.core.server import Core, zone_name
from tests.conftest import alive, wait_for
from tests.servers.core.clocks import SetClock
from tests.servers.core.stack import CORE, KEY, CoreStack
from tests.servers.core.stores import MemoryStore
from tests.support.processes import Processes

Start = Callable[..., CoreStack]
LOOP = "scenario.log('on')\nwhile scenario.wait():\n    pass\nscenario.log('off')"


def cron(stack: CoreStack, action: str, *request: Any) -> Any:
    frames = [one if isinstance(one, str) else json.dumps(one) for one in request]
    reply = stack.ask("cron", action, *frames)
    return json.loads(reply[0]) if reply else None


class TestCron:
    def test_from_adding_to_removing(self, stack: CoreStack) -> None:
        job = cron(stack, "add", "often", {"interval_s": 1, "info": "a test"})
        assert job["next"] > time.time() and job["missed"] == "skip"
        event = stack.wait_event("cron/often", "fired")
        assert event["message"] == "cron job often fired" and event["due"] == pytest.approx(job["next"])
        assert "often" in stack.ask("cron", "list_keys")
        listed = cron(stack, "list")["often"]
        assert listed["fired"] >= 1 and listed["state"] == "planned" and listed["last"] > 0
        assert "runs" not in listed
        assert len(cron(stack, "list", "5")["often"]["runs"]) == 5
        cron(stack, "update", "often", {"active": False})
        assert cron(stack, "list")["often"]["state"] == "inactive"
        cron(stack, "remove", "often")
        with pytest.raises(NotFoundError):
            cron(stack, "fire", "often")

    def test_next_runs_follow_the_sun(self, stack: CoreStack) -> None:
        cron(stack, "add", "dusk", {"sun": "sunset", "offset_s": -600})
        runs = cron(stack, "next", "dusk", "3")
        assert [round((later - earlier) / 3600) for earlier, later in pairwise(runs)] == [24, 24]
        cron(stack, "remove", "dusk")

    def test_a_job_is_looked_at_before_it_is_kept(self, stack: CoreStack) -> None:
        before = stack.ask("cron", "list_keys")
        seen = cron(stack, "preview", {"cron": "30  7 * * MON-fri"}, "7")
        assert seen["definition"]["cron"] == "30 7 * * mon-fri" and seen["definition"]["missed"] == "skip"
        assert seen["timezone"] == "Europe/Paris" and len(seen["runs"]) == 7
        assert seen["runs"] == sorted(seen["runs"]) and seen["runs"][0] > time.time()
        assert stack.ask("cron", "list_keys") == before

    def test_starts_a_scenario(self, stack: CoreStack) -> None:
        stack.add("fed", "scenario.log(scenario.reason['by'] + ' ' + scenario.reason['job'])")
        cron(stack, "add", "feeding", {"cron": "0 8 * * *", "scenario": "fed"})
        cron(stack, "fire", "feeding")
        stack.wait_said("fed", "cron feeding")
        assert "by hand" in stack.wait_event("cron/feeding", "fired")["message"]

    def test_sends_a_request_through_titanic(self, stack: CoreStack) -> None:
        stack.add("asked", "scenario.log('by titanic')")
        cron(
            stack,
            "add",
            "sender",
            {"cron": "0 8 * * *", "request": {"service": f"{CORE}.scenario", "frames": ["start", "asked"]}},
        )
        cron(stack, "fire", "sender")
        stack.wait_said("asked", "by titanic")

    @pytest.mark.parametrize(
        ("name", "work", "why"),
        [
            ("lost_scenario", {"scenario": "nobody"}, "no scenario 'nobody'"),
            ("lost_request", {"request": {"service": "x" * 200 + "\u20ac", "frames": ["x"]}}, ""),
        ],
    )
    def test_what_can_t_be_done_is_told(
        self, stack: CoreStack, name: str, work: dict[str, Any], why: str
    ) -> None:
        cron(stack, "add", name, {"cron": "0 8 * * *", **work})
        cron(stack, "fire", name)
        if why:
            assert why in stack.wait_event(f"cron/{name}", "failed")["message"]
            assert stack.statistic("cron.failed") >= 1
        else:
            stack.wait_event(f"cron/{name}", "fired")

    @pytest.mark.parametrize(
        "request_",
        [
            ("add", "a/b", '{"interval_s": 5}'),
            ("add", "x", "nonsense"),
            ("add", "x", "[]"),
            ("add", "x", "{}"),
            ("add", "x", '{"cron": "0 0 30 2 *"}'),
            ("add", "x"),
            ("next", "x", "many"),
            ("next", "x", "0"),
            ("list", "0"),
            ("preview", '{"cron": "0 0 30 2 *"}'),
            ("preview", '{"cron": "* * * * *"}', "101"),
            ("explode",),
            ("add", b"\xff", b"\xff"),
        ],
    )
    def test_what_is_refused(self, stack: CoreStack, request_: tuple[str, ...]) -> None:
        with pytest.raises(ClientError) as caught:
            stack.ask("cron", *request_)
        assert len(str(caught.value)) > 20


class TestScenarios:
    def test_code_that_does_not_compile_is_refused_with_line_and_column(self, stack: CoreStack) -> None:
        with pytest.raises(ClientError, match="line 2, column 5"):
            stack.add("wrong", "x = 1\nif x\n")
        assert "wrong" not in stack.ask("scenarios", "list_keys")

    def test_a_name_is_taken_once(self, stack: CoreStack) -> None:
        stack.add("taken", "")
        with pytest.raises(ClientError, match="already"):
            stack.add("taken", "")

    def test_export_and_import(self, stack: CoreStack) -> None:
        stack.add("shared", LOOP, {"t": {"key": KEY, "below": 5}}, startup=True)
        content = stack.ask("scenarios", "export", "shared")[0]
        with pytest.raises(ClientError, match="already"):
            stack.ask("scenarios", "import", content)
        stack.ask("scenarios", "delete", "shared")
        assert stack.json("scenarios", "import", content) == ["shared"]
        info = stack.info("shared")
        assert info["state"] == "inactive" and info["starts"] == 0 and info["code"] == LOOP
        assert stack.json("scenarios", "import", content, "replace") == ["shared"]
        assert json.loads(stack.ask("scenarios", "export")[0])["version"] == 1
        with pytest.raises(ClientError, match="only 'replace'"):
            stack.ask("scenarios", "import", content, "please")
        with pytest.raises(NotFoundError):
            stack.ask("scenarios", "export", "nobody")

    def test_an_import_is_all_or_nothing(self, stack: CoreStack) -> None:
        content = {
            "format": "raspy-scenarios",
            "version": 1,
            "scenarios": [{"name": "fine", "code": "x = 1"}, {"name": "not_fine", "code": "a b"}],
        }
        with pytest.raises(ClientError, match="not_fine"):
            stack.ask("scenarios", "import", json.dumps(content))
        assert "fine" not in stack.ask("scenarios", "list_keys")

    def test_list_has_everything(self, stack: CoreStack) -> None:
        stack.add("listed", "", {"t": {"key": KEY, "below": 5}})
        listed = stack.json("scenarios", "list")["listed"]
        assert listed["entries"]["t"]["below"] == 5 and listed["entries"]["t"]["quality"] == "missing"
        assert listed["state"] == "waiting" and listed["conf"]["active"] is True

    @pytest.mark.parametrize(
        "request_",
        [
            ("scenario", "start", "nobody"),
            ("scenario", "stop", "nobody"),
            ("scenario", "log", "nobody"),
            ("scenario", "info", "a/b"),
            ("scenarios", "update", "nobody", "{}"),
            ("scenarios", "delete", "nobody"),
            ("scenarios", "add", "x", '{"kode": 1}'),
            ("scenarios", "add", "main", "{}"),
            ("scenarios", "import", "{}"),
        ],
    )
    def test_what_is_refused(self, stack: CoreStack, request_: tuple[str, ...]) -> None:
        with pytest.raises(ClientError) as caught:
            stack.ask(*request_)
        assert len(str(caught.value)) > 20


def test_the_clock_says_what_it_is(stack: CoreStack) -> None:
    status = stack.json("clock", "status")
    assert status["system"] == pytest.approx(time.time(), abs=5) and status["timezone"] == "Europe/Paris"
    assert status["source"] in ("none", "ntp", "rtc")


def test_the_public_names_are_there() -> None:
    assert {name: getattr(package, name).__name__ for name in package.__all__} == {
        name: name for name in ("Core", "Cron", "CronManager", "Scenario", "ScenarioManager")
    }
    with pytest.raises(AttributeError):
        package.Nobody  # noqa: B018


class TestLife:
    def test_a_restart_loses_nothing(self, own_stack: Start) -> None:
        stack = own_stack()
        stack.add("loop", LOOP, startup=True)
        stack.add("idle", "", {"t": {"key": KEY, "below": 5}}, active=False)
        cron(stack, "add", "daily", {"cron": "0 8 * * *", "scenario": "loop"})
        stack.wait_said("loop", "on")
        stack.core.stop()
        assert "scenario loop: off" in stack.core.output, "it had time to leave things in order"
        stack.start_core()
        stack.wait_said("loop", "on")
        assert stack.info("idle")["entries"]["t"]["below"] == 5 and stack.state("idle") == "inactive"
        assert stack.ask("cron", "list_keys") == ["daily"]

    def test_scenarios_die_with_a_core_that_is_killed(self, own_stack: Start) -> None:
        stack = own_stack()
        stack.add("loop", "scenario.log('on')\nwhile True:\n    pass", startup=True, cpu_s=1000)
        stack.wait_said("loop", "on")
        children = [
            int(pid)
            for pid in Path(f"/proc/{stack.core.pid}/task/{stack.core.pid}/children").read_text().split()
        ]
        others = [
            int(pid)
            for task in Path(f"/proc/{stack.core.pid}/task").iterdir()
            for pid in (task / "children").read_text().split()
        ]
        assert others and all(map(alive, others)), children
        stack.core.kill()
        wait_for(lambda: not any(map(alive, others)), what="its scenario to be killed by the kernel")

    def test_without_titanic_it_runs_what_it_knows(self, own_stack: Start) -> None:
        stack = own_stack()
        stack.add("loop", LOOP, startup=False)
        cron(stack, "add", "often", {"interval_s": 1, "scenario": "loop"})
        stack.core.stop()
        stack.titanic.stop()
        stack.core = stack.broker.server("core", *stack.settings)
        wait_for(lambda: "loop" in stack.ask("scenarios", "list_keys"), 60, "the copy to be loaded")
        assert "waiting for titanic" in stack.ask("mmi", "status")[0]
        stack.wait_said("loop", "on")
        with pytest.raises(ServerError):
            stack.add("new", "")
        stack.titanic = stack.broker.server("titanic")
        wait_for(lambda: "titanic" not in stack.ask("mmi", "status")[0], 60, "titanic to be found")
        # What was refused may have waited at the broker: "nothing was stored for certain".
        stack.add("newer", "")
        assert not stack.events("cron/often", "failed"), "the scenario was known before the job"
        told = [event["due"] for event in stack.events("cron/often", "missed")]
        assert len(told) == len(set(told)), "loading again from titanic repeats no news"

    def test_a_broker_that_is_restarted_is_found_again(self, own_stack: Start) -> None:
        stack = own_stack()
        stack.add(
            "fed",
            "while scenario.wait():\n    scenario.log(str(scenario.value('t')))",
            {"t": KEY, "lamp": "/device/test/nobody/lamp/state"},
        )
        stack.ask("scenario", "start", "fed")
        stack.broker.kill()
        stack.broker.start()

        def heard() -> bool:
            stack.publish(KEY, 7)
            return "7" in stack.said("fed")

        wait_for(heard, 60, "an update")
        assert stack.core.running and stack.info("fed")["starts"] == 1

    def test_what_is_stored_badly_is_shown_and_can_be_repaired(self, own_stack: Start) -> None:
        stack = own_stack()
        stack.add("repaired", "print('fine')")
        stack.core.stop()
        stack.client.call("titanic.store", "set", "core", "scenario", "repaired.code", json.dumps("a b"))
        stack.start_core()
        info = stack.wait_state("repaired", "broken")
        assert "line 1, column 3" in info["broken"] and "broken: repaired" in stack.ask("mmi", "status")[0]
        with pytest.raises(ClientError, match="line 1"):
            stack.ask("scenario", "start", "repaired")
        stack.ask("scenarios", "update", "repaired", json.dumps({"code": "print('fine')"}))
        stack.ask("scenario", "start", "repaired")
        stack.wait_said("repaired", "fine")

    def test_a_missed_run_is_told_after_the_start(self, own_stack: Start) -> None:
        stack = own_stack()
        due = datetime.now(ZoneInfo("Europe/Paris")) + timedelta(seconds=90)
        cron(stack, "add", "once", {"date": due.isoformat(), "missed": "run"})
        stack.core.stop()
        # As if it had been off since yesterday.
        handled = stack.broker.folder / "core" / "cron-handled.json"
        assert "once" in json.loads(handled.read_text())
        handled.write_text(json.dumps({"once": time.time() - 86400}))
        stack.client.call(
            "titanic.store",
            "set",
            "core",
            "cron",
            "once",
            json.dumps({"date": (due - timedelta(hours=2)).isoformat(), "missed": "run"}),
        )
        stack.start_core()
        assert "runs now, once" in stack.wait_event("cron/once", "missed")["message"]
        assert "late" in stack.wait_event("cron/once", "fired")["message"]


class TestSettings:
    @pytest.mark.parametrize(
        ("zone", "environment", "wanted"),
        [
            ("Europe/Paris", "", "Europe/Paris"),
            ("", "Asia/Tokyo", "Asia/Tokyo"),
            ("", ":Asia/Tokyo", "Asia/Tokyo"),
        ],
    )
    def test_the_zone(
        self, zone: str, environment: str, wanted: str, monkeypatch: pytest.MonkeyPatch, run_dir: Path
    ) -> None:
        monkeypatch.setenv("TZ", environment)
        core = Core(broker=f"ipc://{run_dir}", settings=Settings.defaults(Core.SETTINGS, timezone=zone))
        core.destroy()
        assert str(core.place.zone) == wanted

    def test_the_system_s_own_zone(self, monkeypatch: pytest.MonkeyPatch, run_dir: Path) -> None:
        monkeypatch.delenv("TZ", raising=False)
        core = Core(broker=f"ipc://{run_dir}")
        core.destroy()
        assert datetime.now(core.place.zone).utcoffset() == datetime.now().astimezone().utcoffset()
        monkeypatch.setattr("raspy.servers.core.server.LOCALTIME", run_dir / "none")
        assert str(core._zone()) == "UTC"

    def test_the_name_of_the_system_s_own_zone(self, run_dir: Path) -> None:
        link = run_dir / "localtime"
        mounts = run_dir / "mountinfo"
        assert zone_name(link, mounts) == "localtime"
        mounts.write_text(
            "70 60 0:31 / / ro,relatime - overlay raspy rw\n"
            f"77 70 254:0 /usr/share/zoneinfo/America/New_York {link} ro,relatime - ext4 /dev/vda rw\n"
        )
        assert zone_name(link, mounts) == "America/New_York"
        link.write_bytes(b"a copy of a zone, which says what but not which")
        assert zone_name(link, mounts) == "America/New_York"
        mounts.write_text("77 70 254:0 /etc/localtime /elsewhere ro,relatime - ext4 /dev/vda rw\n")
        assert zone_name(link, mounts) == "localtime"
        link.unlink()
        link.symlink_to("/usr/share/zoneinfo/Europe/Paris")
        assert zone_name(link, mounts) == "Europe/Paris"

    def test_a_zone_that_is_none_is_a_wrong_configuration(self, run_dir: Path) -> None:
        started = Processes(run_dir)
        child = started.start(
            "raspy.servers.core",
            "--broker",
            f"ipc://{run_dir}",
            "--set",
            "timezone=Mars/Olympus",
            "--config",
            "/dev/null",
            "--data-dir",
            run_dir,
        )
        assert child.wait() == 78
        assert "timezone" in child.output and "Mars/Olympus" in child.output and child.output.count("\n") == 1
        assert started.close() == []


class TestInside:
    """What is hard to bring about from outside: the clock is set, and nobody can be asked about it."""

    class SetCore(Core):
        clock: SetClock

        def make_clock(self) -> SetClock:
            return SetClock()

    @pytest.fixture
    def core(self, run_dir: Path) -> Iterator[TestInside.SetCore]:
        core = self.SetCore(broker=f"ipc://{run_dir}", data_dir=run_dir)
        yield core
        core.destroy()

    def test_a_clock_that_is_set_is_told_and_planned_for(
        self, core: TestInside.SetCore, caplog: pytest.LogCaptureFixture
    ) -> None:
        told: list[tuple[str, Any]] = []
        core.publish = lambda tree, key, body: told.append((key, json.loads(body)))  # type: ignore[method-assign]
        core.cron.add(MemoryStore(), "eight", {"cron": "0 8 * * *", "missed": "run"})
        core._every_round()
        core.clock.wall += 86400
        core._every_round()
        assert "was set forward by 86400.0 s" in caplog.text
        assert [key for key, _ in told] == ["clock/jumped", "cron/eight", "cron/eight"]
        assert [body["event"] for _, body in told] == ["jumped", "missed", "fired"]

    def test_trust_comes_once(self, core: TestInside.SetCore) -> None:
        told: list[str] = []
        core.publish = lambda tree, key, body: told.append(key)  # type: ignore[method-assign]
        core.trust.source = ""
        core._look_at = time.monotonic() + 1000
        core._every_round()
        assert not core.cron.trusted
        core.trust.source = "rtc"
        core._every_round()
        core._every_round()
        assert core.cron.trusted and told == ["clock/trusted"]

    def test_a_bus_that_is_not_there_trusts_nothing(
        self, core: TestInside.SetCore, monkeypatch: pytest.MonkeyPatch, run_dir: Path
    ) -> None:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={run_dir}/none")
        assert core._ntp_synchronized() is False

    def test_what_waits_is_in_the_status(self, core: TestInside.SetCore) -> None:
        core.cron.add(MemoryStore(), "dose", {"cron": "0 8 * * *", "trusted": True})
        assert core.status_line() == (
            "0 of 0 scenarios running; 1 cron job; 1 of them wait for a trusted clock;"
            " waiting for titanic to load what it keeps"
        )
