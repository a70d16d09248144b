# SPDX-License-Identifier: GPL-3.0-or-later
"""Which run may go."""

from __future__ import annotations

from raspy.servers.sync import job
from raspy.servers.sync.job import Job
from raspy.servers.sync.runs import PAUSE_MAX_S, Runs


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def make(name: str, remote: str, **values: object) -> Job:
    return Job(name, job.check({"source": "/x", "remote": remote, "pause_s": 10, **values}, None))


A = make("a", "ssh://pi@nas/a")
B = make("b", "rsync://NAS/b")
C = make("c", "/mnt/usb/c")


def test_one_for_each_remote() -> None:
    runs = Runs()
    for one in (A, B, C):
        runs.add(one, "x")
    first, second = runs.take(0), runs.take(0)
    assert first is not None and second is not None
    assert (first.job, second.job) == (A, C)
    assert runs.take(0) is None  # b goes to the host that a is going to
    runs.release(first, again=False)
    third = runs.take(0)
    assert third is not None and third.job is B
    assert [run.job.name for run in runs.all()] == ["b", "c"]


def test_a_job_runs_once_at_a_time() -> None:
    runs = Runs()
    run = runs.add(A, "x")
    assert runs.add(A, "y") is run and run.asked_by == "x"
    assert runs.take(0) is run
    assert runs.add(A, "z") is run
    assert runs.take(0) is None
    assert len(runs) == 1


def test_pauses_grow_and_the_remote_is_free_meanwhile() -> None:
    clock = Clock()
    runs = Runs(clock)
    run = runs.add(A, "x")
    runs.add(B, "x")
    assert runs.take(0) is run
    runs.release(run, again=True)
    assert (run.state, run.pause_s(), run.describe()["state"]) == ("waiting", 10, "waiting")
    other = runs.take(0)
    assert other is not None and other.job is B
    clock.now += 10
    assert runs.take(0) is None  # its remote is taken
    runs.release(other, again=False)
    assert runs.take(0) is run and run.tries == 2
    assert run.pause_s() == 20
    run.tries = 30
    assert run.pause_s() == PAUSE_MAX_S


def test_asking_for_a_waiting_run_makes_it_go_at_once() -> None:
    runs = Runs(Clock())
    run = runs.add(A, "x")
    runs.take(0)
    runs.release(run, again=True)
    assert runs.take(0) is None
    assert runs.add(A, "y") is run
    assert runs.take(0) is run


def test_cancel() -> None:
    runs = Runs(Clock())
    assert runs.cancel("a", "why") is None
    runs.add(A, "x")
    assert runs.cancel("a", "why") is None and len(runs) == 0  # nothing of it was begun
    run = runs.add(A, "x")
    runs.take(0)
    assert runs.cancel("a", "why") is None and run.cancelled == "why" and len(runs) == 1  # it ends by itself
    runs.release(run, again=True)
    assert runs.cancel("a", "why") is run and len(runs) == 0  # begun, and waiting: to be closed


def test_jobs_without_a_remote_do_not_go() -> None:
    runs = Runs()
    runs.add(make("d", "", enabled=False), "x")
    assert runs.take(0) is None
    assert runs.take(0.01) is None


def test_describes() -> None:
    runs = Runs()
    run = runs.add(A, "me")
    assert run.describe() == {"state": "queued", "asked_by": "me", "tries": 0}
    runs.take(0)
    run.began = 5.0
    assert run.describe() == {
        "state": "running", "asked_by": "me", "tries": 1, "started": 5.0,
        "percent": 0, "bytes": 0, "files": 0, "rate_bps": 0,
    }  # fmt: skip
