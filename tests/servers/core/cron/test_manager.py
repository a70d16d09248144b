# SPDX-License-Identifier: GPL-3.0-or-later
"""What the manager of cron jobs does as time goes by: with core off, clocks set, and clocks not trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from raspy.common.MDP import ClientError, NotFoundError, ServerError
from raspy.servers.core.cron import manager as module
from raspy.servers.core.cron.handled import HandledFile
from raspy.servers.core.cron.job import Cron
from raspy.servers.core.cron.manager import CronManager
from raspy.servers.core.cron.triggers import Place
from tests.servers.core.clocks import SetClock
from tests.servers.core.stores import AwayStore, MemoryStore

PARIS = Place(ZoneInfo("Europe/Paris"), 48.85, 2.35)


class World:
    """A manager, what it did, and what survives its end: the store, the file, the clock."""

    def __init__(self, folder: Path) -> None:
        self.clock = SetClock()
        self.store = MemoryStore()
        self.file = folder / "state" / "handled.json"
        self.fired: list[tuple[str, float]] = []
        self.told: list[tuple[str, str, str, dict[str, Any]]] = []
        self.manager = self.start()

    def start(self) -> CronManager:
        self.manager = CronManager(PARIS, self.clock, self._fire, self._tell, self.file)
        self.manager.trusted = True
        self.manager.load(self.store)
        return self.manager

    def _fire(self, job: Cron, due: object, late_s: float) -> None:
        self.fired.append((job.name, late_s))

    def _tell(self, job: Cron, event: str, message: str, more: dict[str, Any]) -> None:
        self.told.append((job.name, event, message, more))

    def add(self, name: str, **definition: Any) -> Cron:
        return self.manager.add(self.store, name, definition)

    def off(self, seconds: float) -> None:
        """Core ends, is off for a time, and starts again."""
        self.manager.close()
        self.clock.advance(seconds)
        self.start()

    def run(self, seconds: float, step_s: float = 1.0) -> list[str]:
        """Time goes by; returns the names of what fired."""
        before = len(self.fired)
        for _ in range(int(seconds / step_s)):
            self.clock.advance(step_s)
            self.manager.process()
        return [name for name, _ in self.fired[before:]]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_fires_when_due_and_then_plans_the_next(world: World) -> None:
    job = world.add("pump", interval_s=10)
    assert world.manager.wait_s() == 10
    assert world.run(9) == []
    assert world.run(1) == ["pump"]
    assert world.run(30) == ["pump"] * 3
    assert job.fired == 4 and job.last == world.clock.time()
    assert world.told == []


def test_nothing_to_do_waits_a_minute(world: World) -> None:
    assert world.manager.wait_s() == 60
    world.add("yearly", cron="0 0 1 1 *")
    assert world.manager.wait_s() == 60


def test_by_hand_beside_its_plan(world: World) -> None:
    job = world.add("daily", cron="0 8 * * *")
    planned = job.next_run
    world.manager.fire("daily")
    assert world.fired == [("daily", 0.0)] and job.next_run == planned and job.fired == 1
    with pytest.raises(NotFoundError, match="no cron job 'x'"):
        world.manager.fire("x")


def test_a_job_that_is_not_active_does_nothing(world: World) -> None:
    world.add("idle", interval_s=1, active=False)
    assert world.run(5) == []
    assert world.manager.list()["idle"]["state"] == "inactive"
    world.manager.update(world.store, "idle", {"active": True})
    assert world.run(2) == ["idle"] * 2


def test_a_date_is_over_after_it(world: World) -> None:
    world.add("once", date="2026-03-01T13:00:05")
    assert world.run(10) == ["once"]
    assert world.manager.list()["once"]["state"] == "over"
    assert world.manager.next("once") == []


def test_next_runs(world: World) -> None:
    world.add("daily", cron="0 8 * * *")
    first, second = world.manager.next("daily", 2)
    assert second - first == 86400
    with pytest.raises(ClientError, match="1 to 100"):
        world.manager.next("daily", 101)


class TestKeeping:
    def test_jobs_come_back_from_the_store(self, world: World) -> None:
        world.add("a", interval_s=10)
        world.add("b", cron="0 8 * * *")
        world.manager.remove(world.store, "b")
        world.off(1)
        assert world.manager.list_keys() == ["a"]

    def test_loading_again_changes_nothing(self, world: World) -> None:
        world.add("a", interval_s=10)
        world.run(5)
        world.manager.load(world.store)
        assert world.run(5) == ["a"]

    def test_a_name_is_taken_once(self, world: World) -> None:
        world.add("a", interval_s=10)
        with pytest.raises(ClientError, match="already"):
            world.add("a", interval_s=5)

    def test_there_is_an_end_to_them(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "JOBS_MAX", 1)
        world.add("a", interval_s=10)
        with pytest.raises(ClientError, match="no more fit"):
            world.add("b", interval_s=10)

    @pytest.mark.parametrize("definition", [{"cron": "0 0 30 2 *"}, {"date": "2020-01-01T00:00"}])
    def test_what_never_fires_is_refused(self, world: World, definition: dict[str, Any]) -> None:
        with pytest.raises(ClientError, match="never fires"):
            world.add("never", **definition)
        assert world.manager.list_keys() == [] and world.store.load("cron") == {}

    def test_titanic_away_changes_nothing(self, world: World) -> None:
        world.add("a", interval_s=10)
        away = AwayStore()
        for change in (
            lambda: world.manager.add(away, "b", {"interval_s": 5}),
            lambda: world.manager.update(away, "a", {"interval_s": 5}),
            lambda: world.manager.remove(away, "a"),
        ):
            with pytest.raises(ServerError):
                change()
        assert world.manager.list_keys() == ["a"]
        assert world.manager.get("a").definition["interval_s"] == 10

    def test_update_changes_keys_and_null_removes_one(self, world: World) -> None:
        world.add("a", interval_s=10, scenario="x", info="one")
        world.manager.update(world.store, "a", {"cron": "0 8 * * *", "scenario": None})
        definition = world.manager.get("a").definition
        assert "interval_s" not in definition and "scenario" not in definition
        assert definition["cron"] == "0 8 * * *" and definition["info"] == "one"

    def test_update_takes_over_the_counts(self, world: World) -> None:
        world.add("a", interval_s=1)
        world.run(3)
        world.manager.update(world.store, "a", {"info": "still counting"})
        assert world.manager.list()["a"]["fired"] == 3

    def test_what_is_stored_badly_is_left_out(self, world: World) -> None:
        world.store.save(
            "cron", {"good": {"interval_s": 5}, "bad": {"interval_s": -5}, "worse": 7, "a/b": {}}
        )
        world.start()
        assert world.manager.list_keys() == ["good"]


class TestOff:
    def test_a_short_restart_loses_nothing(self, world: World) -> None:
        world.add("eight", cron="10 13 * * *")  # noon UTC is 13 o'clock in Paris
        world.run(590)
        world.off(20)
        assert world.run(1) == ["eight"]
        assert 0 < world.fired[-1][1] < 60 and world.told == []

    def test_skip_tells_of_every_run_and_forgets_them(self, world: World) -> None:
        job = world.add("eight", cron="0 8 * * *")
        world.off(3 * 86400)
        assert world.run(5) == []
        assert [event for _, event, _, _ in world.told] == ["missed"] * 3
        assert "skipped" in world.told[0][2] and "2026-03-02 08:00:00 CET" in world.told[0][2]
        assert world.manager.get("eight").missed == 3 and job.name == "eight"

    def test_run_tells_of_every_run_and_runs_once(self, world: World) -> None:
        world.add("eight", cron="0 8 * * *", missed="run")
        world.off(3 * 86400)
        assert world.run(5) == ["eight"]
        assert world.fired[0][1] > 3600
        assert len(world.told) == 3 and "runs now, once" in world.told[0][2]

    def test_many_misses_are_summed_up(self, world: World) -> None:
        world.add("often", interval_s=1, missed="run")
        world.off(86400)
        assert world.run(1) == ["often"]
        assert len(world.told) == module.MISSES_TOLD + 1
        assert "at least" in world.told[-1][2]
        assert world.run(3) == ["often"] * 3, "and it goes on in its beat"

    def test_a_skipped_interval_keeps_its_beat(self, world: World) -> None:
        world.add("beat", interval_s=100)
        world.off(1080)
        assert world.run(19) == []
        assert world.run(1) == ["beat"]
        assert world.manager.get("beat").missed == 10

    def test_an_interval_counts_over_a_restart(self, world: World) -> None:
        world.add("six_hours", interval_s=6 * 3600)
        world.run(5 * 3600, step_s=60)
        world.off(30)
        assert world.run(3600 - 31) == []
        assert world.run(1) == ["six_hours"]

    def test_killed_without_a_word_tells_no_lies(self, world: World) -> None:
        """What ran before a SIGKILL is known from the file, as long as that was written."""
        world.add("minute", cron="* * * * *")
        world.run(125)
        assert len(world.fired) == 2
        world.start()
        assert world.run(5) == [] and world.told == []

    @pytest.mark.parametrize("content", ["", "[]", "{", '{"minute": "x"}', '{"minute": 1e300}', "\0\0"])
    def test_a_damaged_file_claims_nothing(self, world: World, content: str) -> None:
        world.add("minute", cron="* * * * *")
        world.run(30)
        world.manager.close()
        world.file.write_text(content)
        world.clock.advance(3600)
        world.start()
        assert world.told == []
        assert world.run(60) == ["minute"]

    def test_a_file_that_can_t_be_written_does_not_stop_it(self, world: World) -> None:
        (world.file.parent.parent / "state2").write_text("a file where a folder should be")
        world.manager._handled = HandledFile(world.file.parent.parent / "state2" / "x")
        world.add("a", interval_s=1)
        assert world.run(20) == ["a"] * 20

    def test_without_a_file_nothing_is_remembered(self, world: World) -> None:
        handled = HandledFile(None)
        handled.write({})
        assert handled.read() == {}


class TestClock:
    def test_set_forward_over_a_run(self, world: World) -> None:
        world.add("eight", cron="0 20 * * *", missed="run")
        world.manager.clock_set(world.clock.set("2026-03-02T12:00+00:00"))
        assert world.run(1) == ["eight"] and "missed" in world.told[0]

    def test_set_back_a_little_does_not_repeat(self, world: World) -> None:
        world.add("ten_past", cron="10 13 * * *")
        assert world.run(700) == ["ten_past"]
        world.manager.clock_set(world.clock.set("2026-03-01T12:05+00:00"))
        assert world.run(3600) == []
        assert world.manager.next("ten_past")[0] > world.clock.time() + 80000

    def test_set_back_far_plans_anew(self, world: World) -> None:
        """The clock stood a year ahead: a job planned there must not wait for a year."""
        world.clock.set("2027-03-01T12:00+00:00")
        world.add("ten_past", cron="10 13 * * *")
        world.run(700)
        world.manager.clock_set(world.clock.set("2026-03-01T12:05+00:00"))
        assert world.run(301) == ["ten_past"]

    @pytest.mark.parametrize("wrong", ["2020-01-01T00:00+00:00", "2036-01-01T00:00+00:00"])
    def test_an_interval_is_a_duration(self, world: World, wrong: str) -> None:
        world.add("beat", interval_s=100)
        assert world.run(150) == ["beat"]
        world.manager.clock_set(world.clock.set(wrong))
        assert world.run(49) == []
        assert world.run(1) == ["beat"]
        assert world.told == []
        world.off(50)
        assert world.run(49) == []
        assert world.run(1) == ["beat"]

    def test_handled_in_the_future_is_not_believed(self, world: World) -> None:
        world.clock.set("2036-01-01T00:00+00:00")
        world.add("eight", cron="10 13 * * *")
        world.manager.close()
        world.clock.set("2026-03-01T12:05+00:00")
        world.start()
        assert world.run(301) == ["eight"]


class TestTrust:
    def test_a_job_waits_for_a_trusted_clock_and_then_runs_by_its_policy(self, world: World) -> None:
        world.manager.trusted = False
        world.add("dose", cron="10 13 * * *", trusted=True, missed="run")
        world.add("light", cron="10 13 * * *")
        assert world.run(700) == ["light"]
        assert world.manager.waiting() == 1 and world.manager.list()["dose"]["state"] == "waiting"
        assert world.manager.wait_s() == 1.0, "what waits for trust must not make the loop spin"
        world.manager.trusted = True
        assert world.run(1) == ["dose"]
        assert world.manager.waiting() == 0
