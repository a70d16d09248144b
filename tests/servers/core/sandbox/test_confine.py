# SPDX-License-Identifier: GPL-3.0-or-later
"""The walls around a scenario: real processes that try to get out, as whoever runs the tests (root in CI)."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from raspy.servers.core.runner.run import DIED
from raspy.servers.core.sandbox import confine
from raspy.servers.core.sandbox.wire import DONE, ERROR, MEMORY, PROCESSOR
from tests.servers.core.playing import played


@pytest.mark.parametrize(
    "code",
    [
        "open('/etc/shadow').read()",
        "open('/etc/passwd').read()",
        "open('/proc/self/environ').read()",
        "open('/tmp/raspy-was-here', 'w')",
        "import os\nos.listdir('/')",
        "import os\nos.stat('/etc')",
        "import os\nos.mkdir('/tmp/raspy-was-here')",
        "import os\nos.unlink('/tmp')",
        "import os\nos.fork()",
        "import os\nos.posix_spawn('/bin/true', ['true'], {})",
        "import os\nos.execv('/bin/sh', ['sh', '-c', 'id'])",
        "import os\nos.kill(os.getppid(), 9)",
        "import os\nos.kill(1, 0)",
        "import os\nos.setuid(0)",
        "import os\nos.pipe()",
        "import os\nos.dup(0)",
        "import os\nos.close(0)",
        "import os\nos.memfd_create('x')",
        "import os\nos.chroot('.')",
        "import os\nos.nice(-5)",
        "import _socket\n_socket.socket()",
        "import socket\nsocket.socket(socket.AF_UNIX)",
        "import socket\nsocket.socketpair()",
        "import _thread\n_thread.start_new_thread(print, ())",
        "import signal\nsignal.signal(signal.SIGPROF, signal.SIG_IGN)",
        "import fcntl_ as x",
        "import ctypes",
        "import subprocess",
        "import multiprocessing",
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    ],
)
def test_is_refused(code: str) -> None:
    with played(code) as run:
        kind, lines = run.end()
    assert kind == ERROR, (kind, lines)
    assert lines[-1].split(":")[0] in {
        "PermissionError",
        "ModuleNotFoundError",
        "ValueError",
        "RuntimeError",
        "gaierror",
    }, lines
    assert not Path("/tmp/raspy-was-here").exists()


def test_a_shell_is_not_to_be_had() -> None:
    with played("import os\nprint(os.system('touch /tmp/raspy-was-here'))") as run:
        assert run.end().kind == DONE
    assert run.said() != ["0"] and not Path("/tmp/raspy-was-here").exists()


def test_memory_that_runs_is_not_to_be_had() -> None:
    code = "import mmap\nmmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)"
    with played(code) as run:
        assert run.end().kind == ERROR


@pytest.mark.parametrize("code", ["x = bytearray(10**9)", "x = []\nwhile True:\n    x.append('x' * 1000)"])
def test_a_gigabyte_is_refused_and_told(code: str) -> None:
    with played(code) as run:
        kind, lines = run.end()
    assert kind == MEMORY and lines[0].startswith("line ") and lines[-1].startswith("MemoryError")


def test_an_endless_loop_is_ended_with_its_line() -> None:
    with played("def spin():\n    while True:\n        pass\nspin()", cpu_s=0.3) as run:
        kind, lines = run.end()
    assert kind == PROCESSOR and lines[0] == "line 4, in <module>: spin()"


def test_one_long_operation_is_ended_too() -> None:
    with played(
        "while True:\n    try:\n        10 ** 10 ** 8\n    except BaseException:\n        pass", cpu_s=0.1
    ) as run:
        kind, lines = run.end()
    assert kind == PROCESSOR and "one operation" in lines[0]


def test_the_kernel_kills_it_when_the_lifeline_is_cut_whatever_it_does() -> None:
    code = "scenario.log('on')\nwhile True:\n    try:\n        pass\n    except BaseException:\n        pass"
    with played(code) as run:
        run.until(run.said)
        os.close(run.run._lifeline)
        run.run._lifeline = -1
        kind, lines = run.end(5)
    assert kind == DIED and "signal 9" in lines[0]


def test_it_has_nobody_s_rights_and_the_lowest_priority() -> None:
    with played("scenario.log('on')\nscenario.wait()") as run:
        run.until(run.said)
        assert run.launched.process is not None
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{run.launched.process.pid}/status").read_text().splitlines()
            if ":\t" in line
        )
        nice = os.getpriority(os.PRIO_PROCESS, run.launched.process.pid)
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2" and int(status["CapEff"], 16) == 0
    assert set(status["Uid"].split()) == {str(confine.NOBODY if os.geteuid() == 0 else os.geteuid())}
    assert nice >= confine.NICE


def test_it_inherits_no_descriptor_of_core_s() -> None:
    secret = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(secret, True)
    try:
        with played(f"import os\nprint(os.read({secret}, 10))") as run:
            assert run.end().kind == ERROR
    finally:
        os.close(secret)


class TestHere:
    """The same calls in this process, recorded where they can't be taken back."""

    def test_lock_holds_for_the_thread_that_calls_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[object] = []

        def locked() -> None:
            confine.lock()
            try:
                os.open("/etc/passwd", os.O_RDONLY)
            except PermissionError as error:
                seen.append(error)

        thread = threading.Thread(target=locked)
        thread.start()
        thread.join(10)
        assert len(seen) == 1
        assert Path("/etc/passwd").exists(), "only that thread was locked in"

    def test_a_call_that_the_library_does_not_know_stays_forbidden(self) -> None:
        import seccomp

        confine._allow(seccomp.SyscallFilter(seccomp.ERRNO(1)), "no_such_call")

    def test_walls_come_up_in_order(self, monkeypatch: pytest.MonkeyPatch) -> None:
        done: list[str] = []
        monkeypatch.setattr(resource, "setrlimit", lambda which, limits: done.append(f"limit {which}"))
        monkeypatch.setattr(os, "nice", lambda by: done.append(f"nice {by}"))
        monkeypatch.setattr(confine, "lock", lambda: done.append("lock"))
        monkeypatch.setattr(confine, "arm", lambda lifeline: done.append(f"arm {lifeline}"))
        confine.walls(7, 64)
        confine.walls(None, 64)
        assert done[0] == "arm 7" and done.count("lock") == 2 and done[-1] == "lock"
        for which in (resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC, resource.RLIMIT_CORE):
            assert done.count(f"limit {which}") == 2

    def test_under_a_unit_that_has_limits_of_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def forbidden(by: int) -> None:
            raise PermissionError

        set_to: list[tuple[int, int]] = []
        monkeypatch.setattr(os, "nice", forbidden)
        monkeypatch.setattr(resource, "getrlimit", lambda which: (1000, 1000))
        monkeypatch.setattr(resource, "setrlimit", lambda which, limits: set_to.append(limits))
        confine.limit(64)
        assert sorted(set_to) == [(0, 0), (0, 0), (0, 0), (1000, 1000)]

    def test_the_lifeline_signals(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(confine.signal, "SIGKILL", signal.SIGUSR1)  # this process is to survive it
        got: list[int] = []
        before = signal.signal(signal.SIGUSR1, lambda number, frame: got.append(number))
        reading, writing = os.pipe()
        try:
            confine.arm(reading)
            os.close(writing)
            deadline = time.monotonic() + 5
            while not got and time.monotonic() < deadline:
                time.sleep(0.001)
        finally:
            signal.signal(signal.SIGUSR1, before)
            os.close(reading)
        assert got == [signal.SIGUSR1]
        assert fcntl.F_SETOWN != confine.F_SETSIG

    def test_root_becomes_nobody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        done: list[object] = []
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(os, "setgroups", done.append)
        monkeypatch.setattr(os, "setresgid", lambda *ids: done.append(ids))
        monkeypatch.setattr(os, "setresuid", lambda *ids: done.append(ids))
        confine.drop_root()
        assert done == [[], (65534,) * 3, (65534,) * 3]
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        confine.drop_root()
        assert len(done) == 3


def test_without_seccomp_it_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "seccomp", None)  # type: ignore[arg-type]
    with pytest.raises(ImportError):
        confine.lock()
