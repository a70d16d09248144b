# SPDX-License-Identifier: GPL-3.0-or-later
"""Core's side of a run: told to stop, killed, limited, flooded, lied to; with systemd's processes too."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raspy.servers.core.runner import launch as launching
from raspy.servers.core.runner import run as running
from raspy.servers.core.runner.launch import Launched, launch
from raspy.servers.core.runner.run import DIED, STOPPED, TIMEOUT, Run
from raspy.servers.core.sandbox.wire import DONE, encode
from tests.servers.core.playing import Played, played

DEAF = "while True:\n    try:\n        pass\n    except BaseException:\n        pass"
STUBBORN = "scenario.log('on')\nwhile True:\n    scenario.sleep(1)\n    import time; time.sleep(1)"


class TestEnding:
    def test_told_to_stop_it_leaves_things_in_order(self) -> None:
        with played("scenario.log('on')\nwhile scenario.wait():\n    pass\nscenario.log('tidied up')") as run:
            run.until(run.said)
            run.run.stop("by hand", time.monotonic())
            assert run.run.stopping and run.run.stopped_by_us
            assert run.end() == (STOPPED, [])
        assert run.said() == ["on", "tidied up"]

    def test_or_is_killed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(running, "STOP_S", 0.2)
        with played(STUBBORN) as run:
            run.until(run.said)
            run.run.stop("by hand", time.monotonic())
            kind, lines = run.end()
        assert kind == STOPPED and "was killed" in lines[0]

    def test_an_error_while_it_tidies_up_is_told(self) -> None:
        with played("scenario.log('on')\nscenario.wait()\n1 / 0") as run:
            run.until(run.said)
            run.run.stop("by hand", time.monotonic())
            kind, lines = run.end()
        assert kind == "error" and lines[-1].startswith("ZeroDivisionError")

    def test_its_time_is_over(self) -> None:
        with played("while scenario.wait():\n    pass\nscenario.log('bye')", limit_s=0.3) as run:
            assert run.run.due_at() is not None
            assert run.end().kind == TIMEOUT
        assert not run.run.stopped_by_us and run.said() == ["bye"]

    def test_a_process_that_vanishes(self) -> None:
        with played(STUBBORN) as run:
            run.until(run.said)
            assert run.launched.process is not None
            run.launched.process.kill()
            kind, lines = run.end()
        assert kind == DIED and lines == ["its process was killed by signal 9"]

    def test_a_last_word_on_standard_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            launching, "PROGRAM", "import sys, os; os.write(2, b'no such thing'); sys.exit(3)"
        )
        with played("") as run:
            assert run.end() == (DIED, ["its process ended with status 3", "no such thing"])

    def test_one_that_hangs_up_and_stays_is_killed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(running, "LEAVE_S", 0.1)
        monkeypatch.setattr(launching, "PROGRAM", "import os, time; os.close(0); time.sleep(60)")
        with played("") as run:
            assert run.end().kind == DIED


class TestTalking:
    def test_the_last_value_is_what_counts(self) -> None:
        """A scenario that does not listen for a while must not cost memory, nor see old values."""
        code = """
scenario.log('on')
seen = []
while 99_999 not in seen:
    scenario.wait()
    seen.append(scenario['t'].value)
scenario.log(str(len(seen)))
"""
        with played(code, entries={"t": {}}) as run:
            run.until(run.said)
            assert run.launched.process is not None
            run.launched.process.send_signal(signal.SIGSTOP)
            for number in range(100_000):
                run.run.update({"t": {"value": number, "quality": "good", "pad": "x" * 50}})
            assert run.run.wants_room and len(run.run._updates) == 1
            run.launched.process.send_signal(signal.SIGCONT)
            assert run.end().kind == DONE
        assert int(run.said()[1]) < 10_000

    def test_answers_that_nobody_reads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(running, "UNREAD_BYTES", 10_000)
        with played(STUBBORN) as run:
            run.until(run.said)
            while run.run.connection is not None:
                run.run.open_requests += 1
                run.run.answer(1, "x" * 5000)
            kind, lines = run.end()
        assert kind == DIED and "did not read" in lines[0]

    def test_an_answer_that_can_t_be_sent_becomes_an_error(self) -> None:
        code = "try:\n    scenario.cron.list_keys()\nexcept RequestError as error:\n    print(error)"
        with played(code) as run:
            run.until(lambda: any("do" in message for message in run.messages))
            run.run.open_requests += 1
            run.run.answer(1, float("nan"))
            assert run.end().kind == DONE
        assert "can't be sent" in run.said()[0]

    def test_a_flood_waits_in_its_own_process(self) -> None:
        with played("while True:\n    scenario.log('x')") as run:
            begin = time.monotonic()
            heard = 0
            while time.monotonic() - begin < 1.0:
                if run.run.may_speak(time.monotonic()):
                    before = len(run.messages)
                    run.step(0.01)
                    heard += len(run.messages) - before
                else:
                    time.sleep(0.01)
        # One read of 64 kB takes about 2000 lines; then it waits until they are paid for.
        assert 100 < heard < 6000

    @pytest.mark.parametrize(
        "sent", ["nonsense\\n", "[]\\n", '{"end": 5}\\n', '{"end": "done"}\\n', "\\xff\\n"]
    )
    def test_lies(self, sent: str) -> None:
        with played(
            f"import os\nos.write(0, {sent!r}.encode('latin-1').replace(b'\\\\n', b'\\n'))\n"
            "scenario.sleep(0.2)\nos._exit(0)"
        ) as run:
            kind, lines = run.end()
        assert kind == DIED and lines


def test_no_process_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(OSError):
        launch(None, b"{}\n")


class Systemd:
    """Accepts connections as a socket unit with Accept=yes does, and starts the program for each."""

    def __init__(self, path: Path, listen_fds: bool) -> None:
        self.children: list[subprocess.Popen[bytes]] = []
        self._listen_fds = listen_fds
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen(5)
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            module = [sys.executable, "-m", "raspy.servers.core.sandbox"]
            if self._listen_fds:
                start = (
                    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ.update(LISTEN_FDS='1',"
                    " LISTEN_PID=str(os.getpid())); os.execv(sys.argv[2], sys.argv[2:])"
                )
                command = [sys.executable, "-c", start, str(connection.fileno()), *module]
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    pass_fds=[connection.fileno(), 3] if connection.fileno() != 3 else [3],
                )
            else:
                child = subprocess.Popen(module, stdin=connection.fileno())
            connection.close()
            self.children.append(child)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(30)
        self._socket.close()
        for child in self.children:
            child.kill()
            child.wait()


@pytest.fixture(params=[False, True], ids=["standard input", "LISTEN_FDS"])
def systemd(run_dir: Path, request: pytest.FixtureRequest) -> Iterator[Systemd]:
    one = Systemd(run_dir / "scenario.sock", request.param)
    yield one
    one.close()


class TestSystemd:
    def test_starts_it_and_closing_the_connection_ends_it(self, systemd: Systemd, run_dir: Path) -> None:
        code = "print(scenario.name)\n" + DEAF
        one = Played(code, path=run_dir / "scenario.sock")
        one.until(one.said)
        assert one.launched.process is None and one.said() == ["try"]
        one.run.stop("by hand", time.monotonic())
        one.run.kill()
        assert one.end() == (STOPPED, [f"it did not end within {running.STOP_S:g} s and was killed"])
        assert systemd.children[0].wait(30) == -9

    def test_tells_how_it_ended(self, systemd: Systemd, run_dir: Path) -> None:
        one = Played("1 / 0", path=run_dir / "scenario.sock")
        assert one.end().lines[-1] == "ZeroDivisionError: division by zero"
        assert systemd.children[0].wait(30) == 0

    def test_dead_without_a_word(self, systemd: Systemd, run_dir: Path) -> None:
        one = Played(STUBBORN, path=run_dir / "scenario.sock")
        one.until(one.said)
        systemd.children[0].kill()
        assert one.end() == (DIED, ["its process ended"])


def test_a_socket_without_a_listener_is_an_error(run_dir: Path) -> None:
    path = run_dir / "scenario.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    with pytest.raises(ConnectionRefusedError):
        launch(path, b"{}\n")


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=60), max_size=6))
def test_whatever_it_sends_core_goes_on(pieces: list[bytes]) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    reading, lifeline = os.pipe()
    try:
        run = Run(1, {}, b"", Launched(ours, lifeline, None, 0), 0.0, 0.0)
        for piece in pieces:
            if run.connection is not None:
                theirs.sendall(piece + b"\n")
                for message in run.read():
                    assert isinstance(message, dict)
        theirs.close()
        while run.connection is not None:
            list(run.read())
        assert run.tick(0.0)
        assert run.outcome().kind in (DIED, DONE, "error", "memory", "processor")
    finally:
        theirs.close()
        os.close(reading)


def test_messages_are_lines() -> None:
    assert encode({"a": 1}) == b'{"a":1}\n'


def test_a_process_that_does_not_take_its_job(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(socket, "send_fds", refuse)
    with pytest.raises(BrokenPipeError):
        launch(None, b"{}\n")
