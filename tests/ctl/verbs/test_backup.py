# SPDX-License-Identifier: GPL-3.0-or-later
"""raspyctl backup and restore, on a stack that runs."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from raspy.common.mdcliapi import MajorDomoClient
from raspy.ctl import place as place_module
from raspy.ctl import units
from raspy.ctl.backups import make as make_module
from raspy.ctl.backups.archive import Archive
from raspy.ctl.backups.replace import replace
from raspy.ctl.place import Place
from tests.support.ctl import TANK, Ctl
from tests.support.processes import Child, Processes
from tests.support.waiting import wait_for

SERVERS = "broker,titanic,fake,logger"


class Stack:
    """A stack in the foreground with its state in `home / name`."""

    def __init__(self, processes: Processes, name: str = "s"):
        self.processes = processes
        self.state = processes.home / name
        self.url = f"ipc://{self.state}/run"
        self.child: Child | None = None

    def start(self) -> Stack:
        self.child = self.processes.start("raspy", "--state", self.state, "--only", SERVERS)
        self.child.wait_output("Ctrl-C stops it", 60)
        return self

    def stop(self) -> None:
        assert self.child is not None and self.child.stop() == 0

    def ask(self, service: str, *frames: str) -> list[bytes]:
        with MajorDomoClient(self.url) as client:
            client.timeout, client.retries = 30_000, 1
            return client.call(service.replace("HOST", self.host), *frames)

    @property
    def host(self) -> str:
        with MajorDomoClient(self.url) as client:
            client.timeout, client.retries = 30_000, 1
            return client.call("mmi.discovery", r".*\.broker\.mmi")[0].decode().partition(".")[0]


@pytest.fixture
def stack(processes: Processes, ctl: Ctl) -> Iterator[Stack]:
    made = Stack(processes)
    ctl.use(made.url)
    yield made


def tree(folder: Path) -> dict[str, bytes]:
    """What is in a folder, but for what belongs to running processes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "run" not in path.relative_to(folder).parts[:1]
        and not path.name.endswith((".lock", "-wal", "-shm")) and path.name != "lock"
    }  # fmt: skip


def test_back_as_before(stack: Stack, ctl: Ctl, run_dir: Path) -> None:
    """Made while titanic and the logger write, brought back into another folder, everything is there."""
    stack.start()
    stack.ask("HOST.fake.devices", "add", json.dumps(TANK))
    key = stack.ask("HOST.broker.mmi", "info")[0]
    stack.ask("titanic.store", "set", "mine", "notes", "first", '"kept"')
    wait_for(lambda: list(stack.state.rglob("*.rrd")), 60, "a history")
    stop = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        while not stop.is_set():
            stack.ask("titanic.store", "set", "mine", "busy", f"k{written % 50}", str(written))
            written += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        done = ctl("backup", run_dir / "one.backup", "--json").json()
    finally:
        stop.set()
        writer.join(60)
    assert done["files"] >= 4 and done["file"] == str(run_dir / "one.backup")
    assert stat.S_IMODE((run_dir / "one.backup").stat().st_mode) == 0o600
    assert not list(run_dir.glob(".*backup*")), "nothing is left beside it"
    names = subprocess.run(
        ["tar", "tzf", run_dir / "one.backup"], capture_output=True, text=True, check=True
    ).stdout
    assert "state/titanic/titanic.db\n" in names and "state/broker/key\n" in names
    assert ".rrd\n" in names
    assert ".sock" not in names and "-wal" not in names
    # Not while it runs.
    refused = ctl("restore", run_dir / "one.backup")
    assert refused.status == 1
    assert "another RasPy is running on it; stop that one" in refused.err
    stack.stop()
    before = tree(stack.state)

    other = Stack(stack.processes, "t")
    ctl.use(other.url)
    shown = ctl("restore", run_dir / "one.backup", "--check")
    assert "is whole: a backup of " in shown.out and not other.state.exists()
    restored = ctl("restore", run_dir / "one.backup", "--json").json()
    assert restored["files"] == done["files"]
    copy = sqlite3.connect(other.state / "titanic" / "titanic.db")
    assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    copy.close()
    after = tree(other.state)
    assert after["broker/key"] == before["broker/key"]
    assert stat.S_IMODE((other.state / "broker" / "key").stat().st_mode) == 0o600
    other.start()
    assert other.ask("titanic.store", "get", "mine", "notes", "first") == [b'"kept"']
    assert other.ask("HOST.fake.devices", "list_keys") == [b"tank"]
    assert json.loads(other.ask("HOST.broker.mmi", "info")[0])["public_key"] == json.loads(key)["public_key"]
    other.stop()


def test_the_old_state_is_kept(ctl: Ctl, run_dir: Path) -> None:
    state = run_dir / "s"
    (state / "web").mkdir(parents=True)
    (state / "run").mkdir()
    (state / "run" / "x.sock").touch()
    (state / "web" / "accounts.json").write_text("old")
    (state / "web" / "accounts.lock").touch()
    (state / "web" / "link").symlink_to("/etc/passwd")
    os.mkfifo(state / "web" / "pipe")
    ctl.use(f"ipc://{state}/run")
    made = ctl("backup", run_dir / "x.backup")
    assert made.status == 0 and "x.backup has 1 files in" in made.out
    again = ctl("backup", run_dir / "x.backup")
    assert again.status == 1 and "is there already; choose another name" in again.err
    (state / "web" / "accounts.json").write_text("new")
    (state / "more").mkdir()
    result = ctl("restore", run_dir / "x.backup")
    assert result.status == 0, result
    assert tree(state) == {"web/accounts.json": b"old"}
    (old,) = run_dir.glob("s.before-*")
    assert f"What was there before is in {old}" in result.out
    assert (old / "web" / "accounts.json").read_text() == "new" and (old / "more").is_dir()
    assert not list(run_dir.glob("s.new-*"))


def test_without_a_name_it_makes_one(ctl: Ctl, run_dir: Path) -> None:
    (run_dir / "s" / "x").mkdir(parents=True)
    (run_dir / "s" / "x" / "y").write_text("1")
    ctl.use(f"ipc://{run_dir}/s/run")
    ctl.monkeypatch.chdir(run_dir)
    assert ctl("backup").status == 0
    (made,) = run_dir.glob("*.backup")
    assert ctl("restore", made, "--check").status == 0


def test_what_is_wrong(ctl: Ctl, run_dir: Path) -> None:
    state = run_dir / "s"
    ctl.use(f"ipc://{state}/run")
    nothing = ctl("backup", run_dir / "x")
    assert nothing.status == 1 and "there is nothing to back up" in nothing.err
    assert "can't be read: No such file" in ctl("restore", run_dir / "none").err
    (run_dir / "noise").write_bytes(b"noise")
    damaged = ctl("restore", run_dir / "noise")
    assert damaged.status == 1 and "is no whole backup of RasPy" in damaged.err
    assert not state.exists()
    state.mkdir()
    assert ctl("backup", "/proc/none/x").status == 1
    (state / "a\nb").touch()
    name = ctl("backup", run_dir / "x")
    assert name.status == 1 and "a file with such a name can't be in a backup" in name.err
    (state / "a\nb").unlink()
    (state / ("x" * 240)).touch()
    assert "its name is too long for a backup" in ctl("backup", run_dir / "x").err
    assert not (run_dir / "x").exists() and not list(run_dir.glob(".x*"))
    for words in (("backup",), ("restore", "x")):
        refused = ctl("--host", "pi", *words)
        assert refused.status == 2 and "this works on the machine itself" in refused.err
    ctl.use("tcp://127.0.0.1:1")
    assert ctl("backup").status == 2


def test_too_many_and_too_large(ctl: Ctl, run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = run_dir / "s"
    state.mkdir()
    for number in range(5):
        (state / str(number)).write_text("12345")
    ctl.use(f"ipc://{state}/run")
    with monkeypatch.context() as patch:
        patch.setattr(make_module, "MAX_FILES", 3)
        assert "there are more than 3 files" in ctl("backup", run_dir / "x").err
    with monkeypatch.context() as patch:
        patch.setattr(make_module, "MAX_FILE_BYTES", 4)
        assert "that is too much for a backup" in ctl("backup", run_dir / "x").err


@pytest.fixture
def installed(run_dir: Path, ctl: Ctl) -> Place:
    """An installed RasPy, in other folders than the machine's own."""
    state, configuration = run_dir / "var" / "raspy", run_dir / "etc" / "raspy"
    for folder in (state / "broker", configuration / "conf.d", configuration / "authorized_keys.d"):
        folder.mkdir(parents=True)
    (state / "broker" / "key").write_text("secret")
    (state / "broker" / "key").chmod(0o600)
    (configuration / "raspy.conf").write_text("[raspy]\n")
    (configuration / "authorized_keys.d" / "desktop.pub").write_text("x")
    ctl.monkeypatch.setattr(place_module, "INSTALLED_STATE", state)
    ctl.monkeypatch.setattr(place_module, "INSTALLED_CONFIGURATION", configuration)
    return Place(state, configuration)


def test_configuration_and_state_together(installed: Place, run_dir: Path, ctl: Ctl) -> None:
    before = tree(run_dir / "var"), tree(run_dir / "etc")
    entries = make_module.make(installed, run_dir / "x.backup", lambda _: None)
    assert "configuration/authorized_keys.d/desktop.pub" in {entry.path for entry in entries}
    (installed.state / "broker" / "key").write_text("other")
    (installed.configuration or Path()).joinpath("raspy.conf").unlink()
    told: list[str] = []
    old = replace(installed, Archive(run_dir / "x.backup", 1 << 30), told.append)
    assert len(old) == 2 and len(told) == 3
    for folder in old:
        subprocess.run(["rm", "-r", folder], check=True)
    assert (tree(run_dir / "var"), tree(run_dir / "etc")) == before
    # Into a stack in the foreground goes the state alone.
    other = Place(run_dir / "fore", None)
    assert replace(other, Archive(run_dir / "x.backup", 1 << 30), lambda _: None) == []
    assert tree(other.state) == {"broker/key": b"secret"}


def test_half_way_is_no_way(installed: Place, run_dir: Path) -> None:
    """The configuration can't be exchanged: the state, which was already, comes back."""
    make_module.make(installed, run_dir / "x.backup", lambda _: None)
    (installed.state / "broker" / "key").write_text("now")
    archive = Archive(run_dir / "x.backup", 1 << 30)
    before = tree(run_dir / "var"), tree(run_dir / "etc")
    real = Path.rename
    with pytest.MonkeyPatch.context() as patch:

        def rename(self: Path, target: Path) -> Path:
            if "etc" in self.parts and ".new-" in self.name:
                raise OSError(16, "Device or resource busy", str(self))
            return real(self, target)

        patch.setattr(Path, "rename", rename)
        with pytest.raises(Exception, match="Device or resource busy; nothing was changed"):
            replace(installed, archive, lambda _: None)
    assert (tree(run_dir / "var"), tree(run_dir / "etc")) == before
    assert sorted(path.name for path in (run_dir / "var").iterdir()) == ["raspy"]
    assert sorted(path.name for path in (run_dir / "etc").iterdir()) == ["raspy"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owners_are_names(installed: Place, run_dir: Path) -> None:
    os.chown(installed.state / "broker", 65534, 65534)
    os.chown(installed.state, 1234, 1234)
    make_module.make(installed, run_dir / "x.backup", lambda _: None)
    replace(installed, Archive(run_dir / "x.backup", 1 << 30), lambda _: None)
    assert (installed.state / "broker" / "key").stat().st_uid == 0, "root's stays root's"
    # Another's becomes the folder's owner's.
    assert (installed.state / "broker").stat().st_uid == 1234
    assert installed.state.stat().st_uid == 1234


SYSTEMCTL = """#!/bin/sh
# Stands for systemd, which a test of a running machine has (tests/system); it writes down what it is asked.
echo "$*" >> {home}/asked
case "$1" in
    show) cat {home}/units 2>/dev/null;;
    {fails}) echo "Failed to $1: no" >&2; exit 1;;
esac
"""


@pytest.fixture
def systemctl(installed: Place, run_dir: Path, ctl: Ctl) -> Callable[[str], Callable[[], list[str]]]:
    """An installed RasPy under a systemd that fails at one verb; what it was asked."""

    def prepared(fails: str = "nothing") -> Callable[[], list[str]]:
        program = run_dir / "bin" / "systemctl"
        program.parent.mkdir(exist_ok=True)
        program.write_text(SYSTEMCTL.format(home=run_dir, fails=fails))
        program.chmod(0o755)
        ctl.monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        ctl.monkeypatch.setattr(units, "BOOTED", str(run_dir))
        ctl.use("ipc:///run/raspy")
        (run_dir / "asked").write_text("")
        return lambda: (run_dir / "asked").read_text().splitlines()

    return prepared


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may restore an installed RasPy")
def test_the_daemons_are_stopped_meanwhile(
    systemctl: Callable[..., Callable[[], list[str]]], installed: Place, run_dir: Path, ctl: Ctl
) -> None:
    asked = systemctl()
    assert ctl("backup", run_dir / "x.backup").status == 0
    assert asked() == [], "it runs on"
    (installed.state / "broker" / "key").write_text("other")
    assert ctl("restore", run_dir / "x.backup").status == 0
    assert (installed.state / "broker" / "key").read_text() == "secret"
    lines = asked()
    assert lines[0] == "is-active raspy.target"
    assert lines[1] == "stop raspy.target raspy-*.socket raspy-*.service"
    assert lines[2].startswith("show ") and lines[3:] == ["reset-failed raspy-*", "start raspy.target"]

    systemctl("is-active")
    assert ctl("restore", run_dir / "x.backup").status == 0
    assert "start raspy.target" not in asked(), "it did not run before"

    systemctl("stop")
    (installed.state / "broker" / "key").write_text("other")
    refused = ctl("restore", run_dir / "x.backup")
    assert (
        refused.status == 1
        and "systemctl stop raspy.target" in refused.err
        and "Failed to stop: no" in refused.err
    )
    systemctl()
    (run_dir / "units").write_text("Id=raspy-core.service\nLoadState=loaded\nActiveState=deactivating\n")
    refused = ctl("restore", run_dir / "x.backup")
    assert refused.status == 1 and "raspy-core.service did not stop; nothing was changed" in refused.err
    assert (installed.state / "broker" / "key").read_text() == "other"
    ctl.monkeypatch.setattr(units, "BOOTED", str(run_dir / "none"))
    assert ctl("restore", run_dir / "x.backup").status == 0, "nothing runs where there is no systemd"


def test_restoring_takes_root(installed: Place, run_dir: Path, ctl: Ctl) -> None:
    ctl.use("ipc:///run/raspy")
    ctl.monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "restoring takes root's permissions: use sudo" in ctl("restore", run_dir / "x").err
