# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging in and out, and the first visit."""

import re
from urllib.parse import unquote

import pytest

from raspyweb import passwords
from raspyweb.app import login
from raspyweb.limiter import Limiter
from tests.support.dashboard import PASSWORD, USERS, Dashboard


@pytest.fixture
def dashboard(run_dir, monkeypatch):
    monkeypatch.setattr(passwords, "COST", 16)
    monkeypatch.setattr(login, "BY_ADDRESS", Limiter(tries=3, every_s=1000))
    monkeypatch.setattr(login, "BY_NAME", Limiter(tries=5, every_s=1000))
    one = Dashboard(run_dir / "web", f"ipc://{run_dir}", present=False)
    yield one
    one.close()


@pytest.fixture
def fresh(dashboard):
    """The same before anybody has used it."""
    (dashboard.accounts.folder / "accounts.json").unlink()
    return dashboard


def send(browser, path, **form):
    page = browser.get(path).get_data(as_text=True)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    return browser.post(path, data={"csrf_token": token, **form})


def test_name_and_password_lead_to_the_page_that_was_wanted(dashboard):
    browser = dashboard.browser()
    answer = browser.get("/devices/?x=1")
    assert unquote(answer.headers["Location"]) == "/login?next=/devices/?x=1"
    answer = send(browser, "/login?next=/account/", name="vera", password=PASSWORD, next="/account/")
    assert answer.headers["Location"] == "/account/"
    assert "vera" in browser.get("/account/").get_data(as_text=True)
    assert browser.get("/login").headers["Location"] == "/"


def test_the_session_ends_on_the_server_too(dashboard):
    browser = dashboard.browser()
    send(browser, "/login", name="vera", password=PASSWORD)
    cookie = browser.get_cookie("raspy").value if hasattr(browser, "get_cookie") else None
    page = browser.get("/account/").get_data(as_text=True)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    assert browser.post("/logout", data={"csrf_token": token}).headers["Location"] == "/login"
    assert browser.get("/account/").status_code == 302
    if cookie is not None:
        browser.set_cookie("raspy", cookie)
        assert browser.get("/account/").status_code == 302


def test_a_session_is_a_new_one_after_the_login(dashboard):
    browser = dashboard.browser()
    browser.get("/login")
    with browser.session_transaction() as session:
        before = session["csrf"]
    send(browser, "/login", name="vera", password=PASSWORD)
    with browser.session_transaction() as session:
        assert session.get("csrf") != before and session.permanent


@pytest.mark.parametrize(
    ("name", "password"), [("vera", "wrong horse"), ("nobody", PASSWORD), ("", ""), ("a" * 9999, "b" * 9999)]
)
def test_what_is_wrong_is_not_told_apart(dashboard, name, password):
    answer = send(dashboard.browser(), "/login", name=name, password=password)
    assert answer.status_code == 403 and "Name or password is wrong." in answer.get_data(as_text=True)
    assert answer.headers.get("Location") is None


def test_who_guesses_has_to_wait_even_with_the_right_password(dashboard):
    for _ in range(3):
        assert send(dashboard.browser(), "/login", name="vera", password="wrong").status_code == 403
    answer = send(dashboard.browser(), "/login", name="vera", password=PASSWORD)
    assert answer.status_code == 429 and re.search(r"Wait \d+ seconds", answer.get_data(as_text=True))


def test_guesses_from_many_addresses_are_slowed_down_too(dashboard):
    browser = dashboard.browser()
    for number in range(5):
        browser.environ_base["REMOTE_ADDR"] = f"10.0.0.{number}"
        assert send(browser, "/login", name="vera", password="wrong").status_code == 403
    browser.environ_base["REMOTE_ADDR"] = "10.0.1.1"
    assert send(browser, "/login", name="vera", password=PASSWORD).status_code == 429
    assert send(browser, "/login", name="olaf", password=PASSWORD).status_code == 302


def test_the_first_visitor(fresh):
    browser = fresh.browser()
    assert browser.get("/login").headers["Location"] == "/first-visit"
    token = fresh.accounts.first_visit_token()
    assert token in browser.get(f"/first-visit?token={token}").get_data(as_text=True)
    form = {"name": "ann", "password": PASSWORD, "again": PASSWORD}
    answer = send(browser, "/first-visit", token="wrong", **form)
    assert answer.status_code == 400 and "not the token" in answer.get_data(as_text=True)
    answer = send(browser, "/first-visit", token=token, **{**form, "again": "other"})
    assert answer.status_code == 400 and "The two passwords differ" in answer.get_data(as_text=True)
    assert fresh.accounts.users() == []
    assert send(browser, "/first-visit", token=token, **form).headers["Location"] == "/"
    assert [user.role for user in fresh.accounts.users()] == ["admin"]
    assert fresh.browser().get("/first-visit").headers["Location"] == "/login"


def test_the_token_can_not_be_guessed_without_waiting(fresh):
    for _ in range(3):
        assert (
            send(fresh.browser(), "/first-visit", token="x", name="eve", password=PASSWORD).status_code == 400
        )
    assert send(fresh.browser(), "/first-visit", token="x", name="eve", password=PASSWORD).status_code == 429


def test_everybody_can_log_in(dashboard):
    for name in USERS:
        assert send(dashboard.browser(), "/login", name=name, password=PASSWORD).status_code == 302
