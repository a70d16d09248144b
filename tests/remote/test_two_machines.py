# SPDX-License-Identifier: GPL-3.0-or-later
"""From a fresh stack to `raspyctl --host` in three commands, between two network namespaces.

Strangers get nothing.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Processes
from tests.support.ctl import TANK
from tests.support.curved import json_of
from tests.support.peers import Peers
from tests.support.processes import child_env
from tests.support.waiting import wait_for

PI, DESKTOP = "10.213.7.1", "10.213.7.2"
WAIT_S = 120

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make network namespaces")


def ip(*words: str) -> None:
    """Run ip(8)."""
    subprocess.run(["ip", *words], check=True, timeout=WAIT_S, capture_output=True)


class Network:
    """Two namespaces, a cable between them."""

    def __init__(self) -> None:
        self.pi, self.desktop = (f"raspy-{secrets.token_hex(4)}" for _ in range(2))
        self._made: list[str] = []

    def open(self) -> None:
        """Make them."""
        for name in (self.pi, self.desktop):
            ip("netns", "add", name)
            self._made.append(name)
        cable = ["link", "add", "eth0", "netns", self.pi, "type", "veth", "peer", "name", "eth0"]
        ip(*cable, "netns", self.desktop)
        for name, address in ((self.pi, PI), (self.desktop, DESKTOP)):
            ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                ip("-n", name, "link", "set", device, "up")

    def close(self) -> None:
        """Take them away."""
        for name in self._made:
            ip("netns", "del", name)


@pytest.fixture
def network() -> Iterator[Network]:
    made = Network()
    try:
        made.open()
        yield made
    finally:
        made.close()


class Desktop:
    """The other machine: what is run there."""

    def __init__(self, network: Network, home: Path):
        home.mkdir(exist_ok=True)
        self.network = network
        self.home = home

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a Python module there."""
        words = ["ip", "netns", "exec", self.network.desktop, sys.executable, "-m", *command]
        env = child_env(self.home) | {"RASPY_BROKER": ""}
        return subprocess.run(words, env=env, text=True, capture_output=True, timeout=WAIT_S, check=False)

    def ctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run raspyctl there."""
        return self.run("raspy.ctl", "--timeout", "30", *words)


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The command that raspyctl says is the next one, without its own name."""
    assert done.returncode == 0, done
    words = shlex.split(done.stdout.splitlines()[-1])
    return words[words.index("raspyctl") + 1 :]


@pytest.mark.timeout(600)
def test_three_commands_and_strangers(processes: Processes, network: Network) -> None:
    state = processes.home / "s"
    url = f"ipc://{state}/run"
    # A worker that sends no heartbeats is to last as long as the test.
    (processes.home / "raspy.conf").write_text("[broker]\nheartbeat_s = 60\n")
    stack = processes.start_command(
        "raspy", ["ip", "netns", "exec", network.pi, sys.executable, "-m", "raspy", "--state", str(state),
                  "--config", str(processes.home / "raspy.conf"), "--only", "broker,titanic,fake",
                  "--listen", "tcp://*:5514"],
    )  # fmt: skip
    stack.wait_output("RasPy", WAIT_S)
    stack.wait_output("runs. Ctrl-C stops it", WAIT_S)
    desktop = Desktop(network, processes.home / "desktop")

    # 1. On the desktop.
    first = said(desktop.ctl("key"))
    assert first[:2] == ["key", "authorize"]
    # Not yet let in, and told so.
    with Peers(url) as local:
        public = str(json_of(local, host_of(local) + b".broker.mmi", b"info")["public_key"])
    early = desktop.ctl("--host", PI, "--host-key", public, "services")
    assert (early.returncode, early.stdout) == (4, "")
    assert "does not know your key; there: sudo raspyctl key authorize" in early.stderr
    # 2. On the Pi.
    env = child_env(processes.home) | {"RASPY_BROKER": url}
    done = subprocess.run(
        [sys.executable, "-m", "raspy.ctl", *first],
        env=env,
        text=True,
        capture_output=True,
        timeout=WAIT_S,
        check=False,
    )
    third = said(done)
    assert third[-1] == "devices" and public in third
    # 3. On the desktop again, which has no name server here.
    third[third.index("--host") + 1] = PI
    with Peers(url) as local:
        local.ask(host_of(local) + b".fake.devices", b"add", json.dumps({**TANK, "name": "pond"}).encode())
    wait_for(lambda: "pond" in desktop.ctl(*third).stdout, WAIT_S)
    # From then on without the key.
    assert "pond" in desktop.ctl("--host", PI, "devices").stdout

    key_file = str(desktop.home / ".config" / "raspy" / "key")
    with Peers(url) as local:
        worker = local.registered(b"test.x.y")
        for kind in ("unknown", "plain", "wrong"):
            tried = desktop.run("tests.remote.stranger", kind, PI, public, key_file)
            assert (tried.returncode, tried.stdout) == (0, "end\n"), tried
        replaying = subprocess.Popen(
            ["ip", "netns", "exec", network.desktop, sys.executable, "-m", "tests.remote.stranger", "replay",
             PI, public, key_file], env=child_env(desktop.home), text=True, stdout=subprocess.PIPE,
        )  # fmt: skip
        with replaying:
            try:
                assert worker.socket.poll(WAIT_S * 1000)
                who, body = worker.take()
                assert body == [b"from a friend"], "nothing came from the others"
                worker.reply(who, b"200")
                out, _ = replaying.communicate(timeout=WAIT_S)
            finally:
                replaying.kill()
        assert (replaying.returncode, out) == (0, "answered [b'200']\nend\n")
        assert local.count(b"test.rogue.x") == 0
        asking = local.client()
        asking.send(b"test.x.y", b"the next")
        assert worker.take()[1] == [b"the next"], "nor of the replay"
        assert b"/device/stranger" not in local.clone().snapshot().map

    # A machine with another key where the Pi was.
    wrong = desktop.ctl("--host", PI, "--host-key", public[::-1], "--timeout", "5", "services")
    assert wrong.returncode == 4
    assert "has another key than the one that is known here" in wrong.stderr
    # Taken back.
    take_back = [sys.executable, "-m", "raspy.ctl", "key", "revoke", first[2]]
    assert subprocess.run(take_back, env=env, timeout=WAIT_S, check=False).returncode == 0
    gone = desktop.ctl("--host", PI, "--host-key", public, "services")
    assert gone.returncode == 4 and "does not know your key" in gone.stderr
    assert stack.stop() == 0


def host_of(local: Peers) -> bytes:
    """What the machine is called on the bus."""
    reply = local.ask(b"mmi.discovery", rb".*\.broker\.mmi")
    return reply[0].partition(b".")[0]
