# SPDX-License-Identifier: GPL-3.0-or-later
"""A scenario's process from the inside: what the code sees and does, with core played by the test.

Here the walls are left out, so that it runs in this process; test_confine has them.
"""

from __future__ import annotations

import builtins
import os
import runpy
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from raspy.servers.core.sandbox import child, confine, link
from raspy.servers.core.sandbox.wire import Lines, WireError, encode

Answers = Callable[[dict[str, Any]], list[dict[str, Any]]]


class PlayedCore:
    """Core's end of the connection, in a thread: sends the job, answers requests as told."""

    def __init__(self, job: dict[str, Any], answers: Answers) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.settimeout(10)
        self.messages: list[dict[str, Any]] = []
        self._job = job
        self._answers = answers
        self.thread = threading.Thread(target=self._play)
        self.thread.start()

    def _play(self) -> None:
        self.ours.sendall(encode(self._job))
        lines = Lines()
        while data := self.ours.recv(65536):
            for message in lines.feed(data):
                self.messages.append(message)
                for answer in self._answers(message):
                    self.ours.sendall(encode(answer))

    def close(self) -> None:
        self.theirs.close()
        self.thread.join(10)
        self.ours.close()

    def of(self, kind: str) -> list[Any]:
        return [message[kind] for message in self.messages if kind in message]


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Running a job changes this process; put it back."""
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    handler = signal.getsignal(signal.SIGPROF)
    yield
    signal.signal(signal.SIGPROF, handler)
    for name in ("scenario", "RequestError"):
        builtins.__dict__.pop(name, None)


def result(value: object) -> Answers:
    return lambda message: [{"id": message["id"], "result": value}] if "id" in message else []


def run(code: str, answers: Answers = lambda message: [], **job: Any) -> PlayedCore:
    """Run a job to its end."""
    full = {
        "name": "try",
        "code": code,
        "reason": {"by": "hand"},
        "entries": {},
        "memory_mb": 64,
        "cpu_s": 0,
        **job,
    }
    core = PlayedCore({"job": full}, answers)
    try:
        child.run(core.theirs, walls=lambda lifeline, memory_mb: None)
    finally:
        core.close()
    return core


def test_from_the_job_to_the_end() -> None:
    core = run("print('one', 2)\nprint('th', end='')\nprint('ree')\nscenario.log('oh', 'error')")
    assert core.messages == [
        {"ready": True},
        {"log": "one 2", "level": "info"},
        {"log": "three", "level": "info"},
        {"log": "oh", "level": "error"},
        {"end": "done", "lines": []},
    ]


@pytest.mark.parametrize(
    ("code", "kind", "lines"),
    [
        (
            "def f():\n    return 1 / 0\n\nf()",
            "error",
            ["line 4, in <module>: f()", "line 2, in f: return 1 / 0", "ZeroDivisionError: division by zero"],
        ),
        ("raise MemoryError", "memory", ["line 1, in <module>: raise MemoryError", "MemoryError: "]),
        (
            "import json\njson.loads('x')",
            "error",
            [
                "line 2, in <module>: json.loads('x')",
                "JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
            ],
        ),
        ("raise SystemExit(5)", "done", []),
        (
            "raise KeyboardInterrupt",
            "error",
            ["line 1, in <module>: raise KeyboardInterrupt", "KeyboardInterrupt: "],
        ),
        ("a b", "error", ["line 1, column 3: a b", "SyntaxError: invalid syntax (<try>, line 1)"]),
        (
            "import socketserver_",
            "error",
            [
                "line 1, in <module>: import socketserver_",
                "ModuleNotFoundError: No module named 'socketserver_'",
            ],
        ),
        (
            "class E(Exception):\n    def __str__(self): raise E\nraise E",
            "error",
            ["line 3, in <module>: raise E", "E"],
        ),
    ],
)
def test_how_it_ended(code: str, kind: str, lines: list[str]) -> None:
    assert run(code).messages[-1] == {"end": kind, "lines": lines}


def test_a_deep_traceback_keeps_its_two_ends() -> None:
    lines = run("def r(n):\n    return r(n + 1)\nr(0)").messages[-1]["lines"]
    assert lines[0] == "line 3, in <module>: r(0)" and lines[-1].startswith("RecursionError")
    assert len(lines) == child.TRACE_LINES + 2 and any("more ..." in line for line in lines)


class TestEntries:
    ENTRIES = {
        "t": {"value": 19.5, "quality": "good", "unit": "°C", "time": 5.0},
        "bad": {"value": None, "quality": "fault", "unit": "", "time": None, "error": "CRC"},
    }

    def logged(self, code: str, answers: Answers = lambda message: []) -> list[str]:
        return run(code, answers, entries=self.ENTRIES).of("log")

    def test_are_seen(self) -> None:
        assert self.logged("""
t, bad = scenario["t"], scenario["bad"]
print(t, t.value, t.good, t.unit, t.time)
print(bad.value, bad.good, bad.quality, bad.error)
print(scenario.value("t"), scenario.value("bad"), scenario.value("bad", -1), sorted(scenario.entries))
print(scenario.name, scenario.reason, scenario.stopped)
try:
    scenario["x"]
except KeyError as error:
    print("no", error)
""") == [
            "<t: 19.5 °C (good)> 19.5 True °C 5.0",
            "None False fault CRC",
            "19.5 None -1 ['bad', 't']",
            "try {'by': 'hand'} False",
            "no 'x'",
        ]

    def test_wait_tells_what_changed_and_when_to_stop(self) -> None:
        steps = iter([{"entries": {"t": {"value": 20, "quality": "good"}}}, {"stop": "enough"}])
        assert self.logged(
            """
scenario.log("next")
while scenario.wait():
    print(sorted(scenario.changed), scenario["t"].value)
    scenario.log("next")
print("stopped", scenario.stopped)
""",
            lambda message: [next(steps)] if message.get("log") == "next" else [],
        ) == ["next", "['t'] 20", "next", "stopped True"]

    def test_wait_ends_after_its_time(self) -> None:
        assert self.logged("print(scenario.wait(0.01), scenario.changed)") == ["True set()"]

    def test_sleep_is_not_disturbed_by_changes(self) -> None:
        change = {"entries": {"t": {"value": 20, "quality": "good"}}}
        assert self.logged(
            """
import time
scenario.log("next")
begin = time.monotonic()
print(scenario.sleep(0.2), time.monotonic() - begin >= 0.2, scenario["t"].value)
""",
            lambda message: [change] if message.get("log") == "next" else [],
        ) == ["next", "True True 20"]


class TestRequests:
    def asked(
        self, code: str, value: object = None, entries: dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        core = run(code, result(value), entries=entries or {"lamp": {}})
        assert core.messages[-1] == {"end": "done", "lines": []}, core.messages
        return [
            {key: value for key, value in message.items() if key != "id"}
            for message in core.messages
            if "do" in message
        ]

    @pytest.mark.parametrize(
        ("code", "wanted"),
        [
            (
                "scenario.command('lamp', True, hold=5, why='dark')",
                {"do": "command", "entry": "lamp", "value": True, "hold": 5, "why": "dark"},
            ),
            ("scenario.publish('x', 5, 'l')", {"do": "publish", "key": "x", "value": 5, "unit": "l"}),
            ("scenario.event('alarm', 'It burns')", {"do": "event", "kind": "alarm", "message": "It burns"}),
            ("scenario.cron.fire('a')", {"do": "cron.fire", "name": "a"}),
            (
                "scenario.cron.add('a', cron='0 8 * * *')",
                {"do": "cron.add", "name": "a", "definition": {"cron": "0 8 * * *"}},
            ),
            (
                "scenario.cron.update('a', active=False)",
                {"do": "cron.update", "name": "a", "definition": {"active": False}},
            ),
            ("scenario.cron.remove('a')", {"do": "cron.remove", "name": "a"}),
            ("assert scenario.scenarios.start('b') is False", {"do": "scenario.start", "name": "b"}),
            ("assert scenario.scenarios.stop('b') is False", {"do": "scenario.stop", "name": "b"}),
            ("assert scenario.scenarios.status('b') == 'None'", {"do": "scenario.status", "name": "b"}),
            ("assert scenario.cron.next('a') is None", {"do": "cron.next", "name": "a"}),
        ],
    )
    def test_are_passed_on(self, code: str, wanted: dict[str, Any]) -> None:
        assert self.asked(code) == [wanted]

    @pytest.mark.parametrize(
        ("code", "value"),
        [
            ("assert scenario.cron.next('a') == 5.0", [5]),
            ("assert scenario.cron.list_keys() == ['a']", ["a"]),
            ("assert scenario.scenarios.list_keys() == ['a']", ["a"]),
            ("assert scenario.now().isoformat() == '2026-03-01T12:00:00+01:00'", "2026-03-01T12:00:00+01:00"),
            (
                "sun = scenario.sun(); assert sun['dusk'] is None and sun['noon'].hour == 12",
                {"dusk": None, "noon": "2026-03-01T12:00:00+01:00"},
            ),
        ],
    )
    def test_bring_answers(self, code: str, value: object) -> None:
        assert len(self.asked(code, value)) == 1

    def test_may_be_refused(self) -> None:
        core = run(
            "try:\n    scenario.publish('x', 1)\nexcept RequestError as error:\n    print(error)",
            lambda message: [{"id": message["id"], "error": "no room"}] if "id" in message else [],
        )
        assert core.of("log") == ["no room"]

    def test_of_an_entry_that_is_none(self) -> None:
        assert self.asked("try:\n    scenario.command('x', 1)\nexcept KeyError:\n    pass") == []

    def test_what_json_can_t_carry_is_an_error_of_the_code(self) -> None:
        core = run("scenario.publish('x', {1, 2})", result(None))
        assert core.messages[-1]["lines"][-1].startswith("TypeError")


class TestLimits:
    def test_computing_for_too_long_is_told_with_the_line(self) -> None:
        end = run("x = 0\nwhile True:\n    x += 1", cpu_s=0.1).messages[-1]
        assert (
            end["end"] == "processor"
            and end["lines"][0].startswith("line ")
            and "ProcessorLimit" in end["lines"][1]
        )

    def test_waiting_is_no_computing(self) -> None:
        code = (
            "import time\nfor _ in range(3):\n    end = time.process_time() + 0.1\n"
            "    while time.process_time() < end: pass\n    scenario.wait(0.001)"
        )
        assert run(code, cpu_s=0.25).messages[-1]["end"] == "done"

    def test_a_line_without_an_end_is_cut(self) -> None:
        said = run("print('x' * 300_000, end='')").of("log")
        assert said == ["x" * 2000]


def test_strptime_is_ready_before_files_are_out_of_reach() -> None:
    sys.modules.pop("_strptime", None)
    child.preload(
        "import datetime\ndatetime.datetime.strptime('1', '%d')\nfrom collections import abc\nimport os, xyz"
    )
    assert "_strptime" in sys.modules and "xyz" not in sys.modules


def test_core_gone_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended(BaseException):
        pass

    def leave(status: int) -> None:
        raise Ended

    ours, theirs = socket.socketpair()
    monkeypatch.setattr(os, "_exit", leave)
    with ours, theirs:
        one = link.Link(theirs)
        ours.close()
        with pytest.raises(Ended):
            one.wait(None)


@pytest.mark.parametrize("sent", [b"", b"{}\n", b"nonsense\n", b'{"job": 5}\n'])
def test_without_a_job_it_ends(sent: bytes) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            ours.sendall(sent)
        with pytest.raises(WireError):
            child.run(theirs)


class TestMain:
    @pytest.mark.parametrize("environment", [{}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}])
    def test_the_connection_is_standard_input(
        self, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened: list[int] = []
        monkeypatch.setattr(socket, "socket", lambda fileno: opened.append(fileno))
        child.connection_of(environment)
        assert opened == [0]

    def test_or_what_systemd_passes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        opened: list[int] = []
        monkeypatch.setattr(socket, "socket", lambda fileno: opened.append(fileno))
        child.connection_of({"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())})
        assert opened == [3]

    def test_the_end(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        ours, theirs = socket.socketpair()
        monkeypatch.setattr(child, "connection_of", lambda environment: theirs)
        monkeypatch.setattr(confine, "drop_root", lambda: None)
        with theirs:
            ours.close()
            assert child.main() == 1
            assert "no job came" in capfd.readouterr().err
        monkeypatch.setattr(child, "run", lambda connection: None)
        assert child.main() == 0

    def test_the_program_leaves_without_tidying_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        left: list[int] = []
        monkeypatch.setattr(child, "main", lambda: 7)
        monkeypatch.setattr(os, "_exit", left.append)
        runpy.run_module("raspy.servers.core.sandbox", run_name="__main__")
        assert left == [7]
