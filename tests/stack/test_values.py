# SPDX-License-Identifier: GPL-3.0-or-later
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.common.kvcliapi import KvPublisherClient
from raspy.stack import values as values_module
from raspy.stack.values import Values, in_words
from tests.conftest import wait_for


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"value": 21.5, "unit": "°C", "quality": "good"}, "21.5 °C"),
        ({"value": True, "unit": None, "quality": "good"}, "on"),
        ({"value": False, "unit": "", "quality": "stale"}, "off (stale)"),
        ({"value": 1, "unit": "", "quality": "good"}, "1"),
        ({"value": [1], "unit": "", "quality": "good"}, "[1]"),
        ({"value": 21.5, "unit": "°C", "quality": "stale"}, "21.5 °C (stale)"),
        ({"value": None, "quality": "fault", "error": "CRC error"}, "fault: CRC error"),
        ({"value": None, "quality": "fault"}, "fault: no reason given"),
        ({"value": 1}, ""),
        ([], ""),
    ],
)
def test_values_in_words(value, words):
    assert in_words(json.dumps(value).encode()) == words


@given(st.binary())
def test_anything_at_all_in_words(body):
    assert isinstance(in_words(body), str)


def test_changes_are_told_once_and_not_too_often(broker, monkeypatch):
    monkeypatch.setattr(values_module, "SHOW_EVERY_S", 0.0)
    values = Values(broker.url)
    publisher = KvPublisherClient(broker=broker.url)

    def publish(key, value):
        publisher.send(
            "/device/", key, value and json.dumps({"value": value, "unit": "°C", "quality": "good"})
        )

    try:
        publish("pi/fake/tank/temperature", 24.0)
        assert wait_for(values.news) == ["fake/tank                temperature 24.0 °C"]
        publish("pi/fake/tank/temperature", 24.0)
        publish("pi/too/short", 1)
        publish("pi/fake/tank/level", 3)
        assert wait_for(values.news) == ["fake/tank                temperature 24.0 °C   level 3 °C"]
        publish("pi/fake/tank/level", "")
        publish("pi/fake/tank/temperature", 25)
        assert wait_for(values.news) == ["fake/tank                temperature 25 °C"]
        monkeypatch.setattr(values_module, "SHOW_EVERY_S", 3600.0)
        publish("pi/fake/tank/temperature", 26)
        assert wait_for(values.news)
        publish("pi/fake/tank/temperature", 27)
        wait_for(lambda: values._changed)
        assert values.news() == []
    finally:
        values.close()
        publisher.destroy()
