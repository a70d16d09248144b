# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of cron jobs, with a real core behind them."""

import html
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raspyweb.app.cron.form import fill
from tests.raspyweb.app.house import HOSTILE, SCRIPT, House, Visitor
from tests.support.broker import HOSTNAME

PAGES = f"/cron/{HOSTNAME}"
FORM = fill({})


def jobs(house: House):
    return house.stack.json("cron", "list")


def shown(reply):
    return html.unescape(reply.get_data(as_text=True))


def test_a_job_from_its_form_to_its_end(house: House):
    empty = house.admin.get(f"{PAGES}/-new")
    assert empty.status_code == 200 and 'name="kind"' in shown(empty)
    fields = {
        **FORM,
        "name": "morning",
        "time": "07:30",
        "day_mon": "on",
        "work": "scenario",
        "scenario": "feed",
    }
    seen = house.admin.post(f"{PAGES}/-new", {**fields, "preview": "1"})
    assert seen.status_code == 200 and "Monday, at 07:30" in shown(seen) and "07:30:00" in shown(seen)
    assert "morning" not in jobs(house)
    assert house.admin.post(f"{PAGES}/-new", fields).status_code == 302
    assert jobs(house)["morning"]["cron"] == "30 7 * * mon"

    listed = shown(house.viewer.get("/cron/"))
    assert "Monday, at 07:30" in listed and "starts the scenario feed" in listed and "Europe/Paris" in listed
    assert listed.count("07:30:00</li>") == 5

    assert 'value="07:30"' in shown(house.admin.get(f"{PAGES}/morning"))
    sun = {**FORM, "kind": "sun", "sun": "dusk", "offset": "30", "side": "before", "info": "the lamp"}
    assert house.admin.post(f"{PAGES}/morning", sun).status_code == 302
    job = jobs(house)["morning"]
    assert (job["sun"], job["offset_s"], job["info"]) == ("dusk", -1800.0, "the lamp")
    assert "cron" not in job and "scenario" not in job
    assert "30 minutes before dusk" in shown(house.viewer.get("/cron/"))

    assert house.operator.post(f"{PAGES}/morning/disable").status_code == 302
    assert jobs(house)["morning"]["state"] == "inactive"
    assert house.operator.post(f"{PAGES}/morning/enable").status_code == 302
    assert house.operator.post(f"{PAGES}/morning/fire").status_code == 302
    house.stack.wait_event("cron/morning", "fired")

    assert "can't be undone" in shown(house.admin.get(f"{PAGES}/morning/remove"))
    assert "morning" in jobs(house)
    assert house.admin.post(f"{PAGES}/morning/remove").status_code == 302
    assert "morning" not in jobs(house)
    assert "There is no such cron job." in shown(house.admin.get(f"{PAGES}/morning"))


def test_a_date_with_an_offset_can_be_edited(house: House):
    house.stack.json("cron", "add", "candles", json.dumps({"date": "2099-12-24T16:00:05+01:00"}))
    page = shown(house.admin.get(f"{PAGES}/candles"))
    assert '<input type="text" id="field-date" name="date" value="2099-12-24T16:00:05+01:00"' in page
    assert "Once, on 24 December 2099 at 16:00:05 (UTC+0100)" in shown(house.viewer.get("/cron/"))
    house.admin.post(f"{PAGES}/candles/remove")


def test_the_preview_of_the_script(house: House):
    url = f"/ajax/cron/{HOSTNAME}/preview"
    seen = house.admin.post(url, {**FORM, "kind": "interval", "number": "90", "unit": "60"}).json
    assert seen["when"] == "Every 90 minutes" and seen["what"] == ["only publishes its event"]
    assert len(seen["runs"]) == 5 and seen["timezone"] == "Europe/Paris" and not seen["errors"]
    assert list(house.admin.post(url, {**FORM, "time": "late"}).json["errors"]) == ["time"]
    never = house.admin.post(url, {**FORM, "kind": "cron", "cron": "0 0 30 2 *"}).json
    assert "never fires" in never["errors"]["cron"] and "when" not in never


def test_what_core_refuses_stands_at_its_field(house: House):
    reply = house.admin.post(f"{PAGES}/-new", {**FORM, "name": "bad", "kind": "cron", "cron": "61 * * * *"})
    assert reply.status_code == 400
    text = shown(reply)
    assert "'61' is no minute of a cron expression: 0 to 59" in text and 'id="field-cron-error"' in text
    assert 'value="61 * * * *"' in text
    twice = {**FORM, "name": "twice"}
    assert house.admin.post(f"{PAGES}/-new", twice).status_code == 302
    again = house.admin.post(f"{PAGES}/-new", twice)
    assert again.status_code == 400 and 'id="field-name-error"' in shown(again)
    assert house.admin.post(f"{PAGES}/-new", FORM).status_code == 400


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("name", {}),
        ("kind", {}),
        ("time", {}),
        ("number", {"kind": "interval"}),
        ("date", {"kind": "date"}),
        ("cron", {"kind": "cron"}),
        ("sun", {"kind": "sun"}),
        ("offset", {"kind": "sun"}),
        ("scenario", {"work": "scenario"}),
        ("command_key", {"work": "command", "value": "1"}),
        ("service", {"work": "request", "frames": "x"}),
        ("missed", {}),
    ],
)
def test_hostile_text_is_refused_and_shown_as_text(house: House, field, more, text):
    reply = house.admin.post(f"{PAGES}/-new", {**FORM, "name": "hostile", **more, field: text})
    if reply.status_code == 302:
        # A service may have any name; nothing answers it.
        assert field == "service"
        house.admin.post(f"{PAGES}/hostile/remove")
        return
    assert reply.status_code == 400
    assert SCRIPT not in reply.get_data(as_text=True) and "<img src=x" not in reply.get_data(as_text=True)
    assert "hostile" not in jobs(house)


@settings(max_examples=40)
@given(
    st.dictionaries(
        st.sampled_from((*FORM, "name", "cron", "date", "command_key", "frames")), st.text(max_size=60)
    )
)
def test_any_text_in_any_field_is_answered(house: House, fields):
    reply = house.admin.post(f"{PAGES}/-new", {**FORM, "name": "any", **fields})
    assert reply.status_code in (302, 400)
    assert house.viewer.get("/cron/").status_code == 200
    for name in house.stack.ask("cron", "list_keys"):
        house.stack.ask("cron", "remove", name)


def test_hostile_lines_are_kept_as_text(house: House):
    fields = {**FORM, "name": "odd", "info": SCRIPT, "work": "command", "value": SCRIPT}
    fields["command_key"] = f"/device/{HOSTNAME}/fake/lamp/state"
    assert house.admin.post(f"{PAGES}/-new", fields).status_code == 302
    for page in ("/cron/", f"{PAGES}/odd", f"{PAGES}/odd/remove"):
        reply = house.admin.get(page)
        assert reply.status_code == 200 and SCRIPT not in reply.get_data(as_text=True)
    house.admin.post(f"{PAGES}/odd/remove")


def test_too_much_is_refused(house: House):
    assert house.admin.post(f"{PAGES}/-new", {**FORM, "info": "x" * (3 << 20)}).status_code == 413
    reply = house.admin.post(f"{PAGES}/-new", {**FORM, "name": "much", "info": "x" * (1 << 20)})
    assert reply.status_code in (400, 413) and "much" not in jobs(house)


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_an_admin_edits(house: House, role):
    visitor = house.visitors[role]
    assert visitor.get(f"{PAGES}/-new").status_code == 403
    assert visitor.post(f"{PAGES}/-new", {**FORM, "name": "sneaky"}).status_code == 403
    assert visitor.post(f"/ajax/cron/{HOSTNAME}/preview", FORM).status_code == 403
    assert visitor.post(f"{PAGES}/sneaky/remove").status_code == 403
    assert "sneaky" not in jobs(house)
    assert visitor.post(f"{PAGES}/nothing/fire").status_code == (403 if role == "viewer" else 404)


def test_a_change_needs_the_token_of_its_page(house: House):
    for path in ("-new", "x", "x/fire", "x/enable", "x/remove"):
        assert house.admin.post(f"{PAGES}/{path}", {**FORM, "name": "forged"}, csrf=False).status_code == 400
    assert "forged" not in jobs(house)


@pytest.mark.parametrize(
    "path", ["/cron/nowhere/-new", "/cron/..%2f..%2fetc/x", "/cron/nowhere/x/remove", "/cron/%00/x"]
)
def test_a_host_without_core_is_not_found(house: House, path):
    assert house.admin.get(path).status_code == 404


def test_without_core_the_pages_say_so(coreless: Visitor):
    reply = coreless.get("/cron/")
    assert reply.status_code == 200 and "so nothing is scheduled" in shown(reply)
    assert coreless.get(f"{PAGES}/-new").status_code == 404


def test_without_a_broker_the_pages_say_so(alone: Visitor):
    for path in ("/cron/", f"{PAGES}/-new", f"{PAGES}/x"):
        reply = alone.get(path)
        assert reply.status_code == 503 and "RasPy does not answer" in shown(reply)
    told = alone.post(f"/ajax/cron/{HOSTNAME}/preview", FORM)
    assert told.status_code == 503 and json.loads(told.data)["error"]
