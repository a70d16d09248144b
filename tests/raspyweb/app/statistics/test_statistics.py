# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of real servers."""

import html

import pytest

from raspy.common.mdwrkapi import MajorDomoWorker
from tests.conftest import wait_for
from tests.raspyweb.app.house import SCRIPT, House, Sleeper, Visitor
from tests.support.asking import Asking
from tests.support.broker import HOSTNAME

CORE, BROKER = f"{HOSTNAME}.core", f"{HOSTNAME}.broker"


def shown(reply):
    return html.unescape(reply.get_data(as_text=True))


def test_every_server_s_figures_with_what_they_are(house: House):
    page = shown(house.viewer.get("/statistics/"))
    for server in (CORE, BROKER, f"{HOSTNAME}.fake", f"{HOSTNAME}.titanic"):
        assert f'data-server="{server}"' in page
    assert "cron.fired" in page and "replies to clients" in page and 'data-kind="counter"' in page


def test_the_figures_as_they_grow(house: House):
    def figures():
        return house.viewer.get("/ajax/statistics", server=[CORE, BROKER, "nowhere.x", SCRIPT]).json

    first, second = figures(), figures()
    assert sorted(second) == [BROKER, CORE] and not second[CORE]["error"]
    assert second[CORE]["at"] > first[CORE]["at"]
    asked = [one[CORE]["figures"]["server.requests"] for one in (first, second)]
    assert (
        asked[1]["value"] > asked[0]["value"] and asked[1]["kind"] == "counter" and asked[1]["overflow"] > 0
    )
    assert house.viewer.get("/ajax/statistics").json == {}


def test_a_server_that_refuses_does_not_spoil_the_page(house: House):
    name = f"{HOSTNAME}.broken"
    worker = MajorDomoWorker(house.stack.broker.url, f"{name}.statistics")
    try:
        wait_for(lambda: f"{name}.statistics" in house.bus.awake(), 20, "the worker")
        asking = Asking(lambda: house.viewer.get("/statistics/"))
        address, _request = wait_for(lambda: worker.receive(0.2), 20, "the request")
        worker.reply(address, [f"no {SCRIPT}".encode(), b"500"])
        reply = asking.done()
        assert reply.status_code == 200 and CORE in shown(reply)
        assert SCRIPT not in reply.get_data(as_text=True) and f"no {SCRIPT}" in shown(reply)
    finally:
        worker.destroy()


@pytest.mark.parametrize("told", [[1, 2], "text", None, {"a.b": 7, "a.c": {"value": SCRIPT}}])
def test_a_server_that_tells_nonsense_does_not_spoil_the_page(house: House, told):
    with Sleeper(house, "babbler") as sleeper:
        asking = Asking(lambda: house.viewer.get("/statistics/", wake=sleeper.name))
        sleeper.wake("statistics", told)
        reply = asking.done()
        assert reply.status_code == 200 and SCRIPT not in reply.get_data(as_text=True)


def test_a_server_that_is_asleep_is_woken_by_hand_only(house: House):
    with Sleeper(house, "sleeper") as sleeper:
        page = shown(house.viewer.get("/statistics/"))
        assert (
            f'href="/statistics/?wake={sleeper.name}"' in page and f'data-server="{sleeper.name}"' not in page
        )
        assert house.viewer.get("/ajax/statistics", server=sleeper.name).json == {}
        asking = Asking(lambda: house.viewer.get("/statistics/", wake=sleeper.name))
        figure = {"oid": "sleeper.dreams", "value": 7, "doc": "dreams so far", "kind": "value"}
        sleeper.wake("statistics", {"sleeper.dreams": figure})
        page = shown(asking.done())
        assert f'data-server="{sleeper.name}"' in page and "dreams so far" in page


def test_without_a_broker_the_page_says_so(alone: Visitor):
    assert alone.get("/statistics/").status_code == 503
    assert alone.get("/ajax/statistics").json["error"]
