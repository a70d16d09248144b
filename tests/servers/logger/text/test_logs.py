# SPDX-License-Identifier: GPL-3.0-or-later
"""All text logs together."""

import json
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.common.MDP import ClientError, NotFoundError
from raspy.servers.logger.text import logs as module
from raspy.servers.logger.text.logs import TextLogs
from tests.support.logger import full_disk

log = logging.getLogger("test")


def opened(folder: Path, **more: float) -> TextLogs:
    return TextLogs(folder / "log", int(more.get("max_bytes", 10_000_000)), more.get("flush_s", 60), log)


def event(message: str, time_s: float = 1_700_000_000.0, **more: object) -> bytes:
    return json.dumps({"time": time_s, "event": "kind", "message": message, **more}).encode()


def read(logs: TextLogs, key: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in logs.read(key, limit=100)]


def test_logs_are_found_again(tmp_path: Path) -> None:
    logs = opened(tmp_path)
    logs.write("pump", "info", "on")
    logs.write("door", "error", "open")
    assert logs.list_keys() == ["door", "pump"]
    logs.close()
    (tmp_path / "log" / "no key!.log.000001.gz").write_bytes(b"")
    again = opened(tmp_path)
    assert again.list_keys() == ["door", "pump"]
    assert [line["message"] for line in read(again, "pump")] == ["on"]
    assert logs.lines == 2
    again.close()


@pytest.mark.parametrize("key", ["", "..", "a/b", "../x", "a.b", "-a", "a" * 65, "ä", "a b", "a\n"])
def test_an_impossible_key(tmp_path: Path, key: str) -> None:
    logs = opened(tmp_path)
    with pytest.raises(ClientError, match="must be 1 to 64"):
        logs.write(key, "info", "x")
    with pytest.raises(NotFoundError):
        logs.read(key)
    assert list((tmp_path / "log").iterdir()) == []


def test_an_unknown_level(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="must be one of debug"):
        opened(tmp_path).write("a", "loud", "x")


def test_the_number_of_logs_is_bounded(tmp_path: Path) -> None:
    logs = opened(tmp_path)
    for number in range(module.LOGS_MAX):
        logs.write(f"log{number}", "info", "x")
    with pytest.raises(ClientError, match="64 logs already"):
        logs.write("one-more", "info", "x")
    logs.write("log0", "info", "y")
    logs.close()


def test_limits_of_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = opened(tmp_path)
    logs.write("a", "info", "x")
    for limit in (0, -1, module.LIMIT_MAX + 1):
        with pytest.raises(ClientError, match="limit"):
            logs.read("a", limit=limit)
    for number in range(50):
        logs.write("a", "info", f"{number:02d}")
    length = len(logs.read("a", limit=1)[0])
    monkeypatch.setattr(module, "BYTES_MAX", 3 * length)
    assert [line["message"] for line in read(logs, "a")] == ["47", "48", "49"]
    logs.close()


def test_an_event_becomes_a_line(tmp_path: Path) -> None:
    logs = opened(tmp_path)
    logs.event("cron", "sunset", event("the sun has set", level="warning", azimuth=240))
    logs.event("cron", "sunrise", b'{"time": 1700000001, "event": "fired"}')
    first, second = read(logs, "cron")
    assert first == {
        "time": 1_700_000_000.0,
        "level": "warning",
        "message": "the sun has set",
        "key": "sunset",
        "event": "kind",
        "azimuth": 240,
    }
    assert second["message"] == "fired" and second["level"] == "info"
    logs.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b"5",
        b"{}",
        b'{"time": "noon"}',
        b'{"time": NaN, "message": "x"}',
        b'{"time": 1e999}',
        b"\xff\xfe",
        b'{"time": {}}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_event_is_counted(tmp_path: Path, body: bytes) -> None:
    logs = opened(tmp_path)
    logs.event("cron", "x", body)
    assert logs.refused == 1 and logs.lines == 0
    logs.event("../cron", "x", event("y"))
    assert logs.refused == 2
    logs.close()


@given(st.binary(max_size=200))
def test_no_event_stops_the_logger(body: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        logs = opened(Path(folder))
        logs.event("a", "b", body)
        logs.event("a", "b", body, retained=True)
        logs.close()


def test_a_retained_event_is_kept_once(tmp_path: Path) -> None:
    """What the broker still has when we come back is in the log already, or came while we were away."""
    logs = opened(tmp_path)
    logs.event("cron", "a", event("first", 1_700_000_000.0))
    logs.close()
    again = opened(tmp_path)
    again.event("cron", "a", event("first", 1_700_000_000.0), retained=True)
    again.event("cron", "b", event("meanwhile", 1_700_000_060.0), retained=True)
    again.event("new", "c", event("of another log", 1_600_000_000.0), retained=True)
    assert [line["message"] for line in read(again, "cron")] == ["first", "meanwhile"]
    assert [line["message"] for line in read(again, "new")] == ["of another log"]
    again.close()


def test_rotate_begins_new_files(tmp_path: Path) -> None:
    logs = opened(tmp_path)
    logs.write("a", "info", "x")
    logs.rotate()
    logs.write("a", "info", "y")
    logs.close()
    assert len(list((tmp_path / "log").iterdir())) == 2


def test_a_full_disk_is_told_once_and_so_is_its_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    logs = opened(tmp_path, flush_s=0)
    logs.write("a", "info", "x")
    logs.tick()
    file = logs._files["a"]
    assert file._file is not None
    with full_disk(file._file):
        for _ in range(3):
            logs.write("a", "info", "y")
            logs.tick()
    logs.tick()
    logs.write("a", "info", "z")
    logs.tick()
    told = [record.message for record in caplog.records]
    assert len(told) == 2
    assert "No space left" in told[0] and "free some space" in told[0] and "writing to" in told[1]
    assert len(read(logs, "a")) == 5
    logs.close()


def test_what_can_not_be_written_at_the_end_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logs = opened(tmp_path)
    logs.write("a", "info", "x")
    (tmp_path / "log").rmdir()
    (tmp_path / "log").write_text("a file")
    logs.close()
    assert "the last lines are lost" in caplog.text
