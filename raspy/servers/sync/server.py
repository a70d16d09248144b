# SPDX-License-Identifier: GPL-3.0-or-later
"""The sync server: jobs, and the threads that carry them out."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from raspy.common import daemon
from raspy.common.config import Option
from raspy.common.devices.field import show
from raspy.common.MDP import ClientError, GenericError, NotFoundError
from raspy.common.server import Server
from raspy.common.store import Store
from raspy.servers.sync import attempt, job, keys, process
from raspy.servers.sync.alarm import Alarm
from raspy.servers.sync.history import History
from raspy.servers.sync.job import Job
from raspy.servers.sync.runs import Run, Runs
from raspy.servers.sync.transfer import Outcome, Progress

SECTION = "jobs"
STATE = "state"  # section with one key, ``seeded``: that the default jobs were there once
JOBS_MAX = 200
LOOK_S = 0.5  # how often the threads look for work
STORE_RETRY_S = 5.0  # how often titanic is tried when it was away
EVENT_S = 1.0  # how often the progress of a transfer is published
RUNS_SHOWN = 10


class Sync(Server):
    """The Sync server: copies files and folders to a remote, by schedule or on demand.

    Args: those of `Server`. The data folder also holds the ssh key, passwords and what came of the runs.
    """

    SERVICE = "sync"
    SETTINGS = (
        Option("folders", list, [], "folders that may be copied, besides RasPy's own state"),
        Option("mounts", list, ["/mnt", "/media"], "where disks and shares to copy to are mounted"),
        Option("rrdcached", Path, None, "rrdcached's socket; looked for above the RRDs if left out"),
        Option("parallel", int, 2, "transfers at the same time, to different remotes", 1, 8),
    )

    def __init__(self, hostname: str = "localhost", service: str = "sync", *args: Any, **kwargs: Any) -> None:
        super().__init__(hostname, service, *args, **kwargs)
        self._jobs: dict[str, Job] = {}
        self._jobs_lock = threading.Lock()
        self._runs = Runs()
        self._store: Store | None = None
        self._store_lock = threading.Lock()
        self._stored = False
        self._tried_store_s = 0.0
        self._alarm = Alarm(self)

    # Life.

    def setup(self) -> None:
        """Load the jobs, close what a server before us left open, start the transfer threads."""
        super().setup()
        if self.data_dir is None:
            raise OSError("sync keeps keys and results: it needs a data folder (--data-dir)")
        folder = self.data_dir.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        allowed = [folder.parent, *map(Path, self.settings.folders)]
        mounts = [Path(mount) for mount in self.settings.mounts]
        self.place = attempt.Place(folder, allowed, mounts, self.settings.rrdcached)
        self._history = History(folder / "runs")
        keys.write_config(folder)
        if self.settings.timezone:
            os.environ["TZ"] = self.settings.timezone
            time.tzset()
        self._store = Store(self.broker, self.get_instance_id(), copy=folder / "jobs.json")
        self._load()
        for number in range(self.settings.parallel):
            self.spawn(f"transfer-{number}", self._transfer)

    def teardown(self) -> None:
        """Close the connections."""
        if self._store is not None:
            self._store.close()
        super().teardown()

    def busy(self) -> bool:
        """While there are runs, or a job with a schedule that nobody else would wake us for."""
        return bool(len(self._runs)) or not self._alarm.covers(self.next_due())

    def status_line(self) -> str:
        """How many jobs there are, and what runs."""
        running = [run for run in self._runs.all() if run.state == "running"]
        if running:
            parts = (f"{run.job.name} to {run.job.remote} {run.progress.percent} %" for run in running)
            return "copying " + ", ".join(parts)
        waiting = len(self._runs)
        jobs = len(self._jobs)
        return f"{jobs} job{'s' * (jobs != 1)}" + (f", {waiting} waiting" if waiting else ", none running")

    # Jobs.

    def _all(self) -> list[Job]:
        with self._jobs_lock:
            return list(self._jobs.values())

    def _get(self, name: bytes) -> Job:
        text = name.decode(errors="replace")
        found = self._jobs.get(text)
        if found is None:
            there = ", ".join(sorted(self._jobs)) or "none"
            raise NotFoundError(f"there is no job {show(text)}; there are: {there}")
        return found

    def _load(self) -> None:
        """Take the jobs from titanic, or from the local copy while it is away."""
        assert self._store is not None
        with self._store_lock:
            values = self._store.load(SECTION)
            self._stored = not self._store.away
            self._tried_store_s = time.monotonic()
            if self._stored and not values and not self._store.load(STATE):
                values = self._seed(self._store)
        jobs: dict[str, Job] = {}
        for name, stored in values.items():
            try:
                since = stored.pop("since", None) if isinstance(stored, dict) else None
                checked = job.check(stored, None)
                jobs[job.check_job_name(name)] = Job(name, {**checked, "since": since or time.time()})
            except GenericError as error:
                self.log.error("the stored job %s can't be used and is left out: %s", name, error)
        with self._jobs_lock:
            fresh = [one for name, one in jobs.items() if name not in self._jobs]
            self._jobs = jobs
        for one in fresh:
            if self._history.interrupted(one.name) and one.enabled:
                self._runs.add(one, "restart")

    def _seed(self, store: Store) -> dict[str, Any]:
        """The jobs of a new installation: what people copy, waiting for a remote."""
        state = self.place.folder.parent
        values: dict[str, Any] = {
            name: {"source": str(state / folder), "enabled": False, "schedule": "daily 03:30"}
            for name, folder in (("history", "logger"), ("pictures", "camera"))
        }
        store.save(SECTION, values)
        store.save(STATE, {"seeded": True})
        return values

    def next_due(self) -> float | None:
        """When the next job is due, seconds since the epoch; None if none has a schedule."""
        times = (self._due(one) for one in self._all() if one.enabled)
        return min((due for due in times if due is not None), default=None)

    def _due(self, one: Job) -> float | None:
        last = self._history.last(one.name)
        return one.schedule.due(last["started"] if last else None, one.since, time.time())

    # The service.

    def worker_sync(self) -> None:
        """Create a worker to handle sync requests: serve ``HOST.sync.sync``."""
        self.serve("sync", {
            "list_keys": self.list_keys, "list": self.list, "add": self.add, "update": self.update,
            "remove": self.remove, "run": self.run_now, "status": self.status,
        })  # fmt: skip

    def list_keys(self) -> tuple[str, ...]:
        """Action ``list_keys``: the names of the jobs, a frame each."""
        return tuple(sorted(self._jobs))

    def list(self) -> dict[str, Any]:
        """Action ``list``: the jobs by name, each with its state."""
        jobs = sorted(self._all(), key=lambda one: one.name)
        return {one.name: {**one.values, **self._state(one)} for one in jobs}

    def add(self, name: bytes, values: bytes) -> dict[str, Any]:
        """Action ``add NAME JOB``: a new job; the answer is the job as it is kept.

        Raises:
            ClientError: there is one of that name, or it is not valid.
            ServerError: titanic is away; nothing was added.
        """
        text = job.check_job_name(_text(name))
        if text in self._jobs:
            raise ClientError(f"name: there is a job {show(text)} already; update it, or choose another name")
        if len(self._jobs) >= JOBS_MAX:
            raise ClientError(f"there are {JOBS_MAX} jobs already, the most there may be")
        return self._keep(text, job.check(values, self.place.allowed), time.time())

    def update(self, name: bytes, changes: bytes) -> dict[str, Any]:
        """Action ``update NAME CHANGES``: the fields that are given change; a run of the job is stopped.

        Raises:
            NotFoundError, ClientError, ServerError: as above; nothing was changed.
        """
        before = self._get(name)
        checked = job.check(changes, self.place.allowed, before.values)
        since = before.since if checked["schedule"] == before.values["schedule"] else time.time()
        return self._keep(before.name, checked, since)

    def _keep(self, name: str, checked: dict[str, Any], since: float) -> dict[str, Any]:
        password = checked.pop("password", None)
        values = {**checked, "since": round(since, 3)}
        self._check_deletions(Job(name, values))
        self._save(name, values)
        if password is not None:
            attempt.keep_password(self.place.folder, name, password)
        with self._jobs_lock:
            self._jobs[name] = Job(name, values)
        self._stop(name, "the job was changed")
        self.log.info(
            "job %s is now %s", name, _json(values).decode(), extra={"RASPY_REQUEST": self.requester()}
        )
        return values

    def _check_deletions(self, one: Job) -> None:
        """Refuse two jobs of which one would delete what the other one copied."""
        for other in self._all():
            if other.name == one.name or other.remote is None or one.remote is None:
                continue
            for deleting, copying in ((one, other), (other, one)):
                if deleting.delete and copying.there.target.startswith(deleting.there.target):
                    first, second = show(deleting.name), show(copying.name)
                    raise ClientError(f"remote: job {first} would delete there what job {second} copies")

    def _save(self, name: str, values: dict[str, Any] | None) -> None:
        assert self._store is not None
        with self._store_lock:
            self._store.save(SECTION, {name: values})

    def remove(self, name: bytes) -> None:
        """Action ``remove NAME``: the job is stopped and forgotten, with its runs and its password."""
        one = self._get(name)
        self._save(one.name, None)
        with self._jobs_lock:
            self._jobs.pop(one.name, None)
        self._stop(one.name, "the job was removed")
        attempt.keep_password(self.place.folder, one.name, "")
        self._history.forget(one.name)
        self.publish("/event/", f"{self.service}/{one.name}", b"")
        self.log.info("job %s is removed", one.name, extra={"RASPY_REQUEST": self.requester()})

    def run_now(self, name: bytes) -> dict[str, Any]:
        """Action ``run NAME``: run the job now, and answer at once; ``status`` tells how it goes.

        Raises:
            NotFoundError: there is no such job.
            ClientError: it is disabled.
        """
        one = self._get(name)
        if not one.enabled:
            raise ClientError(f'job {show(one.name)} is disabled: update it with {{"enabled": true}} first')
        return {"name": one.name, **self._runs.add(one, self.requester() or "a request").describe()}

    def status(self, name: bytes = b"") -> dict[str, Any]:
        """Action ``status [NAME]``: of one job, its state and its last runs; else of the server."""
        if name:
            one = self._get(name)
            return {"name": one.name, **self._state(one), "runs": self._history.runs(one.name)[:RUNS_SHOWN]}
        return {
            "jobs": {one.name: self._state(one) for one in self._all()},
            "stored": self._stored,
            "folders": [str(folder) for folder in self.place.allowed],
            "public_key": keys.make_key(self.place.folder),
        }

    def _state(self, one: Job) -> dict[str, Any]:
        run = self._runs.get(one.name)
        state = run.describe() if run else {"state": "idle" if one.enabled else "disabled"}
        due = self._due(one) if one.enabled else None
        return {**state, "next": due, "last": self._history.last(one.name)}

    def _stop(self, name: str, why: str) -> None:
        run = self._runs.cancel(name, why)
        if run is not None:
            self._history.end(name, {"outcome": "stopped", "message": why})

    # The transfers.

    def worker_schedule(self) -> None:
        """Look for jobs that are due, and for titanic when it was away."""
        while not self.stopping.wait(LOOK_S):
            self.alive()
            if not self._stored and time.monotonic() - self._tried_store_s > STORE_RETRY_S:
                self._load()
            now = time.time()
            for one in self._all():
                due = self._due(one) if one.enabled else None
                if due is not None and due <= now and self._runs.get(one.name) is None:
                    self._runs.add(one, "schedule")
            self._alarm.keep(self.next_due())

    def _transfer(self) -> None:
        """One transfer thread: carry out runs, one after the other."""
        while not self.stopping.is_set():
            self.alive()
            run = self._runs.take(LOOK_S)
            if run is not None:
                self._try(run)

    def _try(self, run: Run) -> None:
        now = time.monotonic()
        if run.tries == 1:
            run.began = time.time()
            run.ends_s = now + run.job.limit_s
            self._history.begin(run.job.name, {
                "started": round(run.began, 3), "outcome": "running", "asked_by": run.asked_by, "message": "",
            })  # fmt: skip
        self._tell(run, "started", f"copying {run.job.source} to {run.job.remote}")
        try:
            outcome = attempt.attempt(run.job, self.place, run.ends_s - now, self._ticker(run))
        except process.Stopped as stopped:
            outcome = Outcome(False, False, -1, str(stopped), [], run.progress.files, run.progress.bytes, 0)
        again = (
            outcome.again and not run.cancelled and run.tries <= run.job.retries
            and time.monotonic() + run.pause_s() < run.ends_s
        )  # fmt: skip
        if again:
            message = f"{outcome.message}; trying again in {run.pause_s():.0f} s"
            self.log.warning("job %s: %s", run.job.name, message)
            self._tell(run, "retry", message)
        else:
            self._end(run, outcome)
        self._runs.release(run, again)

    def _ticker(self, run: Run) -> Callable[[Progress], None]:
        """What a try calls as it goes on: proof of life, progress, and whether it is still wanted."""
        said_s, said = 0.0, Progress(0, 0, 0, 0)

        def tick(progress: Progress) -> None:
            nonlocal said_s, said
            self.alive()
            if run.cancelled:
                raise process.Stopped(run.cancelled)
            if self.stopping.is_set():
                raise process.Stopped("the server is stopping")
            if time.monotonic() > run.ends_s:
                raise process.Stopped(f"stopped: its time limit of {run.job.limit_s} s is up")
            run.progress = progress
            now = time.monotonic()
            if progress != said and now - said_s >= EVENT_S:
                said_s, said = now, progress
                rate = f"{progress.rate_bps / 1000:.0f} kB/s"
                self._tell(run, "progress", f"{progress.percent} %, {progress.files} files, {rate}")

        return tick

    def _end(self, run: Run, outcome: Outcome) -> None:
        how = "done" if outcome.ok else "stopped" if run.cancelled else "failed"
        if self.stopping.is_set() and not outcome.ok:
            how = "running"  # as after a kill: the next start finds it interrupted, and begins again
        if self._jobs.get(run.job.name) is not None:
            self._history.end(run.job.name, {
                "took_s": round(time.time() - run.began, 1), "outcome": how, "exit": outcome.status,
                "tries": run.tries, "files": outcome.files, "bytes": outcome.bytes, "sent": outcome.sent,
                "message": outcome.message, "lines": outcome.lines,
            })  # fmt: skip
        level = self.log.info if outcome.ok else self.log.warning
        level("job %s: %s (%d files, %d bytes)", run.job.name, outcome.message, outcome.files, outcome.bytes)
        run.progress = run.progress._replace(files=outcome.files, bytes=outcome.bytes)
        self._tell(run, how if how != "running" else "stopped", outcome.message)

    def _tell(self, run: Run, event: str, message: str) -> None:
        body = {"time": round(time.time(), 3), "event": event, "message": message, "tries": run.tries,
                **run.progress._asdict()}  # fmt: skip
        self.publish("/event/", f"{self.service}/{run.job.name}", _json(body))


def _text(frame: bytes) -> str:
    try:
        return frame.decode()
    except UnicodeDecodeError:
        raise ClientError("name: not UTF-8 text") from None


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def main() -> int:
    """Run the server; returns the exit status."""
    return daemon.run(Sync)
