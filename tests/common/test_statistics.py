# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

from raspy.common.MDP import NotFoundError
from raspy.common.statistics import SNMP, SNMPCounter, SNMPFloat, SNMPString, Statistics


def test_a_number_is_set():
    statistic = SNMP("a.b", "what", 3)
    assert statistic.value == 3
    statistic.set("7")
    assert statistic.as_json() == {"oid": "a.b", "value": 7, "doc": "what", "kind": "value"}


def test_a_counter_adds_and_overflows():
    counter = SNMPCounter("a.b", initial=4294967294)
    counter.set()
    assert counter.value == 4294967295
    counter.set(2)
    assert counter.value == 1
    assert SNMPCounter("a.b", initial=9, overflow=10).set() is None
    assert SNMPCounter("a.b", "hits", 4, 10).as_json() == {
        "oid": "a.b", "value": 4, "doc": "hits", "kind": "counter", "overflow": 10,
    }  # fmt: skip


def test_float_and_string():
    number, text = SNMPFloat("a.b"), SNMPString("a.c")
    assert (number.value, text.value) == (0.0, "")
    number.set("2.5")
    text.set(3)
    assert (number.value, text.value) == (2.5, "3")
    assert (number.as_json()["kind"], text.as_json()["kind"]) == ("value", "text")


def test_the_manager_keeps_updates_and_forgets():
    statistics = Statistics()
    counter = statistics.add_statistic(SNMPCounter("module.hits", "hits"))
    statistics.add_statistic(SNMPString("module.name", "a name", "x"))
    statistics.update_statistic("module.hits")
    statistics.update_statistic("module.hits", 2)
    assert counter.value == 3
    assert statistics.statistics_list_keys() == ("module.hits", "module.name")
    hits = statistics.statistics_get(b"module.hits")
    assert (hits["oid"], hits["value"], hits["doc"], hits["kind"]) == ("module.hits", 3, "hits", "counter")
    assert list(statistics.statistics_all()) == ["module.hits", "module.name"]
    with pytest.raises(ValueError, match=r"module\.hits is there already"):
        statistics.add_statistic(SNMP("module.hits"))
    statistics.remove_statistic("module.hits")
    statistics.remove_statistic("module.hits")
    with pytest.raises(NotFoundError, match=r"no statistic 'module\.hits'"):
        statistics.statistics_get(b"module.hits")
    with pytest.raises(KeyError):
        statistics.update_statistic("module.hits")
