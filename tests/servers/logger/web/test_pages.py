# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown, and what is refused."""

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raspy.common.MDP import ClientError, NotFoundError, ServerError
from raspy.common.store import Store
from raspy.servers.logger.graphs import gallery as gallery_module
from raspy.servers.logger.graphs.gallery import Gallery
from raspy.servers.logger.graphs.nights import Nights
from raspy.servers.logger.rrd.backend import Backend
from raspy.servers.logger.samples.series import Catalogue
from raspy.servers.logger.text.logs import TextLogs
from raspy.servers.logger.web import pages
from raspy.servers.logger.web.http import Answer
from tests.servers.logger.graphs.conftest import DAY, END, history

__all__ = ["history"]

KEY = "pi/fake/tank/temperature"
OTHER = "pi/onewire/garden/temperature"
RANGE = f"start={END - DAY}&end={END}"


class Kept(Store):
    """A store without a bus."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.away = False

    def load(self, section: str) -> dict[str, Any]:
        return dict(self.kept)

    def save(self, section: str, values: Any) -> None:
        if self.away:
            raise ServerError("no answer from titanic.store")
        self.kept.update(values)


class Site:
    """A gallery and logs, and GET."""

    def __init__(self, catalogue: Catalogue, folder: Path) -> None:
        log = logging.getLogger("test")
        self.store = Kept()
        self.backend = Backend("direct", catalogue.rrd, log)
        nights = Nights(None, None)
        self.gallery = Gallery(catalogue, self.store, lambda: self.backend.connect(), nights, "UTC", log)
        self.logs = TextLogs(folder / "log", 10_000_000, 60, log)

    def get(self, target: str, **headers: str) -> Answer:
        return pages.answer(self.gallery, self.logs, target, headers)

    def json(self, target: str) -> Any:
        answer = self.get(target)
        assert answer.status == 200 and answer.type == "application/json", answer
        return json.loads(answer.body)


@pytest.fixture
def site(history: Catalogue, tmp_path: Path) -> Iterator[Site]:
    made = Site(history, tmp_path)
    yield made
    made.logs.close()


def test_the_three_formats(site: Site) -> None:
    for suffix, kind, begin in (
        ("", "image/svg+xml", b"<?xml"),
        (".svg", "image/svg+xml", b"<?xml"),
        (".png", "image/png", b"\x89PNG"),
        (".json", "application/json", b"{"),
    ):
        answer = site.get(f"/graph/{KEY}{suffix}?{RANGE}")
        assert answer.status == 200 and answer.type == kind and answer.body.startswith(begin)
    assert site.gallery.drawn == 3


@pytest.mark.parametrize("period", ["day", "week", "month", "year", "decade"])
def test_the_periods(site: Site, period: str) -> None:
    chart = site.json(f"/graph/{KEY}/{period}.json")
    assert (
        chart["end"] - chart["start"]
        == {"day": 86400, "week": 604800, "month": 2678400, "year": 31622400, "decade": 315619200}[period]
    )
    assert time.time() - 400_000 < chart["end"] <= time.time()
    assert site.get(f"/graph/{KEY}/{period}").body.startswith(b"<?xml")


def test_a_graph_of_several_series(site: Site) -> None:
    site.gallery.add("both", json.dumps({"title": "Both", "series": [KEY, OTHER]}).encode())
    chart = site.json(f"/graph/both.json?{RANGE}&points=50")
    assert chart["title"] == "Both" and [series["key"] for series in chart["series"]] == [KEY, OTHER]
    assert 24 <= len(chart["series"][0]["time"]) <= 50
    assert site.get(f"/graph/both/day.png?{RANGE}&width=360&height=240&theme=dark").body.startswith(
        b"\x89PNG"
    )


def test_names_are_escaped_as_in_any_url(site: Site) -> None:
    key = "pi/fake/main: meter %/power"
    assert site.json(f"/graph/{quote(key)}.json?{RANGE}")["key"] == key


def test_the_lists(site: Site) -> None:
    site.logs.write("pump", "info", "on")
    site.gallery.add("both", json.dumps({"series": [KEY, OTHER]}).encode())
    assert site.json("/log") == ["pump"]
    graphs = site.json("/graph")
    assert graphs["both"]["added"] and not graphs[KEY]["added"] and len(graphs) == 5
    assert graphs["both"]["units"] == ["°C"] and graphs[KEY]["title"] == "tank temperature"
    assert site.gallery.list_keys()[0] == "both"


def test_a_log(site: Site) -> None:
    for number in range(30):
        site.logs.write("pump", "info", f"line {number}", {"time": 1_700_000_000 + number})
    assert [line["message"] for line in site.json("/log/pump")] == [
        f"line {number}" for number in range(10, 30)
    ]
    found = site.json("/log/pump?start=1700000005&end=1700000010&limit=2")
    assert [line["message"] for line in found] == ["line 9", "line 10"]
    assert site.json("/log/pump?start=-60") == []
    etag = site.get("/log/pump").etag
    assert etag and site.get("/log/pump").etag == etag
    site.logs.write("pump", "info", "one more")
    assert site.get("/log/pump").etag != etag


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "",
        "/x",
        "/graph/none",
        "/graph/none/day.png",
        "/graph/..",
        "/graph/../../etc/passwd",
        "/graph/%2e%2e/day",
        "/log/none",
        "/log/..%2f..%2fetc%2fpasswd",
        "/log/pump/x",
        "/graph/",
        "/log/",
        "graph/x",
        "/graph/pi/fake/tank",
        "/graph/day",
        "/graph/x\x00",
        "/../../../etc/passwd",
        f"/graph/{KEY}/hour",
        f"/graph/{KEY}.rrd",
        "/rrd",
    ],
)
def test_what_is_not_there(site: Site, target: str) -> None:
    answer = site.get(target)
    assert answer.status == 404 and answer.type.startswith("text/plain") and len(answer.body) < 300


@pytest.mark.parametrize(
    "query",
    [
        "start=x",
        "start=",
        "start=1.5",
        "start=1e9",
        "end=99999999999999",
        "start=5&end=4",
        "width=10",
        "width=99999",
        "height=0",
        "height=-5",
        "theme=pink",
        "points=1",
        "points=99999999",
        "format=gif",
        "start",
        "a=b",
        "&",
        "width=١٠٠٠",
        "start=0",
        "end=-1&start=-30",
        "start=--5",
        "start=+5",
        "=",
        "width=400&width=1",
        "&".join(f"start={n}" for n in range(30)),
    ],
)
def test_a_query_that_is_wrong(site: Site, query: str) -> None:
    answer = site.get(f"/graph/{KEY}?{query}")
    assert answer.status == 400 and answer.type.startswith("text/plain") and len(answer.body) < 300


@pytest.mark.parametrize("query", ["limit=0", "limit=10001", "limit=x", "start=x"])
def test_a_log_query_that_is_wrong(site: Site, query: str) -> None:
    site.logs.write("pump", "info", "on")
    assert site.get(f"/log/pump?{query}").status == 400


def test_a_key_that_is_no_text(site: Site) -> None:
    assert site.get("/graph/%ff%fe").status == 400


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["/graph/", "/log/", "/", f"/graph/{KEY}/", f"/graph/{KEY}?"]),
    st.one_of(st.text(max_size=60), st.text("./%2efEtcpasswd?=&-0123456789", max_size=60)),
)
def test_whatever_is_asked_is_answered_and_no_other_file_is_opened(site: Site, begin: str, rest: str) -> None:
    answer = site.get(begin + rest)
    assert answer.status in (200, 400, 404)
    assert b"root:" not in answer.body


def test_the_name_of_a_picture_changes_when_the_picture_does(site: Site) -> None:
    series = site.gallery._catalogue.series[KEY]
    first = site.get(f"/graph/{KEY}.json?{RANGE}")
    assert first.etag == site.get(f"/graph/{KEY}.json?{RANGE}").etag
    others = [
        f"/graph/{KEY}.svg?{RANGE}",
        f"/graph/{OTHER}.json?{RANGE}",
        f"/graph/{KEY}.json?{RANGE}&points=50",
        f"/graph/{KEY}.svg?{RANGE}&theme=dark",
        f"/graph/{KEY}.svg?{RANGE}&width=400",
        f"/graph/{KEY}.json?start={END - DAY}&end={END + 60}",
    ]
    names = [site.get(other).etag for other in others]
    assert len({first.etag, *names}) == 7
    try:
        series.last = END - 60
        assert site.get(f"/graph/{KEY}.json?{RANGE}").etag != first.etag
    finally:
        series.last = END


def test_what_is_known_already_is_not_drawn_again(site: Site) -> None:
    etag = site.get(f"/graph/{KEY}.png?{RANGE}").etag
    assert site.gallery.drawn == 1
    again = site.get(f"/graph/{KEY}.png?{RANGE}", **{"if-none-match": etag})
    assert again.etag == etag and again.body == b"" and site.gallery.drawn == 1


def test_how_long_a_picture_may_be_used(site: Site) -> None:
    """What is over changes no more; what goes up to now is used for a pixel's time."""
    assert site.get(f"/graph/{KEY}.json?{RANGE}").max_age_s == pages.SETTLED_S
    assert site.get(f"/graph/{KEY}.json?start={END - DAY}&end={END + 3600}").max_age_s <= 144
    assert 0 < site.get(f"/graph/{KEY}/day.json").max_age_s <= 120
    year = site.get(f"/graph/{KEY}/year.json").max_age_s
    assert 0 < year <= 52_704


def test_up_to_now_the_end_moves_in_steps(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    now = END + 1000.0
    monkeypatch.setattr(pages.time, "time", lambda: now)
    first = pages.read_range({}, "day", 600)
    now += first.fresh_s - 1
    assert pages.read_range({}, "day", 600)[:2] == first[:2]
    now += 1
    assert pages.read_range({}, "day", 600).end == first.end + 120
    assert pages.read_range({"start": "-3600"}, "day").start == int(now) - 3600
    assert pages.read_range({"end": "-3600"}, "week").end == int(now) - 3600


def test_rrds_that_can_not_be_read(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.backend = Backend(
        "unix:/none/rrdcached.sock", site.gallery._catalogue.rrd, logging.getLogger("test")
    )
    for suffix in (".json", ".png"):
        answer = site.get(f"/graph/{KEY}{suffix}?{RANGE}")
        assert answer.status == 503 and b"can't be read" in answer.body
    assert "can't be read" in caplog.text


def test_rrdtool_fails(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.gallery._catalogue, real = Catalogue(Path("/none")), site.gallery._catalogue
    site.gallery._catalogue.series = real.series
    answer = site.get(f"/graph/{KEY}.png?{RANGE}")
    assert answer.status == 503 and b"can't be drawn" in answer.body


def test_too_many_drawers(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery_module, "DRAWER_S", 0.01)
    for _ in range(gallery_module.DRAWERS):
        site.gallery._drawers.acquire()
    assert site.get(f"/graph/{KEY}.png?{RANGE}").status == 503
    site.gallery._drawers.release()
    assert site.get(f"/graph/{KEY}.png?{RANGE}").status == 200


def test_graphs_are_kept_by_the_store(
    site: Site,
    history: Catalogue,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    site.gallery.add("both", json.dumps({"title": "Both", "series": [KEY, OTHER]}).encode())
    other = Site(history, tmp_path / "other")
    other.store.kept = {**site.store.kept, "bad name": {"series": [KEY]}, "bad": 5}
    assert other.gallery.away
    assert list(other.gallery.graphes) == ["both"] and not other.gallery.away
    assert caplog.text.count("left out: graph") == 2
    site.gallery.remove("both")
    assert site.store.kept == {"both": None} and "both" not in site.gallery.graphes
    with pytest.raises(NotFoundError, match="no graph 'both' that was added"):
        site.gallery.remove("both")
    with pytest.raises(NotFoundError):
        site.gallery.remove(KEY)


def test_without_titanic_nothing_is_added(site: Site) -> None:
    site.store.away = True
    with pytest.raises(ServerError, match=r"titanic\.store"):
        site.gallery.add("both", json.dumps({"series": [KEY]}).encode())
    assert site.gallery.graphes == {} and site.gallery.away


def test_the_number_of_graphs_is_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery_module, "GRAPHS_MAX", 2)
    text = json.dumps({"series": [KEY]}).encode()
    for name in "ab":
        site.gallery.add(name, text)
    with pytest.raises(ClientError, match="there are 2 already"):
        site.gallery.add("c", text)
    site.gallery.add("a", text)


def test_a_series_that_is_gone_is_left_out_of_its_graph(site: Site) -> None:
    site.gallery.add("both", json.dumps({"series": [KEY, "pi/no/such/series"]}).encode())
    assert [series["key"] for series in site.json(f"/graph/both.json?{RANGE}")["series"]] == [KEY]
