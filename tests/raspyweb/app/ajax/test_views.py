# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages' scripts ask for, where there is nothing to be had; the rest is in test_devices.py."""

import pytest

from raspyweb import passwords
from raspyweb.app import bus, stream
from raspyweb.app.ajax.constants import PREFIX_MAX, SERIES_MAX
from tests.support.dashboard import Dashboard


@pytest.fixture
def dashboard(run_dir, monkeypatch):
    monkeypatch.setattr(passwords, "COST", 16)
    monkeypatch.setattr(bus, "AWAY_S", 0.1)
    one = Dashboard(run_dir / "web", f"ipc://{run_dir}", present=False)
    yield one
    one.close()


class Streams:
    """What the server has in the environment."""

    def __init__(self):
        self.adopted = []

    def adopt(self, pull, allowed):
        self.adopted.append((pull, allowed))
        return len(self.adopted) < 2


def test_an_answer_that_goes_on_ends_with_the_session_or_the_token(dashboard):
    streams = Streams()
    environ = {stream.ENVIRON: streams}
    browser = dashboard.browser("vera")
    answer = browser.get("/ajax/events", environ_overrides=environ)
    assert answer.mimetype == "text/event-stream" and answer.headers["X-Accel-Buffering"] == "no"
    assert answer.data == b"retry: 2000\n\nevent: broker\ndata: false\n\n"
    ((pull, allowed),) = streams.adopted
    assert pull() == b"" and allowed()
    dashboard.accounts.close_sessions("vera")
    assert not allowed()
    # There is no room for another one.
    headers = dashboard.bearer("vera", "read")
    answer = dashboard.browser().get("/ajax/events", environ_overrides=environ, headers=headers)
    assert answer.status_code == 503 and "Too many windows" in answer.get_json()["error"]
    assert streams.adopted[1][1]()
    dashboard.accounts.remove_token("vera", dashboard.accounts.tokens("vera")[0]["id"])
    assert not streams.adopted[1][1]()


@pytest.mark.parametrize(
    "path",
    [
        f"/ajax/events?prefix={'x' * (PREFIX_MAX + 1)}",
        "/ajax/spark", f"/ajax/spark?key={'x' * (SERIES_MAX + 1)}",
        "/ajax/series?key=x&end=1e9", "/ajax/series?key=x&start=--1", "/ajax/series?key=x&start=²",
    ],
)  # fmt: skip
def test_what_can_not_be_asked_is_refused(dashboard, path):
    answer = dashboard.browser("vera").get(path)
    assert answer.status_code == 400 and answer.get_json()["error"]


def test_while_the_broker_is_away(dashboard):
    browser = dashboard.browser("vera")
    assert browser.get("/ajax/home").get_json() == {}
    for path in ("/ajax/devices", "/ajax/mmi", "/ajax/spark?key=x"):
        assert browser.get(path).status_code == 503
