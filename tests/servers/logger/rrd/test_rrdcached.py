# SPDX-License-Identifier: GPL-3.0-or-later
"""rrdcached's protocol, and the daemon as a child process."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.servers.logger.rrd import archives
from raspy.servers.logger.rrd import rrdcached as module
from raspy.servers.logger.rrd.backend import Backend
from raspy.servers.logger.rrd.rrdcached import RrdCached, RrdCachedChild, RrdError, escape, parse_fetch
from tests.support.leaks import alive
from tests.support.processes import child_env
from tests.support.waiting import wait_for

START = 1_700_000_000


@pytest.fixture
def connection(rrdcached: Backend) -> Iterator[RrdCached]:
    opened = rrdcached.connect()
    assert isinstance(opened, RrdCached)
    yield opened
    opened.close()


@contextmanager
def answering(path: Path, *answers: bytes) -> Iterator[Path]:
    """A peer that answers each line it gets with the next of *answers*, then hangs up."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        peer, _ = listener.accept()
        with peer, peer.makefile("rb") as lines:
            for answer in answers:
                lines.readline()
                peer.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    yield path
    thread.join(10)
    listener.close()


def test_a_command_and_its_refusal(connection: RrdCached) -> None:
    assert connection.command("PING") == ["PONG"]
    assert len(connection.command("STATS")) == 9
    with pytest.raises(RrdError, match="Unknown command"):
        connection.command("DANCE")
    assert connection.command("PING") == ["PONG"]


def test_a_batch_says_which_were_refused_and_why(connection: RrdCached, rrd_dir: Path) -> None:
    path = rrd_dir / "x.rrd"
    archives.create(connection, path, "GAUGE", START)
    good, missing = escape(str(path)).encode(), escape(str(rrd_dir / "none.rrd")).encode()
    refused = connection.update(
        [
            good + b" 1700000010:1",
            missing + b" 1700000020:1",
            good + b" 1700000010:1",
            good + b" 1700000020:1",
        ]
    )
    assert [place for place, _why in refused] == [1, 2]
    assert "No such file" in refused[0][1] and refused[1][1].startswith("illegal attempt to update")
    assert connection.command("PENDING", path) == ["1700000010:1", "1700000020:1"]


def test_nothing_outside_the_folder_is_written(
    connection: RrdCached, run_dir: Path, shared_dir: Path
) -> None:
    with pytest.raises(RrdError):
        archives.create(connection, run_dir / "outside.rrd", "GAUGE", START)
    with pytest.raises(RrdError):
        archives.create(connection, shared_dir / ".." / "outside.rrd", "GAUGE", START)
    assert not (shared_dir.parent / "outside.rrd").exists()
    assert not list(run_dir.rglob("outside.rrd"))


@pytest.mark.parametrize("answer", [b"what?\n", b"-1 an error of\ntwo lines\n", b"2 lines\none\n", b""])
def test_an_answer_that_is_none_ends_the_connection(run_dir: Path, answer: bytes) -> None:
    with answering(run_dir / "s", answer) as path:
        connection = RrdCached(path)
        with pytest.raises((RrdError, OSError)):
            connection.command("PING")
        with pytest.raises(OSError):
            connection.command("PING")
        connection.close()
        connection.close()


@pytest.mark.parametrize(
    "answers", [(b"-1 no\n",), (b"0 Go ahead\n", b"-1 no\n"), (b"0 Go ahead\n", b"1 errors\nx\n")]
)
def test_a_batch_that_goes_wrong_is_as_good_as_a_lost_connection(
    run_dir: Path, answers: tuple[bytes, ...]
) -> None:
    with answering(run_dir / "s", *answers) as path:
        connection = RrdCached(path)
        with pytest.raises(ConnectionError):
            connection.update([b"x 1:1"])
        connection.close()


def test_nobody_listens(run_dir: Path) -> None:
    with pytest.raises(FileNotFoundError):
        RrdCached(run_dir / "none")


def test_no_answer_in_time(run_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(run_dir / "s"))
        listener.listen()
        connection = RrdCached(run_dir / "s", timeout_s=0.05)
        with pytest.raises(TimeoutError):
            connection.command("PING")
        connection.close()


@given(st.text(st.characters(blacklist_characters="\n", blacklist_categories=["Cs"]), min_size=1))
def test_escaped_words_are_one_word(word: str) -> None:
    words, current, skip = [], "", False
    for letter in escape(word):
        if skip:
            current, skip = current + letter, False
        elif letter == "\\":
            skip = True
        elif letter == " ":
            words.append(current)
            current = ""
        else:
            current += letter
    assert [*words, current] == [word]


def test_rows_of_a_fetch() -> None:
    step, rows = parse_fetch(
        ["FlushVersion: 1", "Step: 60", "DSName: value", " 60: 1.5e+00", "120: -nan", ""]
    )
    assert step == 60 and rows[0] == (60, 1.5) and rows[1][1] != rows[1][1]
    assert parse_fetch(["60: 1"]) == (0, [(60, 1.0)])


# -- the child -------------------------------------------------------------------------------------


@pytest.fixture
def own_dir(run_dir: Path) -> Path:
    """A folder for an rrdcached that the test may kill."""
    folder = run_dir / "rrd"
    folder.mkdir()
    return folder


def test_the_child_writes_what_it_holds_when_it_is_stopped(own_dir: Path) -> None:
    child = RrdCachedChild(own_dir)
    assert child.pid is None
    with pytest.raises(ConnectionError, match="does not run"):
        child.connect()
    child.start()
    connection = child.connect()
    path = own_dir / "x.rrd"
    archives.create(connection, path, "GAUGE", START)
    connection.update([escape(str(path)).encode() + b" 1700000060:5"])
    connection.close()
    assert child.pid is not None and child.socket.exists()
    child.stop()
    child.stop()
    assert child.pid is None and not child.socket.exists()
    info = subprocess.run(["rrdtool", "last", path], capture_output=True, text=True, check=True)
    assert info.stdout.strip() == "1700000060"
    assert [one.name for one in own_dir.parent.iterdir()] == ["rrd"]


def test_a_killed_child_is_started_again(own_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rrdcached = Backend("auto", own_dir, logging.getLogger("test"))
    rrdcached.keep()
    assert rrdcached.child is not None
    rrdcached.connect().close()
    first = rrdcached.child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    child = rrdcached.child
    wait_for(lambda: child.pid is None, what="the child's end")
    rrdcached.keep()
    assert child.pid is None, "not at once: it may end each time"
    monkeypatch.setattr(rrdcached, "_again_at", 0.0)
    rrdcached.keep()
    rrdcached.connect().close()
    assert child.pid not in (None, first)
    rrdcached.close()


def test_a_long_path_gets_a_short_socket(run_dir: Path) -> None:
    folder = run_dir / ("x" * 100) / "rrd"
    folder.mkdir(parents=True)
    child = RrdCachedChild(folder)
    assert len(os.fsencode(child.socket)) <= module.SOCKET_PATH_MAX
    child.start()
    child.connect().close()
    child.stop()
    assert not child.socket.parent.exists()


def test_a_child_that_hangs_is_killed(own_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_S", 0.1)
    child = RrdCachedChild(own_dir)
    child.start()
    child.connect().close()
    pid = child.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    child.stop()
    assert not alive(pid)


def test_a_child_that_does_not_listen(own_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "START_S", 0.05)
    monkeypatch.setattr(RrdCachedChild, "_command", lambda self: ["sleep", "60"])
    child = RrdCachedChild(own_dir)
    child.start()
    with pytest.raises(FileNotFoundError):
        child.connect()
    child.stop()


PARENT = """
import sys
from pathlib import Path
from raspy.servers.logger.rrd.rrdcached import RrdCachedChild
child = RrdCachedChild(Path(sys.argv[1]))
child.start()
child.connect().close()
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_the_child_dies_with_a_killed_parent(own_dir: Path, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, own_dir],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=child_env(tmp_path),
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
        parent.wait(10)
    wait_for(lambda: not alive(pid), what="the end of rrdcached")
