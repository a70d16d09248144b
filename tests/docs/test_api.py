# SPDX-License-Identifier: GPL-3.0-or-later
"""What the manual shows of programs on the bus does what it says."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from queue import SimpleQueue

import pytest

from raspy.common import curve
from raspy.common.kvcliapi import KvPublisherClient, KvSubscriberClient
from raspy.common.mdcliapi import MajorDomoClient
from tests.conftest import Processes, RunningBroker, wait_for
from tests.docs import pages
from tests.support.curved import CurvedBroker

pytestmark = pytest.mark.timeout(300)
ASK, FOLLOW = pages.blocks(pages.read("api.md"), "python")
INSTALLED = "ipc:///run/raspy"


def test_asking(broker: RunningBroker) -> None:
    broker.server("host")
    printed: SimpleQueue[tuple[object, ...]] = SimpleQueue()
    with MajorDomoClient(broker.url) as client:
        client.timeout = 20_000
        name = "test.host.devices"
        wait_for(lambda: client.send("mmi.service", name) == [b"200"], what=f"{name} to be served")
    exec(ASK.replace(INSTALLED, broker.url), {"print": lambda *words: printed.put(words)})  # noqa: S102
    service, devices = printed.get(timeout=20)
    assert service == "test.host.devices"
    assert b"memory" in devices  # type: ignore[operator]


def test_following(broker: RunningBroker) -> None:
    heard: SimpleQueue[tuple[str, bytes]] = SimpleQueue()
    names: dict[str, object] = {"print": lambda key, body: heard.put((key, body))}
    program = threading.Thread(target=exec, args=(FOLLOW.replace(INSTALLED, broker.url), names))
    program.start()
    follower = wait_for(lambda: names.get("follower"), what="the program to begin")
    assert isinstance(follower, KvSubscriberClient)
    wait_for(lambda: follower.synchronised, what="the first snapshot")
    publisher = KvPublisherClient("pi", broker=broker.url)
    publisher.send("/device/", "pi/fake/tank/temperature", "21.5")
    assert heard.get(timeout=20) == ("/device/pi/fake/tank/temperature", b"21.5")
    follower.shutdown()
    program.join(20)
    follower.destroy()
    publisher.destroy()


def test_from_another_machine(processes: Processes, run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [code] = pages.blocks(pages.read("remote.md"), "python")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(run_dir / "config"))
    own = curve.make(curve.user_key_file())
    broker = CurvedBroker(processes)
    broker.authorize("desktop", own.public)
    code = re.sub(r'CurveKeys\(".+?"', lambda _: f"CurveKeys({broker.public!r}", code)
    printed: SimpleQueue[list[bytes]] = SimpleQueue()
    exec(code.replace("tcp://pi:5514", broker.tcp), {"print": printed.put})  # noqa: S102
    assert b"test.broker.mmi" in printed.get(timeout=20)
