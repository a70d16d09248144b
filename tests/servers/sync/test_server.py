# SPDX-License-Identifier: GPL-3.0-or-later
"""The sync server on a real broker and titanic: jobs, runs, retries, what is told and what is kept."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from raspy.common.config import Settings
from raspy.common.kvcliapi import KvSubscriberClient
from raspy.common.mdcliapi import MajorDomoClient
from raspy.common.MDP import ClientError, GenericError, NotFoundError, ServerError
from raspy.servers.sync import Sync
from raspy.servers.sync import server as server_module
from tests.support.broker import HOSTNAME
from tests.support.running import module_stack, running
from tests.support.titanic import TitanicStack
from tests.support.waiting import wait_for

from .conftest import MODULE_PASSWORD, MODULE_USER, Rsyncd, Wire, free_port, tree

BIG = 2_000_000


@pytest.fixture(scope="module")
def stack() -> Iterator[TitanicStack]:
    """Titanic and a broker for all tests of a module."""
    yield from module_stack()


class Client:
    """Asks the server, and hears its events."""

    def __init__(self, url: str, hostname: str) -> None:
        self._service = f"{hostname}.sync.sync"
        self._client = MajorDomoClient(url)
        # Longer than the server itself waits for titanic, which may be away.
        self._client.retries = 20
        self.events: list[dict[str, Any]] = []
        self._subscriber = KvSubscriberClient(subtree="/event/sync/", broker=url, callback=self._heard)
        self._thread = threading.Thread(target=self._subscriber.run)
        self._thread.start()

    def _heard(self, key: str, body: bytes) -> None:
        self.events.append({"key": key, **(json.loads(body) if body else {"event": "deleted"})})

    def __call__(self, *frames: str | bytes) -> Any:
        result = self._client.call(self._service, *frames)
        return json.loads(result[0]) if result and result[0][:1] == b"{" else [one.decode() for one in result]

    def add(self, name: str, source: Path, remote: str, **values: Any) -> dict[str, Any]:
        added: dict[str, Any] = self(
            "add", name, json.dumps({"source": str(source), "remote": remote, **values})
        )
        return added

    def ended(self, name: str, timeout_s: float = 30) -> dict[str, Any]:
        """Wait until a job has no run; its last one."""

        def last() -> Any:
            status = self("status", name)
            return status["state"] in ("idle", "disabled") and status["last"]

        record: dict[str, Any] = wait_for(last, timeout_s, f"the end of {name}")
        return record

    def run(self, name: str) -> dict[str, Any]:
        self("run", name)
        return self.ended(name)

    def close(self) -> None:
        self._client.destroy()
        self._subscriber.shutdown()
        self._thread.join()
        self._subscriber.destroy()


@pytest.fixture
def state(run_dir: Path) -> Path:
    """The state folder of all servers; what is in ``data`` may be copied."""
    data = run_dir / "state" / "data"
    data.mkdir(parents=True)
    (data / "one").write_bytes(b"1" * 1000)
    return run_dir / "state"


@contextmanager
def served(
    stack: TitanicStack, state: Path, mounts: Path = Path("/dev/shm"), **settings: Any
) -> Iterator[tuple[Sync, Client]]:
    """A sync server; its jobs are kept in titanic under a host's name of this test alone."""
    hostname = state.parent.name
    if not settings.pop("new", False):
        stack.ask("titanic.store", "set", f"{hostname}.sync", "state", "seeded", "true")
    checked = Settings.defaults(Sync.SETTINGS, **{"mounts": [str(mounts)], **settings})
    server = Sync(hostname, broker=stack.url, settings=checked, data_dir=state / "sync")
    client = Client(stack.url, hostname)
    try:
        with running(server, "sync"):
            yield server, client
    finally:
        client.close()


def test_a_new_installation_has_disabled_jobs(stack: TitanicStack, state: Path) -> None:
    with served(stack, state, new=True) as (server, ask):
        jobs = ask("list")
        assert sorted(jobs) == ["history", "pictures"]
        assert jobs["history"]["source"] == str(state / "logger")
        for job in jobs.values():
            assert (job["enabled"], job["state"], job["last"], job["next"]) == (False, "disabled", None, None)
        assert server.status_line() == "2 jobs, none running"
        with pytest.raises(ClientError, match="a job without one"):
            ask("update", "history", '{"enabled": true}')
        ask("remove", "history")
        ask("remove", "pictures")
    with served(stack, state, new=True) as (_, ask):  # who removed them does not get them again
        assert ask("list_keys") == []


def test_a_run_on_demand(stack: TitanicStack, state: Path, rsyncd: Rsyncd) -> None:
    with served(stack, state) as (_, ask):
        added = ask.add("data", state / "data", rsyncd.url("open", "/demand"))
        assert added["schedule"] == "" and "password" not in added
        assert ask("run", "data")["name"] == "data"
        record = ask.ended("data")
        assert (record["outcome"], record["exit"], record["files"], record["bytes"]) == ("done", 0, 1, 1000)
        assert record["tries"] == 1 and record["sent"] > 1000 and record["took_s"] >= 0
        assert record["asked_by"] != "schedule" and record["message"] == "done"
        assert tree(rsyncd.folder / "open" / "demand") == tree(state / "data")
        wait_for(lambda: [e for e in ask.events if e["event"] == "done"])
        events = [e for e in ask.events if e["event"] != "progress"]
        assert [e["event"] for e in events] == ["started", "done"]
        assert events[0]["key"] == "/event/sync/data"
        assert "copying " in events[0]["message"] and events[1]["files"] == 1
        assert ask("status", "data")["runs"] == [record]
        assert ask("list")["data"]["last"] == record


def test_progress_is_published(
    stack: TitanicStack, state: Path, rsyncd: Rsyncd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "EVENT_S", 0.1)
    (state / "data" / "big").write_bytes(os.urandom(BIG))
    with served(stack, state) as (server, ask):
        ask.add("data", state / "data", rsyncd.url("open", "/progress"), bandwidth_kib=1000)
        ask("run", "data")
        wait_for(lambda: "copying data to rsync://127.0.0.1" in server.status_line())
        assert server.busy()
        running_state = wait_for(
            lambda: (s := ask("status", "data"))["state"] == "running" and s["bytes"] and s
        )
        assert running_state["tries"] == 1 and 0 <= running_state["percent"] <= 100
        assert ask.ended("data")["outcome"] == "done"
        progress = [e for e in ask.events if e["event"] == "progress"]
        assert progress and all({"percent", "bytes", "files", "rate_bps"} <= set(e) for e in progress)
        percents = [e["percent"] for e in progress]
        assert percents == sorted(percents)
        assert not server.busy()


def test_retries_with_growing_pauses_until_it_is_done(
    stack: TitanicStack,
    state: Path,
    rsyncd: Rsyncd,
    wire: Callable[..., Wire],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each connection is cut after a part; each try goes on where the last one was."""
    monkeypatch.setattr("raspy.servers.sync.runs.Run.pause_s", lambda run: 0.05 * 2**run.tries)
    (state / "data" / "big").write_bytes(os.urandom(BIG))
    cut = wire(rsyncd.port, cut_after=BIG // 3)
    with served(stack, state) as (_, ask):
        ask.add(
            "data",
            state / "data",
            rsyncd.url("open", "/retries", port=cut.port),
            retries=20,
            bandwidth_kib=20000,
        )
        ask("run", "data")
        record = ask.ended("data", 60)
        assert record["outcome"] == "done"
        assert record["tries"] == cut.connections > 1
        assert tree(rsyncd.folder / "open" / "retries") == tree(state / "data")
        retries = [e["message"] for e in ask.events if e["event"] == "retry"]
        assert len(retries) == record["tries"] - 1
        assert retries[0].startswith("the connection broke; trying again in ")


def test_gives_up_after_its_retries(
    stack: TitanicStack, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raspy.servers.sync.runs.Run.pause_s", lambda run: 0.05)
    with served(stack, state) as (_, ask):
        ask.add("data", state / "data", f"rsync://127.0.0.1:{free_port()}/x", retries=2)
        record = ask.run("data")
        assert (record["outcome"], record["tries"]) == ("failed", 3)
        assert record["message"] == "nothing listens at the remote"
        assert record["exit"] == 10 and record["lines"]


def test_a_retry_that_would_come_after_the_time_limit_is_none(stack: TitanicStack, state: Path) -> None:
    with served(stack, state) as (_, ask):
        ask.add("data", state / "data", f"rsync://127.0.0.1:{free_port()}/x", limit_s=10, pause_s=60)
        assert ask.run("data")["tries"] == 1


def test_waiting_for_a_retry(stack: TitanicStack, state: Path, rsyncd: Rsyncd) -> None:
    with served(stack, state) as (server, ask):
        ask.add("data", state / "data", f"rsync://127.0.0.1:{free_port()}/x", pause_s=3600)
        ask("run", "data")
        status = wait_for(lambda: (s := ask("status", "data"))["state"] == "waiting" and s)
        assert 0 < status["next_try_s"] <= 3600
        assert server.busy() and server.status_line() == "1 job, 1 waiting"
        # a changed job is a stopped run, with a record that says so
        ask("update", "data", json.dumps({"remote": rsyncd.url("open", "/waiting")}))
        record = ask.ended("data")
        assert (record["outcome"], record["message"]) == ("stopped", "the job was changed")
        assert ask.run("data")["outcome"] == "done"


def test_a_wrong_password_and_then_the_right_one(stack: TitanicStack, state: Path, rsyncd: Rsyncd) -> None:
    with served(stack, state) as (_, ask):
        ask.add("data", state / "data", rsyncd.url("closed", "/pw", user=MODULE_USER), password="wrong")
        record = ask.run("data")
        assert record["message"] == "the remote does not accept the user or the password"
        ask("update", "data", json.dumps({"password": MODULE_PASSWORD}))
        assert ask.run("data")["outcome"] == "done"
        assert MODULE_PASSWORD not in json.dumps(ask("list")) + json.dumps(ask("status", "data"))
        assert MODULE_PASSWORD.encode() not in b"".join(
            stack.ask("titanic.store", "get", f"{state.parent.name}.sync", "jobs")
        )
        ask("remove", "data")
        assert list((state / "sync" / "passwords").iterdir()) == []


def test_one_transfer_for_each_remote(
    stack: TitanicStack, state: Path, rsyncd: Rsyncd, mounted: Path
) -> None:
    (state / "data" / "big").write_bytes(os.urandom(BIG))
    with served(stack, state, parallel=3) as (_, ask):
        for name in ("a", "b"):
            ask.add(name, state / "data", rsyncd.url("open", f"/lane-{name}"), bandwidth_kib=1000)
        ask.add("c", state / "data", f"{mounted}/c", bandwidth_kib=1000)
        for name in ("a", "b", "c"):
            ask("run", name)
        seen: set[tuple[str, ...]] = set()

        def all_done() -> bool:
            jobs = ask("status")["jobs"]
            seen.add(tuple(sorted(name for name in jobs if jobs[name]["state"] == "running")))
            return all(jobs[name]["state"] == "idle" for name in ("a", "b", "c"))

        wait_for(all_done, 60)
        assert ("a", "c") in seen  # to different remotes at the same time
        assert not any({"a", "b"} <= set(names) for names in seen)  # to one remote one after the other
        assert {ask("status", name)["last"]["outcome"] for name in ("a", "b", "c")} == {"done"}


def test_a_schedule(stack: TitanicStack, state: Path, mounted: Path) -> None:
    with served(stack, state) as (server, ask):
        assert not server.busy()
        before = time.time()
        ask.add("data", state / "data", f"{mounted}/x", schedule="every 6 h")
        record = ask.ended("data")  # a new job with an interval runs at once
        assert (record["outcome"], record["asked_by"]) == ("done", "schedule")
        status = ask("status", "data")
        assert status["next"] == pytest.approx(record["started"] + 6 * 3600)
        assert status["next"] > before
        assert server.busy()  # it has to be there at that time
        ask("update", "data", '{"enabled": false}')
        assert not server.busy()
        assert ask("status", "data")["next"] is None


def test_stopping_a_running_job(stack: TitanicStack, state: Path, rsyncd: Rsyncd) -> None:
    (state / "data" / "big").write_bytes(os.urandom(BIG))
    with served(stack, state) as (_, ask):
        for change, outcome in (("update", "the job was changed"), ("remove", "")):
            if change == "update":
                ask.add("data", state / "data", rsyncd.url("open", "/stop"), bandwidth_kib=50)
            ask("run", "data")
            wait_for(lambda: ask("status", "data")["state"] == "running")
            if change == "update":
                ask("update", "data", '{"bandwidth_kib": 51}')
                record = ask.ended("data")
                assert (record["outcome"], record["message"]) == ("stopped", outcome)
            else:
                ask("remove", "data")
                wait_for(lambda: [e for e in ask.events if e["event"] in ("stopped", "deleted")])
                with pytest.raises(NotFoundError):
                    ask("status", "data")
        assert not (rsyncd.folder / "open" / "stop" / "big").exists()
        assert not (state / "sync" / "runs" / "data.json").exists()


def test_what_a_stopped_server_was_doing_goes_on_when_it_starts(
    stack: TitanicStack, state: Path, rsyncd: Rsyncd
) -> None:
    (state / "data" / "big").write_bytes(os.urandom(BIG))
    with served(stack, state) as (_, ask):
        ask.add("data", state / "data", rsyncd.url("open", "/again"), bandwidth_kib=100)
        ask("run", "data")
        wait_for(lambda: ask("status", "data").get("bytes", 0) > 0)
    runs = json.loads((state / "sync" / "runs" / "data.json").read_text())
    assert runs[0]["outcome"] == "running"
    jobs = json.loads((state / "sync" / "jobs.json").read_text())
    assert jobs["jobs"]["data"]["bandwidth_kib"] == 100
    with served(stack, state) as (_, ask):
        wait_for(lambda: ask("status", "data")["state"] == "running")
        status = ask("status", "data")
        assert status["asked_by"] == "restart"
        assert status["runs"][1]["outcome"] == "interrupted"


@pytest.mark.parametrize(
    ("frames", "error", "words"),
    [
        (("add", "data", "{}"), ClientError, "source: is missing"),
        (("add", "data", "["), ClientError, "the job: not JSON"),
        (("add", "a/b", "{}"), ClientError, "name: "),
        (("add", "..", "{}"), ClientError, "name: "),
        (("add", b"\xff", "{}"), ClientError, "name: not UTF-8"),
        (("add", "data"), ClientError, "takes 2 arguments"),
        (("add", "data", '{"source": "/etc", "remote": "/mnt/x"}'), ClientError, "outside the folders"),
        (("update", "nothing", "{}"), NotFoundError, 'there is no job "nothing"; there are: '),
        (("remove", "nothing"), NotFoundError, "there is no job"),
        (("run", "nothing"), NotFoundError, "there is no job"),
        (("run", "history"), ClientError, "is disabled"),
        (("status", "nothing"), NotFoundError, "there is no job"),
        (("explode",), GenericError, "has no action 'explode'"),
    ],
)
def test_what_is_wrong_with_a_request(
    stack: TitanicStack, state: Path, frames: tuple[str, ...], error: type[Exception], words: str
) -> None:
    with served(stack, state) as (_, ask):
        ask("add", "history", json.dumps({"source": str(state / "data"), "enabled": False}))
        before = ask("list")
        with pytest.raises(error) as caught:
            ask(*frames)
        assert words in str(caught.value)
        assert ask("list") == before


def test_a_name_that_is_taken(stack: TitanicStack, state: Path, mounted: Path) -> None:
    with served(stack, state) as (_, ask):
        ask.add("data", state / "data", f"{mounted}/x")
        with pytest.raises(ClientError, match='there is a job "data" already'):
            ask.add("data", state / "data", f"{mounted}/y")
        assert ask("list")["data"]["remote"] == f"{mounted}/x"


def test_no_job_deletes_what_another_one_copies(stack: TitanicStack, state: Path, mounted: Path) -> None:
    with served(stack, state) as (_, ask):
        ask.add("inner", state / "data", f"{mounted}/a/b")
        ask.add("beside", state / "data", f"{mounted}/ab", delete=True)
        with pytest.raises(ClientError, match='job "outer" would delete there what job "inner" copies'):
            ask.add("outer", state / "data", f"{mounted}/a", delete=True)
        ask.add("outer", state / "data", f"{mounted}/a")
        with pytest.raises(ClientError, match='job "same" would delete there what job "inner" copies'):
            ask.add("same", state / "data", f"{mounted}/a/b/", delete=True)
        ask("update", "inner", '{"delete": true}')
        with pytest.raises(ClientError, match='job "inner" would delete there what job "within" copies'):
            ask.add("within", state / "data", f"{mounted}/a/b/c")


def test_a_safe_copy_that_takes_too_long(
    stack: TitanicStack, state: Path, mounted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time limit holds for everything that a run does."""

    def endless(source: Path, folder: Path, where: object, tick: Callable[[], None]) -> bool:
        while True:
            tick()

    monkeypatch.setattr("raspy.servers.sync.stage.stage", endless)
    with served(stack, state) as (server, ask):
        ask.add("data", state / "data", f"{mounted}/x")
        server._jobs["data"].values["limit_s"] = 0.5
        record = ask.run("data")
        assert (record["outcome"], record["message"]) == ("failed", "stopped: its time limit of 0.5 s is up")


def test_status_shows_the_public_key(stack: TitanicStack, state: Path) -> None:
    with served(stack, state, folders=["/srv/pictures"]) as (_, ask):
        status = ask("status")
        assert status["public_key"].startswith("ssh-ed25519 ")
        assert status["public_key"] == (state / "sync" / "id_ed25519.pub").read_text().strip()
        assert status["folders"] == [str(state), "/srv/pictures"]
        assert status["stored"] is True


def test_stored_jobs_that_can_not_be_used_are_left_out(
    stack: TitanicStack, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in (
        ("bad", '{"source": 7}'),
        ("worse", "7"),
        ("a/b", '{"source": "/x", "enabled": false}'),
    ):
        stack.ask("titanic.store", "set", f"{state.parent.name}.sync", "jobs", name, value)
    with served(stack, state) as (_, ask):
        assert not {"bad", "worse", "a/b"} & set(ask("list_keys"))
    assert caplog.text.count("can't be used and is left out") == 3


def test_without_titanic_it_works_with_what_it_knows(
    run_dir: Path, state: Path, mounted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "STORE_RETRY_S", 0.2)
    stack = TitanicStack(run_dir)
    try:
        with served(stack, state) as (_, ask):
            ask.add("data", state / "data", f"{mounted}/x")
        stack.titanic.stop()
        with served(stack, state, new=True) as (_, ask):
            assert "data" in ask("list_keys")
            assert ask("status")["stored"] is False
            assert ask.run("data")["outcome"] == "done"
            with pytest.raises(ServerError, match="no answer from titanic"):
                ask.add("lost", state / "data", f"{mounted}/y")
            assert "lost" not in ask("list_keys")
            stack.start()
            wait_for(lambda: ask("status")["stored"])
            ask.add("more", state / "data", f"{mounted}/y")
            assert {"data", "more"} <= set(ask("list_keys"))
    finally:
        stack.close()


def test_needs_a_data_folder(stack: TitanicStack) -> None:
    server = Sync(HOSTNAME, broker=stack.url)
    with pytest.raises(OSError, match="needs a data folder"):
        server.run()


def test_ends_when_idle_and_stays_while_there_is_work(run_dir: Path, state: Path, mounted: Path) -> None:
    """As a process: a job on demand keeps it until it is done, then it ends by itself, with status 0."""
    stack = TitanicStack(run_dir)
    try:
        child = stack.broker.server("sync", "idle_exit_s=0.5", f"mounts={mounted}", f"folders={state}")
        service = f"{HOSTNAME}.sync.sync"
        job = json.dumps({"source": str(state / "data"), "remote": f"{mounted}/x"})
        assert stack.ask(service, "add", "data", job)[-1] == b"200"
        assert stack.ask(service, "run", "data")[-1] == b"200"
        assert child.wait() == 0
        assert tree(mounted / "x") == tree(state / "data")
    finally:
        stack.close()


def test_killed_in_the_middle_of_a_transfer(run_dir: Path, state: Path, mounted: Path) -> None:
    """SIGKILL: nothing half-written stands at the remote under its name, and the next start completes it."""
    (state / "data" / "big").write_bytes(os.urandom(BIG))
    stack = TitanicStack(run_dir)
    settings = (f"mounts={mounted}", f"folders={state}")
    service = f"{HOSTNAME}.sync.sync"
    values = {"source": str(state / "data"), "remote": f"{mounted}/x", "bandwidth_kib": 1000}
    try:
        child = stack.broker.server("sync", *settings)
        assert stack.ask(service, "add", "data", json.dumps(values))[-1] == b"200"
        assert stack.ask(service, "run", "data")[-1] == b"200"
        wait_for(lambda: json.loads(stack.ask(service, "status", "data")[0]).get("bytes", 0) > 1000)
        child.kill()
        assert not (mounted / "x" / "big").exists()
        stack.broker.server("sync", *settings)
        wait_for(lambda: (mounted / "x" / "big").exists(), 30)
        wait_for(lambda: json.loads(stack.ask(service, "status", "data")[0])["last"]["outcome"] == "done")
        assert (mounted / "x" / "big").read_bytes() == (state / "data" / "big").read_bytes()
    finally:
        stack.close()
