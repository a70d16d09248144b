# SPDX-License-Identifier: GPL-3.0-or-later
"""Send any request from the browser, to real servers."""

import html
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raspy.common.mdwrkapi import MajorDomoWorker
from raspyweb.app import views
from raspyweb.app.requests import requests
from tests.conftest import wait_for
from tests.raspyweb.app.house import HOSTILE, SCRIPT, House, Sleeper, Visitor
from tests.support.asking import Asking
from tests.support.broker import HOSTNAME

LAMP = f"/device/{HOSTNAME}/fake/lamp/state"
DEVICES = f"{HOSTNAME}.fake.devices"


def shown(reply):
    return html.unescape(reply.get_data(as_text=True))


def test_the_manual_s_name():
    assert views.requests is requests


def test_the_tree_leads_to_every_action(house: House):
    tree = shown(house.viewer.get("/requests/"))
    for name in ("mmi.discovery", f"{HOSTNAME}.core.cron", DEVICES, "titanic.store"):
        assert f'href="/requests/{name}"' in tree
    service = shown(house.viewer.get(f"/requests/{HOSTNAME}.core.cron"))
    assert f'href="/requests/{HOSTNAME}.core.cron/next"' in service
    assert "next NAME [COUNT]: when it will run, seconds since the epoch." in service
    assert "set SERVICE SECTION KEY VALUE" in shown(house.viewer.get("/requests/titanic.store"))
    form = shown(house.admin.get(f"/requests/{HOSTNAME}.core.cron/update"))
    assert form.count("<textarea") == 2
    assert "<textarea" not in shown(house.admin.get(f"/requests/{HOSTNAME}.core.mmi/status"))


def test_a_request_and_its_frames(house: House):
    page = shown(house.viewer.post(f"/requests/{HOSTNAME}.core.mmi/info"))
    assert '<span class="badge good">200</span>' in page and '"version":' in page and "MDPC01" in page
    found = shown(house.viewer.post("/requests/mmi.discovery", {"frame": [f"{HOSTNAME}.core.cr.*", "", ""]}))
    assert f">{HOSTNAME}.core.cron<" in found
    refused = shown(house.viewer.post(f"/requests/{HOSTNAME}.core.cron/next", {"frame": "nobody"}))
    assert '<span class="badge bad">404</span>' in refused and "there is no cron job 'nobody'" in refused
    first = shown(house.admin.post("/requests/titanic.store/list"))
    assert '<span class="badge good">200</span>' in first


def test_an_operator_steers_and_an_admin_does_the_rest(house: House):
    house.admin.post(
        f"/requests/{DEVICES}/add", {"frame": json.dumps({"name": "lamp2", "oid": "switch.fake"})}
    )
    sent = house.operator.post(f"/requests/{DEVICES}/exec", {"frame": ["lamp2", "state", "true"]})
    assert sent.status_code == 200
    assert house.operator.post(f"/requests/{DEVICES}/remove", {"frame": "lamp2"}).status_code == 403
    assert (
        house.viewer.post(f"/requests/{DEVICES}/exec", {"frame": ["lamp2", "state", "1"]}).status_code == 403
    )
    page = shown(house.viewer.get(f"/requests/{DEVICES}/exec"))
    assert "To send this request needs the role operator." in page and 'name="frame"' not in page
    assert house.admin.post(f"/requests/{DEVICES}/list_keys", csrf=False).status_code == 400


def test_frames_that_are_no_text(house: House):
    service = f"{HOSTNAME}.odd.bytes"
    worker = MajorDomoWorker(house.stack.broker.url, service)
    try:
        wait_for(
            lambda: f"/requests/{service}" in shown(house.admin.get("/requests/")), 20, "the odd service"
        )
        asking = Asking(lambda: house.admin.post(f"/requests/{service}/anything", {"frame": "a\r\nb"}))
        address, request = wait_for(lambda: worker.receive(0.2), 20, "the request")
        assert request == [b"anything", b"a\nb"]
        worker.reply(address, [b"\x00\xff" * 5000, SCRIPT.encode(), b"{" + b"[" * 100, b"x" * 70_000, b"200"])
        reply = asking.done()
        page = reply.get_data(as_text=True)
        assert "00 ff 00 ff" in page and "10000 bytes, bytes, only the beginning is shown" in page
        assert SCRIPT not in page and "70000 bytes, only the beginning is shown" in page
        assert "does not tell its actions" in shown(house.admin.get(f"/requests/{service}"))
    finally:
        worker.destroy()


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_sent_as_text_and_shown_as_text(house: House, text):
    reply = house.admin.post(f"/requests/{HOSTNAME}.core.scenario/info", {"frame": text})
    page = reply.get_data(as_text=True)
    assert reply.status_code == 200 and SCRIPT not in page and "<img src=x" not in page
    assert '<span class="badge bad">400</span>' in page
    path = text[:200].replace("/", "").replace("%", "").replace("?", "")
    unknown = house.admin.post(f"/requests/{HOSTNAME}.core.mmi/{path}")
    assert unknown.status_code in (200, 404) and SCRIPT not in unknown.get_data(as_text=True)


@settings(max_examples=40)
@given(
    st.lists(st.text(max_size=40), max_size=5), st.sampled_from(("cron/next", "scenario/info", "mmi/info"))
)
def test_any_frames_are_sent_and_answered(house: House, frames, path):
    reply = house.admin.post(f"/requests/{HOSTNAME}.core.{path}", {"frame": frames})
    assert reply.status_code == 200 and 'class="badge ' in reply.get_data(as_text=True)


def test_too_much_is_refused(house: House):
    many = house.admin.post(f"/requests/{HOSTNAME}.core.mmi/info", {"frame": ["x"] * 51})
    assert many.status_code == 400 and "at most 50 frames" in shown(many)
    long = house.admin.post(f"/requests/{HOSTNAME}.core.mmi/info", {"frame": "x" * ((256 << 10) + 1)})
    assert long.status_code == 400 and "at most 262144 bytes" in shown(long)
    assert (
        house.admin.post(f"/requests/{HOSTNAME}.core.mmi/info", {"frame": "x" * (3 << 20)}).status_code == 413
    )


@pytest.mark.parametrize("path", ["nowhere", "nowhere.core.cron/list", "../../etc/passwd", "%00", "x" * 2000])
def test_a_service_that_is_not_there(house: House, path):
    assert house.admin.get(f"/requests/{path}").status_code == 404


@pytest.mark.parametrize(
    "told", [[], {"x": 5}, {"x": {"y": 7}}, {"x": {"y": {"least": "many", "most": -4, "info": [SCRIPT]}}}]
)
def test_a_server_that_tells_nonsense_does_not_spoil_the_page(house: House, told):
    with Sleeper(house, "babbler") as sleeper:
        asking = Asking(lambda: house.admin.get(f"/requests/{sleeper.name}.x/y"))
        sleeper.wake("mmi", told)
        reply = asking.done()
        assert reply.status_code == 200 and SCRIPT not in reply.get_data(as_text=True)


def test_a_server_that_is_asleep_is_woken_by_the_first_request(house: House):
    badge = '<span class="badge">asleep</span>'
    assert badge not in shown(house.admin.get("/requests/"))
    with Sleeper(house, "dozer") as sleeper:
        assert badge in shown(house.admin.get("/requests/"))
        # Of a server that sleeps not all services are known.
        asking = Asking(lambda: house.admin.get(f"/requests/{sleeper.name}.nap/take"))
        sleeper.wake("mmi", {"nap": {"take": {"least": 1, "most": 1, "info": "take MINUTES: a nap."}}})
        assert "take MINUTES: a nap." in shown(asking.done())


def test_without_a_broker_the_page_says_so(alone: Visitor):
    for path in ("/requests/", f"/requests/{DEVICES}/exec"):
        reply = alone.get(path)
        assert reply.status_code == 503 and "RasPy does not answer" in shown(reply)
