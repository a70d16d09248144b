# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices as the pages show them, and the pages of the overview and of devices, on a real bus."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raspyweb.app import devices
from raspyweb.app.devices import Device
from tests.conftest import wait_for
from tests.support.broker import HOSTNAME
from tests.support.dashboard import house, post

SERVER = f"{HOSTNAME}.fake"
WAIT_S = 30
DEVICES = (
    {"oid": "sensor.temperature.tank", "name": "tank", "poll": 0.1, "log": True},
    {"oid": "switch.relay", "name": "heater", "poll": 0.1, "config": {"heats": "tank", "safe": False}},
    {"oid": "light.dimmer", "name": "lamp", "config": {"safe": 0}},
    {"oid": "light.rgb", "name": "colour", "config": {}},
    {"oid": "sensor.ph", "name": "ph meter", "poll": 0.1},
)


FIELDS = (
    "oid", "name", "poll", "log", "safe", "interlocks", "command", "value", "hold", "why", "next", "device",
)  # fmt: skip
CHANGES = (
    f"/devices/{SERVER}/", f"/devices/{SERVER}/heater/update", f"/devices/{SERVER}/lamp/exec",
    "/arrange", "/favourite",
)  # fmt: skip


@pytest.fixture(scope="module")
def dashboard():
    with (
        tempfile.TemporaryDirectory(prefix="raspy-", dir="/tmp") as home,
        house(Path(home), "titanic", "fake") as one,
    ):
        for device in DEVICES:
            one.bus.call(f"{SERVER}.devices", "add", json.dumps(device))
        one.bus.call(f"{SERVER}.devices", "exec", "ph meter", "fault", "crc")
        wait_for(lambda: value(one, "ph meter", "ph").get("quality") == "fault", WAIT_S)
        wait_for(lambda: "value" in value(one, "lamp", "level"), WAIT_S)
        yield one


def value(dashboard, device, command):
    return dashboard.bus.values.snapshot().get(f"/device/{HOSTNAME}/fake/{device}/{command}", {})


def text(answer):
    return answer.get_data(as_text=True)


def state(dashboard):
    return value(dashboard, "heater", "state").get("value")


def test_every_device_has_a_tile_with_its_value_and_why_it_has_none(dashboard):
    page = text(dashboard.browser("vera").get("/"))
    for device in DEVICES:
        assert f'data-device="{SERVER}.{device["name"]}"' in page
    assert "CRC error" in page and f'data-key="/device/{HOSTNAME}/fake/tank/temperature"' in page
    assert f'data-series="{HOSTNAME}/fake/tank/temperature"' in page
    # A viewer sees what is, and no control.
    assert 'data-control="' not in page
    page = text(dashboard.browser("olaf").get("/"))
    assert page.count('data-control="') == 3 and 'type="range"' in page and 'type="color"' in page


def test_a_switch_with_a_hold_from_a_tile_without_scripts(dashboard):
    browser = dashboard.browser("olaf")
    steer = f"/devices/{SERVER}/heater/exec"
    page = text(post(browser, steer, command="state", value="true", hold="7200", why="cold", next="/"))
    assert "heater state: done. true" in page and "<h1>Overview</h1>" in page
    wait_for(lambda: state(dashboard) is True, WAIT_S)
    assert "held by web, 1 h left" in text(browser.get("/"))
    post(browser, steer, command="state", value="false")
    wait_for(lambda: state(dashboard) is False, WAIT_S)


def test_the_same_for_a_script(dashboard):
    browser = dashboard.browser()
    headers = {**dashboard.bearer("olaf", "steer"), "Accept": "application/json"}
    steer = f"/devices/{SERVER}/lamp/exec"
    answer = browser.post(steer, headers=headers, data={"command": "level", "value": "40", "hold": "60"})
    assert answer.get_json()["value"] == 40 and answer.get_json()["state"]["hold_s"] == 60
    answer = browser.post(steer, headers=headers, data={"command": "level", "value": "400"})
    assert answer.status_code == 409 and "from 0 to 100" in answer.get_json()["error"]
    answer = browser.post(steer, headers=headers, data={"command": "level", "value": "1", "hold": "for ever"})
    assert answer.status_code == 400
    assert browser.post(steer, headers=dashboard.bearer("vera", "read")).status_code == 403


def test_what_a_device_refuses_is_told_on_its_page(dashboard):
    browser = dashboard.browser("olaf")
    page = text(post(browser, f"/devices/{SERVER}/heater/exec", command="state", value="warm"))
    assert "must be true or false" in page and 'role="alert"' in page
    page = text(post(browser, f"/devices/{SERVER}/tank/exec", command="fault", value="none"))
    assert "tank fault: done." in page


def test_a_device_has_a_form_for_each_command_and_its_configuration(dashboard):
    page = text(dashboard.browser("anna").get(f"/devices/{SERVER}/heater"))
    for words in (
        'name="command" value="state"',
        'name="hold"',
        'name="why"',
        'name="safe"',
        "Safe state: off",
        "Remove",
    ):
        assert words in page
    page = text(dashboard.browser("vera").get(f"/devices/{SERVER}/heater"))
    assert 'name="command"' not in page and 'name="safe"' not in page and "Configuration" in page
    page = text(dashboard.browser("vera").get(f"/devices/{SERVER}/tank"))
    assert 'id="graph"' in page and "History" in page


def test_a_device_that_is_not_there(dashboard):
    browser = dashboard.browser("anna")
    assert browser.get(f"/devices/{SERVER}/nothing").status_code == 404
    assert browser.get("/devices/no.server/nothing").status_code == 404
    assert browser.get(f"/devices/{SERVER}/?oid=no.kind").status_code == 404
    assert browser.get("/devices/no.server/").status_code == 404


def test_the_list_of_devices(dashboard):
    page = text(dashboard.browser("vera").get("/devices/"))
    assert all(f">{device['name']}</a>" in page for device in DEVICES)
    assert "Add a device" not in page
    assert "Add a device" in text(dashboard.browser("anna").get("/devices/"))


def test_a_device_is_added_changed_and_removed(dashboard):
    browser = dashboard.browser("anna")
    page = text(browser.get(f"/devices/{SERVER}/"))
    assert "sensor.level" in page and "switch.pump" in page
    page = text(browser.get(f"/devices/{SERVER}/?oid=switch.pump"))
    assert 'name="max_run_s"' in page
    given = {"oid": "switch.pump", "name": "pump <1>", "poll": "5", "safe": "false", "interlocks": "[]"}
    answer = post(browser, f"/devices/{SERVER}/", **given)
    assert answer.status_code == 400 and "pump &lt;1&gt;" in text(answer) and 'role="alert"' in text(answer)
    page = text(post(browser, f"/devices/{SERVER}/", **{**given, "name": "pump"}))
    assert "pump is there" in page
    update = f"/devices/{SERVER}/pump/update"
    page = text(post(browser, update, **{**given, "name": "pump", "max_run_s": "7200", "poll": "6"}))
    assert "pump is changed" in page and 'value="7200"' in page
    assert "keeps its name" in text(post(browser, update, **{**given, "name": "other"}))
    page = text(post(browser, update, **{**given, "name": "pump", "poll": "-5"}))
    assert "poll: must be" in page
    assert "pump is removed" in text(post(browser, f"/devices/{SERVER}/pump/remove"))
    assert (
        'role="alert"' in text(post(browser, f"/devices/{SERVER}/tank/remove"))
        or browser.get(f"/devices/{SERVER}/tank").status_code == 404
    )
    assert post(dashboard.browser("olaf"), f"/devices/{SERVER}/heater/remove").status_code == 403


def test_favourites_and_arrangement_are_kept_for_each_user(dashboard):
    browser = dashboard.browser("olaf")
    page = text(post(browser, "/favourite", device=f"{SERVER}.heater"))
    assert (
        page.index("Favourites") < page.index(f"{SERVER}</h2>")
        and 'aria-pressed="true" aria-label="Favourite: heater"' in page
    )
    assert "Favourites" not in text(dashboard.browser("vera").get("/"))
    assert f'name="group:{SERVER}.heater"' in text(browser.get("/arrange"))
    form = {"device": f"{SERVER}.heater", f"group:{SERVER}.heater": "Reef <b>", f"place:{SERVER}.heater": "3"}
    page = text(post(browser, "/arrange", **form))
    assert "Reef &lt;b&gt;</h2>" in page and "Favourites" not in page


def test_without_a_logger_there_are_no_graphs_and_the_rest_works(dashboard):
    browser = dashboard.browser("vera")
    for path in (f"/ajax/spark?key={HOSTNAME}/fake/tank/temperature", "/ajax/series?key=x"):
        answer = browser.get(path)
        assert answer.status_code == 503 and "logger" in answer.get_json()["error"]
    assert browser.get("/ajax/spark").status_code == 400
    assert browser.get("/ajax/series?key=x&start=soon").status_code == 400
    assert browser.get(f"/ajax/events?prefix={'x' * 999}").status_code == 400
    # This is no server that can go on with an answer.
    assert browser.get("/ajax/events").status_code == 503


def test_what_the_scripts_ask_for(dashboard):
    browser = dashboard.browser("vera")
    assert browser.get("/ajax/home").get_json()[f"/device/{HOSTNAME}/fake/lamp/level"]["unit"] == "%"
    assert browser.get("/ajax/devices").get_json()[SERVER]["heater"]["oid"] == "switch.relay"
    assert browser.get("/ajax/mmi").get_json()[f"{SERVER}.devices"] == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    st.fixed_dictionaries({}, optional={name: st.text(max_size=30) for name in FIELDS}),
    st.sampled_from(CHANGES),
)
def test_hostile_forms_are_refused_in_words(dashboard, form, path):
    with dashboard.browser().post(path, headers=dashboard.bearer("anna", "admin"), data=form) as answer:
        assert answer.status_code in (302, 400, 404)
    for token in dashboard.accounts.tokens("anna"):
        dashboard.accounts.remove_token("anna", token["id"])


def test_what_the_map_knows_of_a_server_that_sleeps(dashboard, monkeypatch):
    monkeypatch.setattr(dashboard.bus, "awake", set)
    (found,) = [one for one in devices.servers(dashboard.bus) if one.name == SERVER]
    assert found.asleep and {one.name for one in found.devices} >= {"heater", "lamp"}
    page = text(dashboard.browser("olaf").get("/"))
    assert "asleep" in page and 'data-control="' not in page
    assert "asleep" in text(dashboard.browser("olaf").get("/devices/"))


def test_a_server_that_does_not_answer_in_time(dashboard, monkeypatch):
    def refuse(*_frames, **_options):
        raise devices.Refused(500, "it hangs")

    monkeypatch.setattr(devices, "LIST_S", 0.1)
    monkeypatch.setattr(dashboard.bus, "kinds", refuse)
    page = text(dashboard.browser("vera").get("/"))
    assert "it hangs" in page and 'data-device="test.fake.heater"' in page


def test_parts_of_a_device_have_keys_of_their_own():
    tv = Device("pi.media", "tv", main="power", values={"volume.level": {}, "power": {}, "extra": {}},
                commands={"power": {}, "volume.level": {"datasource": "GAUGE"}})  # fmt: skip
    assert tv.key("volume.level") == "/device/pi/media/tv.volume/level"
    assert tv.series("volume.level") == "pi/media/tv.volume/level" and tv.series("power") == ""
    assert tv.shown() == ["power", "volume.level", "extra"] and tv.tile == "power"
    assert Device("pi.media", "tv", main="power").tile == "power" and tv.category == ""
    assert tv.control is None
