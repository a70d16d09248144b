# SPDX-License-Identifier: GPL-3.0-or-later
"""HTML form to JSON, by the description alone."""

import json

import pytest

from raspy.common.devices.form import read_form
from raspy.common.devices.light import LightDimmer
from raspy.common.devices.media import MediaTV
from raspy.common.devices.sensor import SensorTemperature
from raspy.common.devices.switch import SwitchRelay
from raspy.common.MDP import ClientError

SAFE = {"safe": "false", "min_on_s": "1,5", "min_off_s": "2", "max_run_s": "", "interlocks": ""}


def test_what_a_form_sends_is_a_device() -> None:
    form = json.loads(json.dumps(SensorTemperature.form()))
    sent = {"name": "tank", "poll": "2.5", "log": "on", "unit": "K", "offset": "-0.2"}
    sent |= {"minimum": "", "maximum": "310"}
    device = read_form("sensor.temperature", form, sent)
    assert SensorTemperature.check(device) == {
        "oid": "sensor.temperature", "name": "tank", "poll": 2.5, "log": True,
        "config": {"unit": "K", "offset": -0.2, "minimum": None, "maximum": 310.0, "stuck_s": 0.0},
    }  # fmt: skip


def test_an_unticked_box_is_not_sent() -> None:
    assert read_form("x", SensorTemperature.form(), {"name": "tank"})["log"] is False


@pytest.mark.parametrize(("text", "safe"), [("true", True), ("false", False), ("", None)])
def test_a_box_that_may_be_empty_is_a_choice_of_three(text: str, safe: bool | None) -> None:
    device = read_form("switch.relay", SwitchRelay.form(), {"name": "heater", **SAFE, "safe": text})
    checked = SwitchRelay.check(device)
    assert checked["config"]["safe"] is safe
    assert checked["config"]["min_on_s"] == 1.5
    assert checked["config"]["max_run_s"] == 0.0
    assert checked["config"]["interlocks"] == []


def test_json_in_a_field() -> None:
    sent = {"name": "x", **SAFE, "safe": "20", "interlocks": '[{"never_with": "cooler"}]', "min_on_s": ""}
    device = read_form("light.dimmer", LightDimmer.form(), sent)
    assert device["config"]["interlocks"] == [{"never_with": "cooler"}]
    assert device["config"]["safe"] == 20.0


@pytest.mark.parametrize(
    ("field", "text"), [("poll", "often"), ("interlocks", "{"), ("min_on_s", "0x10"), ("interlocks", "[NaN]")]
)
def test_what_can_not_be_read_is_named(field: str, text: str) -> None:
    with pytest.raises(ClientError, match=field):
        read_form("switch.relay", SwitchRelay.form(), {"name": "x", **SAFE, field: text})


def test_whole_numbers_stay_whole() -> None:
    form = [{"section": "config", "name": "pin", "type": "number", "step": 1, "nullable": False}]
    assert read_form("x", form, {"pin": "4"})["config"]["pin"] == 4
    assert read_form("x", form, {"pin": "4.5"})["config"]["pin"] == 4.5


def test_every_kind_has_a_form_with_labels_and_help() -> None:
    for kind in (SensorTemperature, SwitchRelay, LightDimmer, MediaTV):
        for field in kind.form():
            assert field["label"]
            assert field["help"]
            assert field["type"] in ("text", "number", "checkbox", "select", "color", "json")
