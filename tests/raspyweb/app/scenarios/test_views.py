# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of scenarios, with a real core behind them, which runs them."""

import html
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raspyweb.app.scenarios.form import NEW, fill
from tests.conftest import wait_for
from tests.raspyweb.app.house import HOSTILE, SCRIPT, House, Visitor
from tests.support.broker import HOSTNAME

PAGES = f"/scenarios/{HOSTNAME}"
LAMP = f"/device/{HOSTNAME}/fake/lamp/state"
FORM = fill(NEW)[0]
LOOP = "scenario.log('on')\nwhile scenario.wait():\n    pass\nscenario.log('off')"


def entry(name, key=LAMP, test="", value=""):
    row = {"name": name, "key": key, "test": test, "value": value, "hysteresis": "", "for_s": ""}
    return {f"entry_{part}": [text] for part, text in row.items()}


def keys(house: House):
    return house.stack.ask("scenarios", "list_keys")


def shown(reply):
    return html.unescape(reply.get_data(as_text=True))


def test_a_scenario_from_its_form_to_its_end(house: House):
    assert 'name="entry_key"' in shown(house.admin.get(f"{PAGES}/-new"))
    sent = {
        **FORM,
        **entry("lamp", test="equals", value="true"),
        "name": "whole",
        "code": LOOP,
        "info": "a test",
    }
    assert house.admin.post(f"{PAGES}/-new", sent).status_code == 302
    info = house.stack.info("whole")
    assert (
        info["entries"]["lamp"]["equals"] is True
        and info["code"] == LOOP
        and info["conf"]["info"] == "a test"
    )
    listed = shown(house.viewer.get("/scenarios/"))
    assert "whole" in listed and "It has not run since core started." in listed

    assert house.operator.post(f"{PAGES}/whole/start").status_code == 302
    house.stack.wait_said("whole", "on")
    live = house.viewer.get(f"/ajax{PAGES}/whole").json
    assert live["state"] == "running" and "has been running" in live["last"]
    assert [line["text"] for line in live["lines"]] == ["on"] and live["entries"]["lamp"]["holds"] is False
    assert "runs already" in shown(house.operator.client.post(
        f"{PAGES}/whole/start", data={"csrf_token": "the token of the tests"}, follow_redirects=True
    ))  # fmt: skip
    assert house.operator.post(f"{PAGES}/whole/stop").status_code == 302
    house.stack.wait_said("whole", "off")
    house.stack.wait_state("whole", "waiting")
    page = shown(house.viewer.get(f"{PAGES}/whole"))
    assert (
        "Its last run was stopped" in page
        and "off" in page
        and "Only an admin may change a scenario." in page
    )
    assert house.operator.post(f"{PAGES}/whole/stop").status_code == 302

    assert house.operator.post(f"{PAGES}/whole/disable").status_code == 302
    assert house.stack.state("whole") == "inactive"
    assert "not active" in shown(house.operator.post(f"{PAGES}/whole/start"))
    assert house.operator.post(f"{PAGES}/whole/enable").status_code == 302
    assert house.stack.state("whole") != "inactive"

    changed = {**FORM, **entry("light"), "code": "scenario.log('anew')\n", "startup": "on"}
    assert house.admin.post(f"{PAGES}/whole", changed).status_code == 302
    info = house.stack.info("whole")
    assert list(info["entries"]) == ["light"] and info["code"] == "scenario.log('anew')\n"
    assert info["conf"]["startup"] is True

    assert "can't be undone" in shown(house.admin.get(f"{PAGES}/whole/delete"))
    assert house.admin.post(f"{PAGES}/whole/delete").status_code == 302
    assert "whole" not in keys(house)
    assert house.viewer.get(f"{PAGES}/whole").status_code == 404


def test_code_that_does_not_compile_is_marked_at_its_line(house: House):
    reply = house.admin.post(
        f"{PAGES}/-new", {**FORM, "name": "unwritten", "code": "a = 1\nif a\n    pass\n"}
    )
    assert reply.status_code == 400
    text = shown(reply)
    assert 'data-line="2"' in text and "does not compile: line 2" in text and "if a\n    pass" in text
    assert "unwritten" not in keys(house)


def test_a_crash_is_shown_at_its_line(house: House):
    house.stack.add("crashing", "scenario.log('<b>so far</b>')\nx = 0\n1 / x\n", restart="never")
    house.operator.post(f"{PAGES}/crashing/start")
    house.stack.wait_state("crashing", "failed")
    reply = house.viewer.get(f"{PAGES}/crashing")
    assert "<b>so far" not in reply.get_data(as_text=True)
    assert 'data-line="3"' in shown(reply) and "ZeroDivisionError: division by zero" in shown(reply)
    live = house.viewer.get(f"/ajax{PAGES}/crashing").json
    assert live["state"] == "failed" and "ended with an error" in live["last"]
    assert "ended with an error" in shown(house.viewer.get("/scenarios/"))


def test_an_entry_that_core_refuses_is_marked(house: House):
    rows = {part: [*first, *entry("b", key="nowhere")[part]] for part, first in entry("a").items()}
    reply = house.admin.post(f"{PAGES}/-new", {**FORM, **rows, "name": "entries"})
    assert reply.status_code == 400 and "'nowhere' is no key" in shown(reply)
    assert house.admin.post(f"{PAGES}/-new", FORM).status_code == 400
    reply = house.admin.post(f"{PAGES}/-new", {**FORM, "name": "much", "memory_mb": "5000"})
    assert reply.status_code == 400 and 'id="field-memory_mb-error"' in shown(reply)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize(
    "field", ["name", "entry_name", "entry_key", "entry_test", "when", "restart", "parallel"]
)
def test_hostile_text_is_refused_and_shown_as_text(house: House, field, text):
    sent = {**FORM, **entry("lamp"), "name": "hostile", field: text}
    reply = house.admin.post(f"{PAGES}/-new", sent)
    assert reply.status_code == 400, text[:40]
    page = reply.get_data(as_text=True)
    assert SCRIPT not in page and "<img src=x" not in page and "hostile" not in keys(house)


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from((*FORM, *entry("x"), "name")), st.text(max_size=60)))
def test_any_text_in_any_field_is_answered(house: House, fields):
    reply = house.admin.post(f"{PAGES}/-new", {**FORM, **entry("lamp"), "name": "any", **fields})
    assert reply.status_code in (302, 400)
    if reply.status_code == 302:
        name = fields.get("name", "any").strip()
        assert house.viewer.get(f"{PAGES}/{name}").status_code == 200
        house.stack.ask("scenarios", "delete", name)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_code_is_refused_or_shown_as_text(house: House, text):
    reply = house.admin.post(f"{PAGES}/-new", {**FORM, "name": "code", "code": f"# {text}\n"})
    if reply.status_code == 302:
        reply = house.admin.get(f"{PAGES}/code")
        house.admin.post(f"{PAGES}/code/delete")
    page = reply.get_data(as_text=True)
    assert SCRIPT not in page and "<img src=x" not in page


def test_hostile_lines_are_kept_as_text(house: House):
    sent = {**FORM, **entry("lamp", test="equals", value=SCRIPT), "name": "odd", "info": SCRIPT}
    assert house.admin.post(f"{PAGES}/-new", {**sent, "code": f"# </textarea>{SCRIPT}"}).status_code == 302
    for page in ("/scenarios/", f"{PAGES}/odd", f"{PAGES}/odd/delete"):
        reply = house.admin.get(page)
        assert reply.status_code == 200 and SCRIPT not in reply.get_data(as_text=True)
    house.admin.post(f"{PAGES}/odd/delete")


def test_too_much_is_refused(house: House):
    assert (
        house.admin.post(f"{PAGES}/-new", {**FORM, "name": "much", "code": "#" * (3 << 20)}).status_code
        == 413
    )
    reply = house.admin.post(f"{PAGES}/-new", {**FORM, "name": "much", "code": "#" * (1 << 20)})
    assert reply.status_code in (400, 413) and "much" not in keys(house)


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_an_admin_edits(house: House, role):
    visitor = house.visitors[role]
    assert visitor.get(f"{PAGES}/-new").status_code == 403
    for path in ("-new", "x", "x/delete", "-import"):
        assert visitor.post(f"{PAGES}/{path}", {**FORM, "name": "sneaky"}).status_code == 403
    for path in ("start", "stop", "enable", "disable"):
        assert visitor.post(f"{PAGES}/nothing/{path}").status_code == (403 if role == "viewer" else 404)
    assert "sneaky" not in keys(house)


def test_a_change_needs_the_token_of_its_page(house: House):
    for path in ("-new", "-import", "x", "x/start", "x/enable", "x/delete"):
        assert house.admin.post(f"{PAGES}/{path}", {**FORM, "name": "forged"}, csrf=False).status_code == 400
    assert "forged" not in keys(house)


@pytest.mark.parametrize(
    "path", ["nowhere/-new", "nowhere/x", "..%2f..%2fetc/x", f"{HOSTNAME}/nobody", f"{HOSTNAME}/x/delete"]
)
def test_what_is_not_there_is_not_found(house: House, path):
    assert house.admin.get(f"/scenarios/{path}").status_code == 404


def test_live_keys_are_offered(house: House):
    house.stack.publish(f"/device/{HOSTNAME}/played/tank/ph", 7.1)
    wait_for(
        lambda: (
            f'<option value="/device/{HOSTNAME}/played/tank/ph">' in shown(house.admin.get(f"{PAGES}/-new"))
        ),
        20,
        "the key to be offered",
    )


def test_without_core_the_pages_say_so(coreless: Visitor):
    reply = coreless.get("/scenarios/")
    assert reply.status_code == 200 and "so there are no scenarios" in shown(reply)
    assert coreless.get(f"{PAGES}/-new").status_code == 404


def test_without_a_broker_the_pages_say_so(alone: Visitor):
    for path in ("/scenarios/", f"{PAGES}/-new", f"{PAGES}/x"):
        reply = alone.get(path)
        assert reply.status_code == 503 and "RasPy does not answer" in shown(reply)
    told = alone.get(f"/ajax{PAGES}/x")
    assert told.status_code == 503 and json.loads(told.data)["error"]
