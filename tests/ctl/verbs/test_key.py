# SPDX-License-Identifier: GPL-3.0-or-later
"""raspyctl key, and --host with the keys it makes."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from raspy.common import curve
from raspy.ctl import place as place_module
from raspy.ctl import remote, units
from raspy.ctl.place import Place
from raspy.ctl.session import Session
from raspy.ctl.verbs import key as key_module
from tests.conftest import tcp_base
from tests.support.ctl import Ctl, Result
from tests.support.curved import pair
from tests.support.processes import Processes


class Stack:
    """A stack in the foreground, with its state in `state`."""

    def __init__(self, home: Path, *arguments: str):
        self.state = home / "s"
        self.url = f"ipc://{self.state}/run"
        self.keys = self.state / "authorized_keys.d"
        self.processes = Processes(home)
        child = self.processes.start(
            "raspy", "--state", self.state, "--only", "broker,titanic,fake", *arguments
        )
        child.wait_output("Ctrl-C stops it", 30)

    def close(self) -> None:
        wrong = self.processes.close()
        assert not wrong, wrong


PORT = tcp_base()
# The test key of zmq_curve(7).
KEY = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[Stack]:
    started = Stack(home, "--listen", f"tcp://*:{PORT}")
    yield started
    started.close()


@pytest.fixture
def ready(ctl: Ctl, stack: Stack) -> Iterator[Ctl]:
    yield ctl.use(stack.url)
    for file in stack.keys.glob("*.pub"):
        file.unlink()


def next_command(result: Result) -> list[str]:
    """The command that the last line shows, without raspyctl."""
    assert result.status == 0, result
    words = shlex.split(result.out.splitlines()[-1])
    return words[words.index("raspyctl") + 1 :]


def test_from_one_to_the_other(ready: Ctl, stack: Stack) -> None:
    first = next_command(ready("key"))
    assert first[0:2] == ["key", "authorize"] and first[-1] == "--listen"
    own = curve.load(curve.user_key_file())
    assert own.public in first and not own.public.startswith("-")
    assert next_command(ready("key", "mine")) == first, "the key stays"
    second = next_command(ready(*first))
    assert stat.S_IMODE((stack.keys / f"{first[2]}.pub").stat().st_mode) == 0o644
    second[second.index("--host") + 1] = f"127.0.0.1:{PORT}"
    ready.monkeypatch.delenv("RASPY_BROKER")
    assert ready(*second).status == 0
    assert ready("--host", f"127.0.0.1:{PORT}", "services", "--json").json()
    assert remote.names() == [f"127.0.0.1:{PORT}"]


def test_as_json(ready: Ctl, stack: Stack) -> None:
    mine = ready("key", "--json").json()
    assert curve.is_key(mine["public_key"]) and Path(mine["file"]) == curve.user_key_file()
    shown = ready("key", "show", "--json").json()
    assert shown["remote"] == [f"tcp://*:{PORT}"] and shown["authorized_keys"] == str(stack.keys)
    done = ready("key", "authorize", "desktop", mine["public_key"], "--json").json()
    assert done == {**shown, "name": "desktop", "file": f"{stack.keys}/desktop.pub"}
    assert ready("key", "list", "--json").json() == [
        {"name": "desktop", "key": mine["public_key"], "serve": ""}
    ]
    assert ready("key", "revoke", "desktop", "--json").json() == "desktop"
    assert ready("key", "list", "--json").json() == []


def test_show_tells_what_to_do(ready: Ctl) -> None:
    shown = ready("key", "show")
    assert "The broker's public key is " in shown.out
    assert f"Those with a key come in at tcp://*:{PORT}" in shown.out
    assert f":{PORT} --host-key '" in shown.out


def test_list_and_revoke(ready: Ctl, stack: Stack) -> None:
    assert ready("key", "list").out == "Nobody may come in from another machine.\n"
    desktop, garden = pair().public, pair().public
    assert ready("key", "authorize", "desktop", desktop).status == 0
    assert ready("key", "authorize", "garden", garden, "--serve", "greenhouse").status == 0
    (stack.keys / "broken.pub").write_text("nonsense")
    listed = ready("key", "list")
    assert f"does not count: {stack.keys}/broken.pub: 'nonsense' is no key" in listed.out
    assert [line.split() for line in listed.out.splitlines()[-2:]] == [
        ["desktop", desktop, "-"], ["garden", garden, "greenhouse"]
    ]  # fmt: skip
    assert (
        ready("key", "revoke", "dektop").err == "raspyctl: there is no key 'dektop'; did you mean desktop?\n"
    )
    assert ready("key", "revoke", "dektop").status == 3
    assert ready("key", "revoke", "desktop").out == "desktop may not come in any more.\n"
    assert not (stack.keys / "desktop.pub").exists()


def test_authorize_twice(ready: Ctl) -> None:
    key = pair().public
    assert ready("key", "authorize", "desktop", key).status == 0
    assert ready("key", "authorize", "desktop", key).status == 0
    other = ready("key", "authorize", "desktop", pair().public)
    assert other.status == 1
    assert "desktop has another key already; take that back first: raspyctl key revoke desktop" in other.err


@pytest.mark.parametrize(
    ("words", "why"),
    [(("../x", "KEY"), "can't be a name"), (("", "KEY"), "can't be a name"),
     (("a/b", "KEY"), "can't be a name"), (("x" * 64, "KEY"), "can't be a name"),
     (("desktop", "short"), "'short' is no key; a key has 40 characters"),
     (("desktop", "KEY", "--serve", "a.b"), "that is no name of a machine")],
)  # fmt: skip
def test_what_cannot_be_authorized(ready: Ctl, stack: Stack, words: tuple[str, ...], why: str) -> None:
    key = pair().public
    result = ready("key", "authorize", *(key if word == "KEY" else word for word in words))
    assert result.status == 2
    assert why in result.err
    assert not list(stack.keys.glob("*"))


def test_not_from_afar(ready: Ctl) -> None:
    ready("key")
    own = curve.load(curve.user_key_file()).public
    server = ready("key", "show", "--json").json()["public_key"]
    assert ready("key", "authorize", "desktop", own).status == 0
    ready.monkeypatch.delenv("RASPY_BROKER")
    there = ("--host", f"127.0.0.1:{PORT}", "--host-key", server)
    assert ready(*there, "key", "show", "--json").json()["public_key"] == server
    for words in (("list",), ("revoke", "x"), ("authorize", "x", own), ("ssh",)):
        refused = ready(*there, "key", *words)
        assert refused.status == 2 and "on the machine itself" in refused.err


def test_why_one_does_not_come_in(ready: Ctl) -> None:
    there = ("--host", f"127.0.0.1:{PORT}", "--timeout", "2")
    server = ready("key", "show", "--json").json()["public_key"]
    ready.monkeypatch.delenv("RASPY_BROKER")
    unknown = ready(*there, "services")
    assert unknown.status == 4
    assert f"the key of 127.0.0.1:{PORT} is not known here" in unknown.err
    keyless = ready(*there, "--host-key", server, "services")
    assert keyless.status == 4 and "you have no key yet; 'raspyctl key' makes one" in keyless.err
    own = ready("key", "--json").json()["public_key"]
    stranger = ready(*there, "--host-key", server, "services")
    assert stranger.status == 4
    assert (
        "does not know your key; there: sudo raspyctl key authorize " in stranger.err and own in stranger.err
    )
    wrong = ready(*there, "--host-key", own, "services")
    assert wrong.status == 4 and "has another key than the one that is known here" in wrong.err
    curve.user_key_file().chmod(0o644)
    assert "others may read this secret key" in ready(*there, "services").err


@pytest.mark.parametrize(
    ("words", "why"),
    [(("--host", "pi:x"), "write NAME or NAME:PORT"),
     (("--host", "pi", "--host-key", "x"), "a key has 40 characters"),
     (("--host-key", "x"), "--host-key is the key of the machine that --host names")],
)  # fmt: skip
def test_what_cannot_be_meant(ctl: Ctl, words: tuple[str, ...], why: str) -> None:
    result = ctl(*words, "services")
    assert result.status == 2 and why in result.err


def test_known_hosts_that_are_damaged(ctl: Ctl) -> None:
    file = curve.user_folder() / "known_hosts"
    file.parent.mkdir(parents=True)
    key = pair().public
    file.write_text(f"\n# x\npi:5514 {key}\npi2:5514 short\n{key}\n\0\xff\n")
    assert remote.hosts() == {"pi:5514": key} and remote.names() == ["pi"]
    file.write_text(f"house:5514 {key}\n")
    assert "the key of huose is not known here; did you mean house?" in ctl("--host", "huose", "services").err
    file.unlink()
    file.mkdir()
    result = ctl("--host", "pi", "services")
    assert result.status == 1 and "known_hosts: can't be read: Is a directory" in result.err


def test_the_key_of_sync(ready: Ctl, stack: Stack) -> None:
    (stack.state / "sync").mkdir()
    line = ready("key", "ssh").out
    assert line.startswith("ssh-ed25519 ") and line.endswith("raspy-sync\n")
    assert ready("key", "ssh", "--json").json() == {"public_key": line.strip()}


def test_a_key_of_sync_that_cannot_be_made(ctl: Ctl, run_dir: Path) -> None:
    ctl.use(f"ipc://{run_dir}/s/run")
    assert "No such file" in ctl("key", "ssh").err
    (run_dir / "s").mkdir()
    (run_dir / "s" / "sync").touch()
    refused = ctl("key", "ssh")
    assert refused.status == 1 and f"{run_dir}/s/sync" in refused.err


def test_an_own_key_that_cannot_be_used(ready: Ctl) -> None:
    ready("key")
    curve.user_key_file().chmod(0o644)
    refused = ready("key")
    assert refused.status == 1 and "others may read this secret key" in refused.err


def test_names_are_completed(ready: Ctl, stack: Stack, run_dir: Path) -> None:
    ready("key", "authorize", "desktop", KEY)
    ready("key", "authorize", "garden", pair().public)
    for url, found in ((stack.url, ["desktop"]), (f"ipc://{run_dir}/none/run", [])):
        session = Session()
        session.broker = url
        context = click.Context(key_module.revoke, obj=session)
        try:
            assert key_module._complete(context, key_module.revoke.params[0], "d") == found
        finally:
            session.close()


def test_a_stack_that_does_not_listen(ctl: Ctl, run_dir: Path) -> None:
    stack = Stack(run_dir)
    try:
        ctl.use(stack.url)
        shown = ctl("key", "authorize", "desktop", pair().public)
        assert "desktop may come in." in shown.out
        assert "No TCP port is open yet" in shown.out
        assert "systemctl enable raspy-broker-tcp.socket" in shown.out
        listening = ctl("key", "authorize", "desktop2", pair().public, "--listen")
        assert listening.status == 1
        assert "the key is let in, but this stack was started without --listen" in listening.err
    finally:
        stack.close()


SYSTEMCTL = """#!/bin/sh
# Stands for systemd: what it starts here is a broker that listens.
echo "$*" >> {home}/asked
[ "$1" != {fails} ] || {{ echo "no such unit" >&2; exit 1; }}
"""


def test_listen_opens_the_ports_through_systemd(ctl: Ctl, run_dir: Path) -> None:
    """The unit is enabled and the broker restarted; here one listens already, but has not said so."""
    stack = Stack(run_dir, "--listen", f"tcp://*:{tcp_base()}")
    try:
        ctl.use(stack.url)
        program = run_dir / "bin" / "systemctl"
        program.parent.mkdir()
        ctl.monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        ctl.monkeypatch.setattr(units, "BOOTED", str(run_dir))
        ctl.monkeypatch.setattr(place_module, "place", lambda _: Place(stack.state, run_dir))
        real = key_module._about
        asked = 0

        def about(session: Session) -> dict[str, Any]:
            nonlocal asked
            asked += 1
            # Asked for the folder, then as it was before, and once while it is not there again.
            return real(session) | ({} if asked > 3 else {"remote": []})

        ctl.monkeypatch.setattr(key_module, "_about", about)
        for fails in ("nothing", "restart"):
            program.write_text(SYSTEMCTL.format(home=run_dir, fails=fails))
            program.chmod(0o755)
            asked = 0
            done = ctl("key", "authorize", "desktop", KEY, "--listen")
            lines = (run_dir / "asked").read_text().splitlines()
            assert lines[-3:] == ["enable raspy-broker-tcp.socket", "reset-failed raspy-broker.service",
                                  "restart raspy-broker.service"]  # fmt: skip
            if fails == "nothing":
                assert done.status == 0 and "--host-key" in done.out
            else:
                assert done.status == 1
                assert "'systemctl restart raspy-broker.service' failed: no such unit" in done.err
    finally:
        stack.close()
