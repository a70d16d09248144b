# SPDX-License-Identifier: GPL-3.0-or-later
"""A text log: rotated, bounded, readable after a power cut."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from raspy.servers.logger import CompressedFile
from raspy.servers.logger.text import compressed
from tests.support.logger import full_disk
from tests.support.processes import child_env
from tests.support.waiting import wait_for


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "pump.log"


class Clock:
    """A clock that goes on by hand."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def messages(lines: list[str]) -> list[str]:
    return [json.loads(line)["message"] for line in lines]


def files(path: Path) -> list[str]:
    return sorted(one.name for one in path.parent.iterdir())


def test_a_line_is_json_with_time_and_level(path: Path) -> None:
    log = CompressedFile(path, clock=lambda: 1_700_000_000.12345)
    log.open()
    log.log("warning", "door open", key="door", count=3)
    (line,) = log.readlines()
    assert json.loads(line) == {
        "time": 1_700_000_000.123,
        "level": "warning",
        "message": "door open",
        "key": "door",
        "count": 3,
    }
    log.close()
    log.close()
    assert log.readlines() == [line]


def test_the_default_is_that_of_the_manual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log = CompressedFile()
    log.log("info", "hello")
    log.close()
    assert messages(CompressedFile("log1.log", "r").readlines(0, -1, 20)) == ["hello"]


def test_the_newest_lines_of_a_range_oldest_first(path: Path) -> None:
    clock = Clock()
    log = CompressedFile(path, clock=clock)
    for number in range(50):
        log.log("info", f"line {number}")
        clock.now += 10
        if number % 7 == 0:
            log.rotate()
    start = 1_700_000_000
    assert messages(log.readlines()) == [f"line {number}" for number in range(30, 50)]
    assert messages(log.readlines(limit=3)) == ["line 47", "line 48", "line 49"]
    assert messages(log.readlines(start + 100, start + 120)) == ["line 10", "line 11", "line 12"]
    assert messages(log.readlines(start + 100, start + 300, 2)) == ["line 29", "line 30"]
    assert messages(log.readlines(end=start + 10)) == ["line 0", "line 1"]
    assert log.readlines(start + 10_000) == [] == log.readlines(limit=0)
    log.close()


def test_a_time_may_be_given(path: Path) -> None:
    log = CompressedFile(path)
    log.log("info", "then", time=1_600_000_000)
    assert json.loads(log.readlines()[0])["time"] == 1_600_000_000
    log.close()


def test_read_only(path: Path) -> None:
    log = CompressedFile(path, "r")
    assert log.readlines() == []
    with pytest.raises(ValueError, match="read only"):
        log.log("info", "no")
    with pytest.raises(ValueError, match="read only"):
        log.open()
    with pytest.raises(ValueError, match="must be one of"):
        CompressedFile(path, "w")


def test_no_file_begins_without_a_line(path: Path) -> None:
    log = CompressedFile(path)
    log.open()
    log.flush()
    log.rotate()
    log.close()
    assert files(path) == []


def test_every_start_and_every_rotation_begins_a_file(path: Path) -> None:
    for start in range(2):
        log = CompressedFile(path)
        log.log("info", f"start {start}")
        log.rotate()
        log.log("info", f"rotated {start}")
        log.close()
    assert files(path) == [f"pump.log.{number:06d}.gz" for number in range(1, 5)]
    assert messages(log.readlines()) == ["start 0", "rotated 0", "start 1", "rotated 1"]


def test_rotation_by_size(path: Path) -> None:
    log = CompressedFile(path, max_bytes=2000)
    for number in range(300):
        log.log("info", f"{number} {hash(str(number))} {hash(-number * 7919)}")
        if number % 10 == 0:
            log.flush()
    log.close()
    assert len(files(path)) > 3
    assert all(one.stat().st_size < 2600 for one in path.parent.iterdir())
    assert len(log.readlines(limit=1000)) == 300


def test_rotation_by_age(path: Path) -> None:
    clock = Clock()
    log = CompressedFile(path, max_age_s=3600, clock=clock)
    log.log("info", "old")
    log.flush()
    clock.now += 3601
    log.log("info", "new")
    log.flush()
    log.log("info", "newer")
    log.close()
    assert len(files(path)) == 2


def test_the_folder_is_bounded_and_what_is_written_stays(path: Path) -> None:
    """The oldest files go, of all logs of the folder; never the newest of a log."""
    quiet = CompressedFile(path.with_name("quiet.log"), folder_bytes=40_960)
    quiet.log("info", "long ago")
    quiet.flush()
    log = CompressedFile(path, folder_bytes=40_960)
    for number in range(30):
        log.log("info", f"line {number}")
        log.rotate()
    log.log("info", "line 30")
    log.close()
    quiet.close()
    assert len(files(path)) == 10
    assert messages(quiet.readlines()) == ["long ago"]
    assert messages(log.readlines()) == [f"line {number}" for number in range(22, 31)]


def test_other_files_of_the_folder_are_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.with_name("notes.txt").write_text("mine")
    path.with_name("other.log.000001.gz").write_bytes(b"damaged")
    log = CompressedFile(path, folder_bytes=1)
    log.log("info", "one")
    log.close()
    assert files(path) == ["notes.txt", "other.log.000001.gz", "pump.log.000001.gz"]


def test_a_file_that_is_not_ours_has_no_lines(path: Path) -> None:
    log = CompressedFile(path)
    log.log("info", "one")
    log.close()
    import gzip

    path.with_name("pump.log.000002.gz").write_bytes(
        gzip.compress(b'[1]\nno json\n{"message": "no time"}\n"text"\n')
    )
    assert messages(log.readlines()) == ["one"]


def test_old_files_are_not_even_opened(path: Path) -> None:
    log = CompressedFile(path)
    log.log("info", "one", time=1_700_000_000)
    log.close()
    (file,) = path.parent.iterdir()
    file.chmod(0)
    import os

    os.utime(file, (1_700_000_000, 1_700_000_000))
    assert log.readlines(start=1_700_000_000 + 3 * 86400) == []


def test_long_messages_are_cut_and_long_fields_left_out(path: Path) -> None:
    log = CompressedFile(path)
    log.log("info", "x" * 5000)
    log.log("info", "short", extra="y" * 10_000)
    first, second = map(json.loads, log.readlines())
    assert first["message"] == "x" * compressed.MAX_MESSAGE
    assert second["message"] == "short" and "extra" not in second
    log.close()


def test_a_value_that_is_no_json_is_refused(path: Path) -> None:
    log = CompressedFile(path)
    with pytest.raises(ValueError, match="JSON"):
        log.log("info", "bad", value=float("nan"))
    log.log("info", "lone surrogate \ud800")
    assert len(log.readlines()) == 1
    log.close()


def test_when_a_flush_is_due(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(compressed.time, "monotonic", lambda: now)
    log = CompressedFile(path, flush_s=60)
    assert not log.due()
    log.log("info", "one")
    now += 57
    log.log("info", "two")
    assert not log.due()
    now += 1.5
    assert log.due()
    log.flush()
    assert not log.due()
    log.close()


def test_a_full_disk_drops_only_what_is_too_much_and_goes_on(path: Path) -> None:
    log = CompressedFile(path)
    log.log("info", "before")
    log.flush()
    assert log._file is not None
    with full_disk(log._file):
        for number in range(20_000):
            log.log("info", f"{number} {hash(str(number))} {hash(-number * 7919)}")
        with pytest.raises(OSError, match="No space left"):
            log.flush()
        assert log.dropped > 0
        assert len(log.readlines(limit=5)) == 1
    taken = 20_001 - log.dropped
    log.flush()
    log.log("info", "after")
    log.close()
    lines = messages(log.readlines(limit=30_000))
    assert lines[0] == "before" and lines[-1] == "after"
    assert len(lines) == taken + 1


def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log = CompressedFile(tmp_path / "file" / "a.log")
    for number in range(compressed.MAX_WAITING + 10):
        log.log("info", str(number))
    assert log.dropped == 10
    with pytest.raises(OSError, match="File exists"):
        log.flush()
    with pytest.raises(OSError, match="File exists"):
        log.close()


WRITER = """
import sys
from raspy.servers.logger import CompressedFile
log = CompressedFile(sys.argv[1])
for number in range(1000):
    log.log("info", f"line {number}")
log.flush()
for number in range(1000, 1010):
    log.log("info", f"line {number}")
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_killed_writer_loses_only_what_came_after_its_last_flush(path: Path, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=child_env(tmp_path),
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        child.send_signal(signal.SIGKILL)
        child.wait(10)
    log = CompressedFile(path)
    lines = messages(log.readlines(limit=2000))
    assert lines[:1000] == [f"line {number}" for number in range(1000)]
    log.log("info", "the next start")
    assert messages(log.readlines(limit=2)) == [lines[-1], "the next start"]
    log.close()


def test_a_file_that_the_bound_takes_while_it_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = CompressedFile(path)
    for number in range(3):
        log.log("info", f"line {number}")
        log.rotate()
    log.close()
    gone = path.with_name("pump.log.000002.gz")
    original = CompressedFile._files

    def taken(self: CompressedFile) -> list[tuple[int, Path]]:
        found = original(self)
        gone.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(CompressedFile, "_files", taken)
    assert messages(log.readlines()) == ["line 0", "line 2"]


def test_threads_write_and_read_at_once(path: Path) -> None:
    import threading

    log = CompressedFile(path, max_bytes=500)

    def write(name: str) -> None:
        for number in range(200):
            log.log("info", f"{name}{number}")
            if number % 20 == 0:
                log.flush(sync=False)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(log.readlines(limit=1000)) > 100 or not any(t.is_alive() for t in threads))
    for thread in threads:
        thread.join(10)
    log.close()
    assert len(log.readlines(limit=1000)) == 600
