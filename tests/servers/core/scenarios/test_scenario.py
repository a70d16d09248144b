# SPDX-License-Identifier: GPL-3.0-or-later
"""A scenario and its manager without the bus around them: as the manual has them, and as time goes by."""

from __future__ import annotations

import json
import select
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raspy.common.MDP import ClientError, NotFoundError, ServerError
from raspy.servers.core.runner import launch as launching
from raspy.servers.core.scenarios import manager as module
from raspy.servers.core.scenarios import running
from raspy.servers.core.scenarios.manager import ScenarioManager
from raspy.servers.core.scenarios.report import PUBLISHED_MAX
from raspy.servers.core.scenarios.scenario import Scenario
from tests.servers.core.stores import AwayStore, MemoryStore

KEY = "/device/pi/fake/tank/temperature"
LOOP = "while scenario.wait():\n    pass"


class Paper:
    """A publisher that keeps what it was given."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, bytes | str]] = []

    def send(self, subtree: str, key: str, body: str | bytes) -> None:
        self.sent.append((subtree, key, body))

    def events(self, name: str) -> list[str]:
        return [
            json.loads(body)["event"]
            for tree, key, body in self.sent
            if tree == "/event/" and key == f"scenario/{name}"
        ]


class Driven:
    """A manager, and the loop that it wants."""

    def __init__(self) -> None:
        self.paper = Paper()
        self.bodies: dict[str, bytes] = {}
        self.manager = ScenarioManager(self.paper, values=self.bodies.get)
        self.manager.go_live()

    def until(self, name: str, *states: str) -> Scenario:
        scenario = self.manager.get(name)
        deadline = time.monotonic() + 20
        while scenario.state not in states:
            assert time.monotonic() < deadline, scenario.to_json()
            self.turn()
        return scenario

    def turn(self) -> None:
        self.manager.tick(time.monotonic())
        talkers = {run.fileno(): run for _, run in self.manager.runs() if run.fileno() >= 0}
        for descriptor in select.select(list(talkers), [], [], 0.01)[0]:
            list(talkers[descriptor].read())

    def publish(self, value: Any, key: str = KEY) -> None:
        self.bodies[key] = json.dumps({"value": value, "quality": "good", "time": time.time()}).encode()
        self.manager.update_key(key, self.bodies[key])


@pytest.fixture
def driven() -> Iterator[Driven]:
    one = Driven()
    yield one
    one.manager.shutdown()
    one.manager.kill_all()


class TestScenario:
    def test_is_stored_and_loaded_by_itself(self) -> None:
        store = MemoryStore()
        one = Scenario("heat")
        assert one.load(store) is False
        one.code, one.entries = "print(1)", {"t": {"key": KEY}}
        one.store(store)
        assert sorted(store.load("scenario")) == ["heat.code", "heat.conf", "heat.entries"]
        other = Scenario("heat")
        assert other.load(store) is True and other.definition() == one.definition()

    def test_that_belongs_to_no_manager_does_not_run(self) -> None:
        one = Scenario()
        assert one.name == "scenar1" and not one.running and one.state == "idle"
        with pytest.raises(ServerError, match="no manager"):
            one.run()

    def test_fire_says_whether_it_must_run(self) -> None:
        one = Scenario("heat")
        store = MemoryStore()
        store.save(
            "scenario",
            {"heat.code": "", "heat.entries": {"t": {"key": KEY, "below": 5}, "other": {"key": KEY}}},
        )
        one.load(store)
        one.watched["t"].update(b'{"value": 3}', 0.0)
        assert one.fire() == "t" and one.fire() is None


class TestManager:
    def test_stores_and_loads_all(self, driven: Driven) -> None:
        store = MemoryStore()
        driven.manager.add("a", {"t": KEY}, "print(1)", {"active": False})
        driven.manager.add("b")
        driven.manager.store(store)
        assert store.load("scenario")["main.keys"] == ["a", "b"]
        other = ScenarioManager()
        other.load(store)
        assert other.list_keys() == ["a", "b"]
        assert other.scenarios["a"].definition() == driven.manager.scenarios["a"].definition()
        other.delete("a", store=store)
        third = ScenarioManager()
        third.load(store)
        assert third.list_keys() == ["b"]

    @pytest.mark.parametrize(
        "values",
        [
            {"main.keys": 5},
            {"main.keys": ["a/b", 7]},
            {"main.keys": ["x"], "x.code": 5},
            {"main.keys": ["x"], "x.entries": [], "x.code": "print(1)"},
        ],
    )
    def test_what_is_stored_badly_never_runs(self, driven: Driven, values: dict[str, Any]) -> None:
        store = MemoryStore()
        store.save("scenario", values)
        driven.manager.load(store)
        driven.manager.start_up()
        assert not list(driven.manager.runs())
        assert {one.state for one in driven.manager.scenarios.values()} <= {"broken"}
        assert driven.manager.counts() in ({}, {"broken": 1})

    def test_there_is_an_end_to_them(self, driven: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "SCENARIOS_MAX", 1)
        driven.manager.add("a")
        with pytest.raises(ClientError, match="at most"):
            driven.manager.add("b")

    def test_titanic_away_changes_nothing(self, driven: Driven) -> None:
        driven.manager.add("a", code="print(1)")
        away = AwayStore()
        for change in (
            lambda: driven.manager.add("b", store=away),
            lambda: driven.manager.update("a", code="print(2)", store=away),
            lambda: driven.manager.delete("a", store=away),
        ):
            with pytest.raises(ServerError):
                change()
        assert driven.manager.list_keys() == ["a"] and driven.manager.get("a").code == "print(1)"

    def test_update_keeps_what_is_not_given(self, driven: Driven) -> None:
        driven.manager.add("a", {"t": KEY}, "print(1)", {"info": "x"})
        driven.manager.update("a", conf={"startup": True})
        one = driven.manager.get("a")
        assert (
            one.code == "print(1)"
            and one.conf["info"] == "x"
            and one.conf["startup"]
            and list(one.entries) == ["t"]
        )
        with pytest.raises(ClientError, match="conf must be"):
            driven.manager.update("a", conf=5)
        with pytest.raises(NotFoundError):
            driven.manager.update("b")

    def test_a_new_entry_has_the_value_that_is_there(self, driven: Driven) -> None:
        driven.publish(19)
        driven.manager.add("a", {"t": {"key": KEY, "below": 20}}, LOOP)
        assert driven.manager.get("a").watched["t"].value == 19
        assert driven.until("a", "running").runs[0].reason == {"by": "entry", "entry": "t"}

    def test_before_the_first_snapshot_nothing_fires(self) -> None:
        manager = ScenarioManager(Paper())
        manager.add("a", {"t": {"key": KEY, "below": 20}}, LOOP)
        manager.update_key(KEY, b'{"value": 5}')
        assert not list(manager.runs())
        manager.go_live()
        assert len(list(manager.runs())) == 1
        manager.go_live()
        assert len(list(manager.runs())) == 1
        manager.shutdown()
        manager.kill_all()

    def test_at_start_up_what_is_to_start_starts_once(self, driven: Driven) -> None:
        driven.manager.add("a", code=LOOP, conf={"startup": True})
        driven.manager.add("b", code=LOOP)
        driven.manager.start_up()
        driven.manager.start_up()
        assert [scenario.name for scenario, _ in driven.manager.runs()] == ["a"]
        driven.manager.add("c", code=LOOP, conf={"startup": True})
        driven.until("c", "running")

    def test_no_process_to_be_had_is_told(self, driven: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            running, "launch", lambda path, job: (_ for _ in ()).throw(OSError("no more processes"))
        )
        driven.manager.add("a", {"t": {"key": KEY, "below": 20}}, LOOP)
        driven.publish(5)
        assert driven.paper.events("a") == ["died"] and driven.manager.get("a").state == "failed"
        with pytest.raises(ServerError, match="no more processes"):
            driven.manager.start("a", {"by": "hand"})

    def test_too_many_at_once_are_not_started(self, driven: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(running, "RUNS_MAX", 1)
        for name in ("a", "b"):
            driven.manager.add(name, code=LOOP)
        driven.manager.start("a", {"by": "hand"})
        with pytest.raises(ServerError, match="run already"):
            driven.manager.start("b", {"by": "hand"})

    def test_while_it_closes_nothing_starts(self, driven: Driven) -> None:
        driven.manager.add("a", {"t": {"key": KEY, "below": 20}}, LOOP)
        driven.manager.shutdown()
        driven.publish(5)
        assert not list(driven.manager.runs())
        with pytest.raises(ServerError, match="shutting down"):
            driven.manager.start("a", {"by": "hand"})

    def test_a_deleted_one_is_killed_and_waited_for(self, driven: Driven) -> None:
        driven.manager.add("a", code=LOOP)
        driven.manager.start("a", {"by": "hand"})
        driven.manager.delete("a")
        assert driven.manager.due_at() <= time.monotonic() + 0.1
        deadline = time.monotonic() + 10
        while driven.manager._orphans:
            assert time.monotonic() < deadline
            driven.turn()

    def test_stopped_while_it_waits_for_a_restart_it_does_not_come_back(self, driven: Driven) -> None:
        driven.manager.add("a", code="1 / 0", conf={"restart_delay_s": 3600})
        driven.manager.start("a", {"by": "hand"})
        scenario = driven.until("a", "restarting")
        assert scenario.to_json()["restart_in_s"] > 3000 and driven.manager.due_at() < time.monotonic() + 3601
        assert driven.manager.stop("a", "by hand") is True
        assert scenario.state == "failed" and driven.manager.stop("a", "by hand") is False

    def test_changed_while_it_was_broken(self, driven: Driven) -> None:
        store = MemoryStore()
        store.save("scenario", {"main.keys": ["x"], "x.code": "a b"})
        driven.manager.load(store)
        assert driven.manager.get("x").to_json()["broken"] and driven.paper.events("x") == ["broken"]
        driven.manager.update("x", code="print(1)")
        driven.manager.start("x", {"by": "hand"})
        assert driven.until("x", "idle").last is not None

    def test_published_values_have_an_end(self, driven: Driven) -> None:
        report = driven.manager.reporter
        assert all(report.publish("a", f"k{n}", b"x") for n in range(PUBLISHED_MAX))
        assert not report.publish("a", "more", b"x")
        assert report.publish("a", "k0", b"") and report.publish("a", "more", b"x")

    def test_without_a_publisher_it_is_just_quiet(self) -> None:
        manager = ScenarioManager()
        manager.add("a")
        manager.reporter.event("a", "x", "y")
        assert manager.reporter.publish("a", "k", b"x")
        manager.delete("a")
        assert manager.list() == {}


def test_the_socket_is_used_when_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []

    def connect(path: Path) -> tuple[object, None]:
        used.append(path.name)
        raise ConnectionRefusedError

    monkeypatch.setattr(launching, "_connect", connect)
    (tmp_path / "scenario.sock").touch()
    manager = ScenarioManager(socket_path=tmp_path / "scenario.sock")
    manager.add("a", code=LOOP)
    with pytest.raises(ServerError, match="no process"):
        manager.start("a", {"by": "hand"})
    assert used == ["scenario.sock"]
