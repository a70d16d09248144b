# SPDX-License-Identifier: GPL-3.0-or-later
"""raspy.common.journal_reader on journal files that systemd wrote."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raspy.common import journal_reader
from raspy.common.journal_reader import SCENARIO_SLICE, JournalReader, Line, NoJournal, Query
from raspy.common.MDP import ClientError
from tests.support.journal import write_journal

T0 = 1_769_000_000.0
CORE = {"_SYSTEMD_UNIT": "raspy-core.service", "RASPY_SERVICE": "core", "_PID": "20"}
FAKE = {"_SYSTEMD_UNIT": "raspy-fake.service", "RASPY_SERVICE": "fake", "_PID": "21"}


def entry(offset_s: float, message: str | bytes, priority: int = 6, **fields: str) -> dict[str, str | bytes]:
    return {"time": str(T0 + offset_s), "MESSAGE": message, "PRIORITY": str(priority), **fields}


ENTRIES = [
    entry(0, "core is ready", **CORE),
    entry(1, "heater ON until 12:00", 5, RASPY_DEVICE="heater", RASPY_REQUEST="web anna", **FAKE),
    entry(2, "somebody else's line", _SYSTEMD_UNIT="ssh.service", _PID="9"),
    entry(3, "feeding started", RASPY_SCENARIO="feeding", **CORE),
    entry(4, "heater off: the hold ran out", 4, RASPY_DEVICE="heater", **FAKE),
    entry(5, "Traceback", 6, _SYSTEMD_UNIT="raspy-sync.service", _PID="30"),
    entry(6, "Failed with result 'watchdog'.", 4, UNIT="raspy-host.service", _PID="1"),
    entry(7, "from the sandbox", _SYSTEMD_SLICE=SCENARIO_SLICE, _SYSTEMD_UNIT="raspy-scenario@1.service"),
    entry(8, "of an other unit", 4, UNIT="ssh.service", _PID="1"),
    entry(9, "last", 3, **CORE),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("journal")
    write_journal(path, ENTRIES)
    return path


@pytest.fixture
def journal(folder: Path) -> Iterator[JournalReader]:
    with JournalReader(str(folder)) as reader:
        yield reader


def messages(lines: list[Line]) -> list[str]:
    return [line.message for line in lines]


def test_all_lines_of_raspy_and_no_others_the_oldest_first(journal: JournalReader) -> None:
    page = journal.read(Query())
    assert messages(page.lines) == [str(ENTRIES[n]["MESSAGE"]) for n in (0, 1, 3, 4, 5, 6, 7, 9)]
    assert [line.server for line in page.lines] == [
        "core", "fake", "core", "fake", "sync", "host", "scenario", "core",
    ]  # fmt: skip
    assert not page.more
    assert page.lines[1] == Line(T0 + 1, 5, "fake", "heater ON until 12:00", "heater", "", "web anna")
    assert page.lines[1].to_json()["priority"] == "notice"


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (Query(server="core"), (0, 3, 9)),
        (Query(server="host"), (6,)),
        (Query(server="sync"), (5,)),
        (Query(server="scenario"), (7,)),
        (Query(server="nobody"), ()),
        (Query(device="heater"), (1, 4)),
        (Query(device="heater", priority=4), (4,)),
        (Query(scenario="feeding"), (3,)),
        (Query(priority=3), (9,)),
        (Query(priority=0), ()),
        (Query(text="HEATER"), (1, 4)),
        (Query(text="12:00", server="fake"), (1,)),
        (Query(since=T0 + 4), (4, 5, 6, 7, 9)),
        (Query(until=T0 + 3), (0, 1, 3)),
        (Query(since=T0 + 1, until=T0 + 3), (1, 3)),
        (Query(since=T0 + 1, until=T0 + 3, limit=1), (3,)),
        (Query(since=T0 + 100), ()),
    ],
)
def test_each_filter(journal: JournalReader, query: Query, wanted: tuple[int, ...]) -> None:
    assert messages(journal.read(query).lines) == [str(ENTRIES[n]["MESSAGE"]) for n in wanted]


def test_pages_back_join_without_a_gap_or_a_double(journal: JournalReader) -> None:
    found: list[str] = []
    before, more = "", True
    while more:
        page = journal.read(Query(limit=3), before)
        found = messages(page.lines) + found
        before, more = page.first, page.more
    assert found == messages(journal.read(Query()).lines)


def test_pages_forward_join_without_a_gap_or_a_double(journal: JournalReader) -> None:
    found: list[str] = []
    cursor, more = "", True
    while more:
        page = journal.after(cursor, Query(limit=3, text="e"))
        found += messages(page.lines)
        cursor, more = page.last, page.more
    assert found == messages(journal.read(Query(text="e")).lines)
    assert journal.after(cursor, Query()) == journal_reader.Page(
        journal.after(cursor, Query()).lines, journal.after(cursor, Query()).first, cursor, False
    )


def test_forward_from_and_until_a_moment(journal: JournalReader) -> None:
    page = journal.after("", Query(since=T0 + 3, until=T0 + 5))
    assert messages(page.lines) == ["feeding started", "heater off: the hold ran out", "Traceback"]


def test_what_is_written_later_is_followed(tmp_path: Path) -> None:
    write_journal(tmp_path, ENTRIES[:1])
    with JournalReader(str(tmp_path)) as reader:
        page = reader.read(Query(server="core"))
        assert messages(page.lines) == ["core is ready"]
        assert reader.after(page.last, Query(server="core")).lines == []
        write_journal(tmp_path, [entry(20, "one more", **CORE), entry(21, "and one", **FAKE)], "later")
        assert reader.wait(20), "nothing was noticed"
        later = reader.after(page.last, Query(server="core"))
        assert messages(later.lines) == ["one more"]
        assert later.last != page.last


def test_names_for_the_filters(journal: JournalReader) -> None:
    assert journal.servers() == ["core", "fake"]
    assert journal.devices() == ["heater"]
    assert journal.scenarios() == ["feeding"]


def test_what_one_answer_looks_at_is_bounded(journal: JournalReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_reader, "SCAN_MAX", 2)
    page = journal.read(Query(text="core is ready"))
    assert page.lines == [] and page.more
    monkeypatch.undo()
    assert messages(journal.read(Query(text="core is ready"), page.first).lines) == ["core is ready"]
    monkeypatch.setattr(journal_reader, "SCAN_S", -1)
    assert journal.read(Query()).more


def test_a_message_can_hold_anything(tmp_path: Path) -> None:
    hostile = b"\x1b[31mred\xff\x00<script>" + b"x" * 9000
    write_journal(tmp_path, [entry(0, hostile, 99, RASPY_DEVICE="a\nb", **CORE)])
    with JournalReader(str(tmp_path)) as reader:
        (line,) = reader.read(Query()).lines
    assert line.message.startswith(" [31mred") and "<script>xxx" in line.message
    assert len(line.message) == journal_reader.MESSAGE_MAX and "\x1b" not in line.message
    assert line.priority == 6


def test_a_line_without_a_level_or_with_a_field_twice(tmp_path: Path) -> None:
    plain = {"time": str(T0), "_SYSTEMD_UNIT": "raspy-core.service"}
    write_journal(tmp_path, [plain])
    with JournalReader(str(tmp_path)) as reader:
        (line,) = reader.read(Query()).lines
    assert line == Line(T0, 6, "core", "", "", "", "")


def test_an_empty_folder_has_no_lines(tmp_path: Path) -> None:
    with JournalReader(str(tmp_path)) as reader:
        page = reader.read(Query())
        assert (page.lines, page.first, page.last, page.more) == ([], "", "", False)
        assert reader.after("", Query()).last == ""
        reader.wait(0)  # the first is always for something
        assert not reader.wait(0)


@pytest.mark.parametrize("cursor", ["nonsense", "s=1;i=", "x" * 600, "a\nb"])
def test_a_wrong_cursor_is_refused(journal: JournalReader, cursor: str) -> None:
    with pytest.raises(ClientError, match="cursor"):
        journal.after(cursor, Query())
    with pytest.raises(ClientError, match="cursor"):
        journal.read(Query(), cursor)


@pytest.mark.parametrize(
    "wrong",
    [
        {"server": "x" * 201}, {"text": "a\x00b"}, {"device": "a\nb"}, {"priority": 8}, {"priority": -1},
        {"limit": 0}, {"limit": 1001}, {"since": -1.0}, {"until": 1e12}, {"since": float("nan")},
    ],
)  # fmt: skip
def test_a_wrong_query_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ClientError, match=next(iter(wrong))):
        Query(**wrong)  # type: ignore[arg-type]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(server=st.text(max_size=40), device=st.text(max_size=40), text=st.text(max_size=40))
def test_hostile_filters_find_nothing_and_break_nothing(
    journal: JournalReader, server: str, device: str, text: str
) -> None:
    try:
        query = Query(server=server, device=device or "x", text=text)
    except ClientError:
        return
    assert all(line.device == device for line in journal.read(query).lines)


def test_no_journal_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("systemd.journal.Reader.has_runtime_files", lambda self: False, raising=False)
    monkeypatch.setattr("systemd.journal.Reader.has_persistent_files", lambda self: False, raising=False)
    with pytest.raises(NoJournal, match="systemd-journal"):
        JournalReader()


def test_without_python3_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "systemd.journal", None)
    with pytest.raises(NoJournal, match="python3-systemd"):
        JournalReader()
