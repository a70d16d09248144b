# SPDX-License-Identifier: GPL-3.0-or-later
"""The page Journal: on journal files that systemd wrote, and without a journal."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raspy.common.journal_reader import Line
from raspyweb.app.journal import source
from tests.conftest import wait_for
from tests.support.dashboard import Dashboard, house
from tests.support.journal import write_journal

T0 = 1_769_000_000.0
CORE = {"_SYSTEMD_UNIT": "raspy-core.service", "RASPY_SERVICE": "core"}
FAKE = {"_SYSTEMD_UNIT": "raspy-fake.service", "RASPY_SERVICE": "fake"}


def line(offset_s: float, message: str, priority: int = 6, **fields: str) -> dict[str, str]:
    return {"time": str(T0 + offset_s), "MESSAGE": message, "PRIORITY": str(priority), **fields}


LINES = [
    *[line(n, f"line number {n}", **CORE) for n in range(150)],
    line(200, "heater <b>on</b> until noon", 5, RASPY_DEVICE="heater", **FAKE),
    line(201, "feeding began", RASPY_SCENARIO="feeding", **CORE),
    line(202, "the tank is too hot", 3, RASPY_DEVICE="tank", **FAKE),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("journal")
    write_journal(path, LINES)
    return path


@pytest.fixture
def dashboard(run_dir: Path, folder: Path) -> Iterator[Dashboard]:
    """With a journal; it needs no broker."""
    one = Dashboard(run_dir / "web", f"ipc://{run_dir}", present=False, JOURNAL_FOLDER=str(folder))
    yield one
    one.close()


@pytest.fixture(scope="module")
def foreground() -> Iterator[Dashboard]:
    """Without a journal, with a logger."""
    with (
        tempfile.TemporaryDirectory(prefix="raspy-", dir="/tmp") as home,
        house(Path(home), "titanic", "logger") as one,
    ):
        for level, text in (("info", "all is well"), ("warning", "the <water> is low"), ("error", "a leak")):
            one.bus.call("test.logger.log", "log", "aquarium", level, text)
        one.bus.call("test.logger.log", "log", "house", "info", "the door is open")
        yield one


@pytest.fixture
def no_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine has."""
    for name in ("has_runtime_files", "has_persistent_files"):
        monkeypatch.setattr(f"systemd.journal.Reader.{name}", lambda self: False, raising=False)


def shown(dashboard: Dashboard, url: str = "/journal/", **query: str) -> str:
    answer = dashboard.browser("vera").get(url, query_string=query or None)
    assert answer.status_code == 200
    return str(answer.get_data(as_text=True))


def messages(page: str) -> list[str]:
    return [
        re.sub(r"\s*<a .*", "", text) for text in re.findall(r'class="what">(.*?)</span>', page, re.DOTALL)
    ]


def test_the_latest_lines_come_first_and_nothing_is_markup(dashboard: Dashboard) -> None:
    page = shown(dashboard)
    found = messages(page)
    assert found[:3] == ["the tank is too hot", "feeding began", "heater &lt;b&gt;on&lt;/b&gt; until noon"]
    assert len(found) == 100 and "<b>on" not in page
    assert (
        '<li class="bad">' in page and '<option value="heater">' in page and '<option value="core">' in page
    )


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({"device": "heater"}, ["heater &lt;b&gt;on&lt;/b&gt; until noon"]),
        ({"scenario": "feeding"}, ["feeding began"]),
        ({"server": "fake", "priority": "err"}, ["the tank is too hot"]),
        ({"text": "NUMBER 149"}, ["line number 149"]),
        ({"text": "no such line"}, []),
    ],
)
def test_each_filter(dashboard: Dashboard, query: dict[str, str], wanted: list[str]) -> None:
    page = shown(dashboard, **query)
    assert messages(page) == wanted
    assert ("No line fits." in page) is True  # it is there, and hidden unless nothing fits
    assert ('id="no-lines" hidden' in page) == bool(wanted)


def test_a_range_of_time_is_in_the_machines_zone(dashboard: Dashboard) -> None:
    def local(offset_s: float) -> str:
        return time.strftime("%Y-%m-%dT%H:%M", time.localtime(T0 + offset_s))

    # Fields of a form have minutes: 150 s before and after a full one.
    found = messages(shown(dashboard, since=local(120), until=local(180)))
    least = int(T0 // 60 * 60 + 120 - T0) if T0 % 60 else 120
    assert found and found[-1] == f"line number {max(0, least)}" and found[0] == "line number 149"


def test_older_lines_are_a_link_away(dashboard: Dashboard) -> None:
    page = shown(dashboard, server="core")
    older = re.search(r'href="(/journal/\?[^"]*before=[^"]+)"', page)
    assert older
    further = dashboard.browser("vera").get(older[1].replace("&amp;", "&")).get_data(as_text=True)
    found = messages(further)
    assert "server=core" in older[1] and len(found) == 51 and found[-1] == "line number 0"
    assert "data-live" not in further and "Older lines" not in further


def test_what_is_new_is_told_to_the_page(run_dir: Path) -> None:
    folder = run_dir / "journal"
    folder.mkdir()
    write_journal(folder, LINES[:3])
    dashboard = Dashboard(run_dir / "web", f"ipc://{run_dir}", present=False, JOURNAL_FOLDER=str(folder))
    try:
        page = shown(dashboard, server="core")
        last = re.search(r'data-last="([^"]+)"', page)
        live = re.search(r'data-live="([^"]+)"', page)
        assert last and live and live[1].startswith("/journal/new") and "server=core" in live[1]
        write_journal(folder, [line(300, "brand <new>", **CORE), line(301, "other", **FAKE)], "later")
        answer = json.loads(shown(dashboard, f"{live[1]}&after={quote(last[1])}"))
        assert messages(answer["html"]) == ["brand &lt;new&gt;"] and answer["last"] != last[1]
        again = json.loads(shown(dashboard, f"{live[1]}&after={quote(answer['last'])}"))
        assert again == {"html": again["html"], "last": answer["last"]} and messages(again["html"]) == []
    finally:
        dashboard.close()


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"since": "yesterday"}, "must look like"),
        ({"until": "9999-99-99T00:00"}, "must look like"),
        ({"priority": "loud"}, "priority"),
        ({"server": "x" * 300}, "server"),
        ({"before": "nonsense"}, "cursor"),
    ],
)
def test_a_wrong_filter_is_said_and_the_lines_are_there(
    dashboard: Dashboard, query: dict[str, str], words: str
) -> None:
    page = shown(dashboard, **query)
    assert words in page and 'role="alert"' in page and len(messages(page)) == 100


def test_the_script_is_told_too(dashboard: Dashboard) -> None:
    browser = dashboard.browser("vera")
    for query in ({"after": "nonsense"}, {"priority": "loud"}, {"text": "x" * 300}):
        answer = browser.get("/journal/new", query_string=query)
        assert answer.status_code == 400 and answer.json["error"]


def test_strangers_see_nothing(dashboard: Dashboard) -> None:
    for url in ("/journal/", "/journal/new"):
        answer = dashboard.browser().get(url)
        assert answer.status_code == 302 and "line number" not in answer.get_data(as_text=True)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["server", "device", "scenario", "text", "priority", "since", "until", "before"]),
    value=st.text(max_size=60)
    | st.sampled_from(["<script>alert(1)</script>", "../../x", "\x00", "x" * 9000]),
)
def test_hostile_filters(dashboard: Dashboard, name: str, value: str) -> None:
    assert "<script>alert" not in shown(dashboard, **{name: value})


# -- without a journal ------------------------------------------------------------------------------------


def test_in_the_foreground_the_text_logs_are_shown_and_why(foreground: Dashboard, no_journal: None) -> None:
    page = shown(foreground)
    assert "There is no journal to read" in page and '<option value="aquarium">' in page
    assert {"all is well", "the &lt;water&gt; is low", "a leak", "the door is open"} <= set(messages(page))


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({"server": "house"}, {"the door is open"}),
        ({"priority": "warning"}, {"the &lt;water&gt; is low", "a leak"}),
        ({"text": "WATER"}, {"the &lt;water&gt; is low"}),
        ({"device": "tank"}, set()),
        ({"scenario": "x"}, set()),
        ({"until": "2020-01-01T00:00"}, set()),
        ({"since": "2999-01-01T00:00"}, set()),
    ],
)
def test_the_same_filters(
    foreground: Dashboard, no_journal: None, query: dict[str, str], wanted: set[str]
) -> None:
    assert set(messages(shown(foreground, **query))) == wanted


def test_text_logs_are_followed_and_paged(foreground: Dashboard, no_journal: None) -> None:
    api: Any = foreground.browser("vera")
    newest = api.get("/api/v1/journal?limit=1").json
    assert newest["more"] and len(newest["lines"]) == 1
    older = api.get("/api/v1/journal", query_string={"before": newest["first"]}).json
    assert len(older["lines"]) == 3 and not older["more"]
    assert api.get("/api/v1/journal", query_string={"after": newest["last"]}).json["lines"] == []
    foreground.bus.call("test.logger.log", "log", "scenario", "info", "feeding is over")
    later = api.get("/api/v1/journal", query_string={"after": newest["last"]}).json
    assert [one["message"] for one in later["lines"]] == ["feeding is over"]
    assert api.get("/api/v1/journal?before=nonsense").status_code == 400


@given(
    times=st.lists(st.sampled_from([1.0, 2.0, 2.5, 3.0]), max_size=12).map(sorted),
    limit=st.integers(1, 4),
    forward=st.booleans(),
)
def test_pages_join_without_a_gap_or_a_double_also_where_lines_have_one_time(
    times: list[float], limit: int, forward: bool
) -> None:
    every = [Line(at, 6, "x", str(number), "", "", "") for number, at in enumerate(times)]
    found: list[Line] = []
    cursor, more = "", bool(every)
    if forward:
        cursor = "0.0,0"
    while more:
        page = source._cut(every, limit, "" if forward else cursor, cursor if forward else "")
        found = found + page.lines if forward else page.lines + found
        cursor, more = (page.last if forward else page.first), page.more
    assert found == every


def test_the_logger_away_is_said(run_dir: Path, no_journal: None) -> None:
    dashboard = Dashboard(run_dir / "web", f"ipc://{run_dir}", present=False)
    try:
        page = shown(dashboard)
        assert "the logger does not answer" in page and "There is no line yet." in page
    finally:
        dashboard.close()


def test_an_event_of_a_scenario_is_a_line_with_its_name(foreground: Dashboard, no_journal: None) -> None:
    from raspy.common.kvcliapi import KvPublisherClient

    body = {"time": time.time(), "event": "error", "message": "it failed", "lines": ["line 1", "NameError"]}
    publisher = KvPublisherClient("test", broker=foreground.bus.broker)
    try:
        publisher.send("/event/", "scenario/feed", json.dumps(body))
        page = wait_for(
            lambda: page if "NameError" in (page := shown(foreground, scenario="feed")) else "",
            30,
            "the event in the log",
        )
    finally:
        publisher.destroy()
    assert "feed: it failed\nline 1\nNameError" in page
