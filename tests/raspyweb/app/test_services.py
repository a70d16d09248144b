# SPDX-License-Identifier: GPL-3.0-or-later
"""The page Services: units that a played systemd has, servers on a real bus."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from raspy.common import units
from raspy.common.MDP import ServerError
from raspyweb.app.services import state
from tests.support.dashboard import Dashboard, house, post
from tests.support.system_bus import Bus


@pytest.fixture(scope="module")
def dashboard() -> Iterator[Dashboard]:
    with (
        tempfile.TemporaryDirectory(prefix="raspy-", dir="/tmp") as home,
        house(Path(home), "titanic") as one,
    ):
        yield one


@pytest.fixture
def systemd(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bus]:
    one = Bus(run_dir)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", one.address)
    monkeypatch.setattr(state, "_scores", {})
    monkeypatch.setattr(units, "exposure", lambda names: {"raspy-host.service": 0.1})
    yield one
    one.close()


@pytest.fixture
def no_systemd(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={run_dir}/none")


def test_in_the_foreground_the_servers_are_shown_and_why_there_are_no_units(
    dashboard: Dashboard, no_systemd: None
) -> None:
    page = dashboard.browser("vera").get("/services/").get_data(as_text=True)
    assert "systemd does not run RasPy here" in page and "is dbus running" in page
    assert "test.titanic" in page and "test.broker" in page and "0 waiting" in page
    assert "Restart" not in page.replace("Restarts", "")


def test_units_with_their_figures(dashboard: Dashboard, systemd: Bus) -> None:
    systemd.manager("raspy-host.service", "raspy-failed.service")
    page = dashboard.browser("vera").get("/services/").get_data(as_text=True)
    assert "3 services &lt;here&gt;" in page and "<here>" not in page
    assert "12 MiB" in page and "3 s" in page and "15 s" in page and "0.1" in page
    assert "It ended last with: watchdog" in page
    assert 'action="/services/restart"' not in page


def test_an_admin_restarts_a_daemon(dashboard: Dashboard, systemd: Bus) -> None:
    systemd.manager("raspy-host.service", "raspy-web.service", "raspy-fails.service")
    browser = dashboard.browser("anna")
    assert 'action="/services/restart"' in browser.get("/services/").get_data(as_text=True)
    page = post(browser, "/services/restart", unit="raspy-host.service").get_data(as_text=True)
    assert "raspy-host.service was restarted." in page
    post(browser, "/services/restart", unit="raspy-web.service")
    page = post(browser, "/services/restart", unit="raspy-fails.service").get_data(as_text=True)
    assert "raspy-fails.service was not restarted" in page
    for other in ("ssh.service", "", "raspy-host.service\n", "x" * 9000, "<script>"):
        page = post(browser, "/services/restart", unit=other).get_data(as_text=True)
        assert "was not restarted" in page and "<script>" not in page.replace("<script type", "")
    asked = [unit for unit, _mode in systemd.calls("RestartUnit")]
    assert asked == ["raspy-host.service", "raspy-web.service", "raspy-fails.service"]


@pytest.mark.parametrize("user", ["olaf", "vera"])
def test_nobody_else_restarts_anything(dashboard: Dashboard, systemd: Bus, user: str) -> None:
    systemd.manager("raspy-host.service")
    answer = post(dashboard.browser(user), "/services/restart", unit="raspy-host.service")
    assert answer.status_code == 403
    assert systemd.calls("RestartUnit") == []


def test_a_restart_needs_the_token_of_its_page(dashboard: Dashboard, systemd: Bus) -> None:
    systemd.manager("raspy-host.service")
    browser = dashboard.browser("anna")
    assert browser.post("/services/restart", data={"unit": "raspy-host.service"}).status_code == 400
    assert systemd.calls("RestartUnit") == []


def test_a_score_that_can_not_be_had_is_left_out(
    dashboard: Dashboard, systemd: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(names: list[str]) -> dict[str, float]:
        raise ServerError("no systemd-analyze")

    monkeypatch.setattr(units, "exposure", refuse)
    systemd.manager("raspy-host.service")
    assert [unit["exposure"] for unit in state.units().units] == [None]


def test_a_score_is_worked_out_once(systemd: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(units, "exposure", lambda names: asked.extend(names) or {})
    systemd.manager("raspy-host.service")
    state.units()
    state.units()
    assert asked == ["raspy-host.service"]


def test_the_broker_away(run_dir: Path, systemd: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    dashboard = Dashboard(run_dir / "web", f"ipc://{run_dir}", present=False)
    try:
        page = dashboard.browser("vera").get("/services/")
        assert page.status_code == 503 and "RasPy does not answer" in page.get_data(as_text=True)
        systemd.manager("raspy-host.service")
        page = dashboard.browser("vera").get("/services/")
        assert page.status_code == 200
        assert "The broker does not answer" in page.get_data(as_text=True)
    finally:
        dashboard.close()


def test_servers_that_sleep_or_are_silent() -> None:
    class Link:
        def awake(self) -> set[str]:
            return {f"pi.{name}.mmi" for name in ("a", "b", "c", "d", "e")}

        def services(self) -> list[str]:
            return sorted([*self.awake(), "pi.onewire.mmi", "pi.core.cron"])

        def json(self, service: str, action: str, **kwargs: float) -> dict[str, object]:
            if service == "pi.a.mmi":
                return {"version": "1", "pid": 5, "started": 1.0}
            raise state.BusAway(service)

        def call(self, service: str, action: str, **kwargs: float) -> list[bytes]:
            return [b"well"]

    found = {server["name"]: server["state"] for server in state.servers(Link())}  # type: ignore[arg-type]
    silent = dict.fromkeys(("pi.b", "pi.c", "pi.d", "pi.e"), "silent")
    assert found == {"pi.a": "running", "pi.onewire": "asleep", **silent}
