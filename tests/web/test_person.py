# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person does with the dashboard, in a real browser, on a phone and at a desk, by day and by night."""

from __future__ import annotations

import pytest

from tests.support.broker import HOSTNAME
from tests.web.browser import SCHEMES, SIZES, Browser

# A browser computes much, and shares the machine with all other tests.
pytestmark = pytest.mark.timeout(600)

TANK = f"/device/{HOSTNAME}/fake/tank/temperature"
HEATER = f"/device/{HOSTNAME}/fake/heater/state"
TILE = f'.tile[data-key="{TANK}"]'
SWITCH = f'.tile[data-key="{HEATER}"]'
DEVICE = f"/devices/{HOSTNAME}.fake/tank"

PAGES = {
    "overview": "/",
    "arrange": "/arrange",
    "devices": "/devices/",
    "device": DEVICE,
    "actuator": f"/devices/{HOSTNAME}.fake/heater",
    "add-device": f"/devices/{HOSTNAME}.fake/?oid=switch.relay",
    "scenarios": "/scenarios/",
    "scenario": f"/scenarios/{HOSTNAME}/-new",
    "schedule": "/cron/",
    "cron-job": f"/cron/{HOSTNAME}/-new",
    "journal": "/journal/",
    "services": "/services/",
    "statistics": "/statistics/",
    "requests": "/requests/",
    "account": "/account/",
}


@pytest.fixture(autouse=True)
def no_complaints(owner: Browser) -> object:
    """No script fails and nothing offends the Content-Security-Policy, whatever a person does."""
    owner.look("desktop", "light")
    owner.complaints()
    yield
    assert owner.complaints() == []


def test_the_first_visitor_is_an_admin(owner: Browser) -> None:
    owner.open("/account/")
    owner.sees("h1", "anna", "admin")


def test_a_value_changes_while_one_looks(owner: Browser) -> None:
    owner.open("/")
    first = owner.wait(lambda: owner.text(f"{TILE} [data-part=value]"), "the tank's value")
    owner.wait(lambda: owner.text(f"{TILE} [data-part=value]") not in ("", first), "another value")
    owner.sees(f"{TILE} [data-part=quality]", "good")


def test_a_heater_goes_off_when_its_lease_runs_out(owner: Browser) -> None:
    owner.look("phone", "light")
    owner.open("/")
    owner.sees(f"{SWITCH} [data-part=value]", "off")
    # The shortest that a tile offers is a minute; whoever wants less asks for it on the device's page.
    for hold_s in ("600", "2"):  # the second renews it: now it ends soon, however slow this machine is
        owner.open(f"/devices/{HOSTNAME}.fake/heater")
        form = "form.command:has(input[name=command][value=state])"
        owner.find(f"{form} [name=value] option[value=true]").click()
        field = owner.find(f"{form} [name=hold]")
        field.clear()
        field.send_keys(hold_s)
        owner.press(f"{form} button")
        owner.sees("main .notice", "heater")
        if hold_s == "600":
            owner.sees(f'[data-key="{HEATER}"] [data-part=value]', "on")
            owner.open("/")
            owner.sees(f"{SWITCH} [data-part=value]", "on")
            owner.sees(f"{SWITCH} [data-part=held]", "left")
            owner.picture("held", whole=False)
    owner.open("/")
    owner.sees(f"{SWITCH} [data-part=value]", "off")


def test_a_heater_is_switched_on_its_tile(owner: Browser) -> None:
    owner.open("/")
    owner.press(f'{SWITCH} button[value="true"]')
    owner.sees(f"{SWITCH} [data-part=value]", "on")
    owner.press(f'{SWITCH} button[value="false"]')
    owner.sees(f"{SWITCH} [data-part=value]", "off")


def test_a_scenario_is_written_run_and_looked_at(owner: Browser) -> None:
    owner.open(f"/scenarios/{HOSTNAME}/-new")
    owner.fill(name="hello", code="scenario.log('the fish are fed')\n")
    owner.press("form#scenario button.main")
    owner.sees("h1", "hello")
    owner.press('form[action$="/hello/start"] button')
    owner.sees("#lines", "the fish are fed")
    owner.picture("scenario-run", whole=False)
    assert owner.barriers() == []
    owner.open("/scenarios/")
    owner.sees("main", "hello")


def test_a_mistake_in_a_scenario_is_shown_at_its_line(owner: Browser) -> None:
    owner.open(f"/scenarios/{HOSTNAME}/-new")
    owner.fill(name="wrong", code="x = 1\ny = (\n")
    owner.press("form#scenario button.main")
    owner.sees("#code-error", "line 2")
    assert all("400 (BAD REQUEST)" in one for one in owner.complaints())


def test_a_graph_is_looked_at(owner: Browser) -> None:
    owner.open(DEVICE)
    owner.find("#graph .chart svg, #graph .chart canvas")
    owner.picture("graph", whole=False)
    for span in ("week", "day"):
        owner.press(f"#graph button[data-span]:nth-of-type({1 if span == 'day' else 2})")
        owner.find("#graph .chart svg, #graph .chart canvas")


def test_a_line_is_found_in_the_journal(owner: Browser) -> None:
    owner.open("/journal/")
    owner.fill(text="WATER")
    owner.press("form[role=search] button.main")
    owner.sees("#lines", "the water was changed")
    assert "cloudy" not in owner.text("#lines")
    owner.fill(text="nothing like this")
    owner.press("form[role=search] button.main")
    owner.sees("#no-lines", "No line fits.")


def test_the_journal_is_followed(owner: Browser, house: object) -> None:
    from raspy.common.mdcliapi import MajorDomoClient

    owner.open("/journal/")
    owner.find("#lines li")
    with MajorDomoClient(house.broker.url) as client:  # type: ignore[attr-defined]
        client.call(f"{HOSTNAME}.logger.log", "log", "aquarium", "error", "a leak under the tank")
    owner.sees("#lines li.new", "a leak under the tank")


def test_french_and_dark_are_chosen(owner: Browser) -> None:
    owner.open("/account/")
    owner.find("[name=language] option[value=fr]").click()
    owner.find("[name=theme] option[value=dark]").click()
    owner.press("form[action$='/look'] button")
    owner.sees("nav.menu", "Journal", "Appareils")
    assert owner.driver.execute_script("return document.documentElement.dataset.theme") == "dark"
    owner.open("/account/")
    owner.find("[name=language] option[value='']").click()
    owner.find("[name=theme] option[value=auto]").click()
    owner.press("form[action$='/look'] button")
    owner.sees("nav.menu", "Devices")


@pytest.mark.parametrize("name", PAGES)
def test_every_page_fits_and_has_no_barrier(owner: Browser, name: str) -> None:
    for size, scheme in zip(SIZES, SCHEMES[::-1], strict=True):
        owner.look(size, scheme)
        owner.open(PAGES[name])
        owner.find("h1")
        owner.picture(name)
        assert owner.too_wide() <= 0, f"{name} is wider than a {size}"
        assert owner.barriers() == [], f"{name} on a {size}, {scheme}"


def test_the_overview_in_the_other_colours(owner: Browser) -> None:
    for size, scheme in zip(SIZES, SCHEMES, strict=True):
        owner.look(size, scheme)
        owner.open("/")
        owner.find(TILE)
        owner.picture("overview")
        assert owner.barriers() == []


def test_it_is_used_by_keyboard_alone(owner: Browser) -> None:
    from selenium.webdriver.common.keys import Keys

    owner.open("/journal/")
    owner.find("body").send_keys(Keys.TAB)
    assert owner.driver.switch_to.active_element.text == "Skip to the content"
    owner.driver.switch_to.active_element.send_keys(Keys.ENTER)
    owner.wait(lambda: owner.path.endswith("#content"), "the content")
    owner.driver.switch_to.active_element.send_keys(Keys.TAB)
    field = owner.driver.switch_to.active_element
    assert field.get_attribute("name") == "text"
    field.send_keys("WATER", Keys.ENTER)
    owner.sees("#lines", "the water was changed")
