# SPDX-License-Identifier: GPL-3.0-or-later
"""raspyctl request."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.asking import Asking
from tests.support.ctl import Ctl, CtlStack
from tests.support.peers import Peers


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[CtlStack]:
    started = CtlStack(home, "titanic")
    yield started
    started.close()


@pytest.fixture
def ready(ctl: Ctl, stack: CtlStack) -> Ctl:
    return ctl.use(stack.url)


def test_the_frames_are_shown(ready: Ctl) -> None:
    result = ready("request", "mmi.service", "titanic.store")
    assert (result.status, result.out) == (0, "[1]     status  200\n")
    found = ready("request", "mmi.discovery", "titanic[.]st.*", "--json").json()
    assert found == {"service": "mmi.discovery", "status": "200", "frames": ["titanic.store", "200"]}


def test_json_takes_several_lines_and_the_status_may_come_first(ready: Ctl) -> None:
    assert ready("request", "titanic.store", "set", "a", "b", "c", '{"x": [1]}').status == 0
    shown = ready("request", "titanic.store", "get", "a", "b", "c").out.splitlines()
    assert shown[0] == "[1]     status  200"
    assert [line.strip() for line in shown[2:]] == ["{", '"x": [', "1", "]", "}"]


def test_the_exit_status_is_that_of_the_reply(ready: Ctl) -> None:
    missing = ready("request", "titanic.store", "get", "a", "b", "nothing")
    assert missing.status == 3 and "404" in missing.out
    assert ready("request", "titanic.store", "fly").status == 1
    unknown = ready("request", "titanic.stor", "x")
    assert unknown.status == 3 and "did you mean titanic.store" in unknown.err


def test_a_service_may_be_short(ready: Ctl) -> None:
    assert ready("request", "broker.mmi", "info", "--json").json()["service"] == "test.broker.mmi"


def test_frames_from_standard_input_and_frames_that_are_no_text(
    ready: Ctl, monkeypatch: pytest.MonkeyPatch, stack: CtlStack
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\x00\xff\x1b[2J")))
    assert ready("request", "titanic.store", "set", "a", "b", "raw", "-").status == 0
    shown = ready("request", "titanic.store", "get", "a", "b", "raw").out
    assert shown.splitlines()[1] == "[2]    6 bytes  \\x00\\xff\\x1b[2J"


def test_what_the_shell_gives_as_bytes_goes_out_as_bytes(ready: Ctl, stack: CtlStack) -> None:
    with Peers(stack.url) as peers:
        worker = peers.registered(b"echo")
        asking = Asking(lambda: ready("request", "echo", "caf\udce9", "", "--", "-x", "--json"))
        client, body = worker.take()
        worker.reply(client, b"\xe9", b"200")
        assert asking.done().status == 0
    assert body == [b"caf\xe9", b"", b"-x", b"--json"]
