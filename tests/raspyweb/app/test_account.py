# SPDX-License-Identifier: GPL-3.0-or-later
"""The page Account, for each kind of user. It needs no broker."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raspyweb import passwords
from raspyweb.app import account
from raspyweb.limiter import Limiter
from tests.support.dashboard import PASSWORD, Dashboard, post

NEW = "new password"


@pytest.fixture
def dashboard(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dashboard]:
    monkeypatch.setattr(passwords, "COST", 16)
    monkeypatch.setattr(account, "TRIES", Limiter(tries=5, every_s=20))
    one = Dashboard(run_dir / "web", f"ipc://{run_dir}", present=False)
    yield one
    one.close()


def shown(browser: object, url: str, **form: str) -> str:
    return str(post(browser, url, **form).get_data(as_text=True))  # type: ignore[arg-type]


def test_strangers_are_sent_to_the_login(dashboard: Dashboard) -> None:
    answer = dashboard.browser().get("/account/")
    assert answer.status_code == 302 and answer.headers["Location"].startswith("/login")


def test_who_one_is_and_what_an_admin_sees_besides(dashboard: Dashboard) -> None:
    page = dashboard.browser("vera").get("/account/").get_data(as_text=True)
    assert "viewer" in page and "Add a user" not in page and "anna" not in page and "steer:" not in page
    page = dashboard.browser("anna").get("/account/").get_data(as_text=True)
    assert "Add a user" in page and "vera" in page and "steer:" in page


def test_the_own_password(dashboard: Dashboard) -> None:
    here, elsewhere = dashboard.browser("vera"), dashboard.browser("vera")
    page = shown(here, "/account/password", old=PASSWORD, password=NEW, again=NEW)
    assert "Your password is changed" in page
    assert dashboard.accounts.check("vera", NEW) and not dashboard.accounts.check("vera", PASSWORD)
    assert here.get("/account/").status_code == 200
    assert elsewhere.get("/account/").status_code == 302


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"old": "wrong", "password": NEW, "again": NEW}, "not your present password"),
        ({"old": PASSWORD, "password": NEW, "again": "other"}, "The two passwords differ"),
        ({"old": PASSWORD, "password": "short", "again": "short"}, "at least 8 characters"),
        ({"old": PASSWORD, "password": "x" * 300, "again": "x" * 300}, "at most 256 characters"),
        ({}, "not your present password"),
    ],
)
def test_a_password_that_is_not_changed(dashboard: Dashboard, form: dict[str, str], words: str) -> None:
    assert words in shown(dashboard.browser("vera"), "/account/password", **form)
    assert dashboard.accounts.check("vera", PASSWORD)


def test_guessing_the_old_password_is_slowed_down(dashboard: Dashboard) -> None:
    browser = dashboard.browser("vera")
    for _ in range(5):
        assert "not your present" in shown(browser, "/account/password", old="guess", password=NEW, again=NEW)
    answer = post(browser, "/account/password", old=PASSWORD, password=NEW, again=NEW)
    assert answer.status_code == 429
    assert dashboard.accounts.check("vera", PASSWORD)


def test_language_and_colours_are_kept(dashboard: Dashboard) -> None:
    browser = dashboard.browser("vera")
    page = shown(browser, "/account/look", language="fr", theme="dark")
    assert '<html lang="fr" data-theme="dark">' in page and "Langue" in page
    assert '<html lang="fr" data-theme="dark">' in dashboard.browser("vera").get("/account/").get_data(
        as_text=True
    )
    page = shown(browser, "/account/look", language="", theme="auto")
    assert '<html lang="en" data-theme="auto">' in page


@pytest.mark.parametrize(
    "form", [{"language": "xx", "theme": "auto"}, {"language": "fr", "theme": "pink"}, {}]
)
def test_another_language_or_theme_is_refused(dashboard: Dashboard, form: dict[str, str]) -> None:
    assert "Choose one of those offered." in shown(dashboard.browser("vera"), "/account/look", **form)
    user = dashboard.accounts.find("vera")
    assert user is not None and not user.preferences


def test_signing_out_elsewhere(dashboard: Dashboard) -> None:
    here, elsewhere = dashboard.browser("vera"), dashboard.browser("vera")
    assert "All your other sessions have ended" in shown(here, "/account/sessions")
    assert here.get("/account/").status_code == 200
    assert elsewhere.get("/account/").status_code == 302


def test_a_token_is_shown_once_works_and_is_revoked(dashboard: Dashboard) -> None:
    browser = dashboard.browser("olaf")
    page = shown(browser, "/account/tokens", label="the <tank> display", scope="steer")
    found = re.search(r'id="new-token">(raspy_[^<]+)<', page)
    assert found and "the &lt;tank&gt; display" in page and "<tank>" not in page
    assert found[1] not in browser.get("/account/").get_data(as_text=True)
    program = dashboard.app.test_client()
    headers = {"Authorization": f"Bearer {found[1]}"}
    assert program.get("/api/v1/me", headers=headers).json["role"] == "operator"
    (token,) = dashboard.accounts.tokens("olaf")
    page = shown(dashboard.browser("anna"), "/account/tokens/remove", id=token["id"])
    assert "There is no such token" in page
    assert "The token is revoked" in shown(browser, "/account/tokens/remove", id=token["id"])
    assert program.get("/api/v1/me", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"label": "x", "scope": "admin"}, "more than you may"),
        ({"label": "x", "scope": "other"}, "scope is one of"),
        ({"label": "", "scope": "read"}, "label is a line"),
        ({"label": "x" * 81, "scope": "read"}, "label is a line"),
        ({"label": "a\x00b", "scope": "read"}, "label is a line"),
    ],
)
def test_a_token_that_is_not_made(dashboard: Dashboard, form: dict[str, str], words: str) -> None:
    assert words in shown(dashboard.browser("olaf"), "/account/tokens", **form)
    assert dashboard.accounts.tokens("olaf") == []


def test_users_come_change_and_go(dashboard: Dashboard) -> None:
    admin = dashboard.browser("anna")
    form = {"name": "paul", "role": "viewer", "password": NEW, "again": NEW}
    assert "paul may come in now" in shown(admin, "/account/users", **form)
    assert "There is a user paul already" in shown(admin, "/account/users", **form)
    assert "paul is now: operator" in shown(admin, "/account/users/role", name="paul", role="operator")
    page = shown(admin, "/account/users/password", name="paul", password=PASSWORD)
    assert "paul has another password" in page
    user = dashboard.accounts.check("paul", PASSWORD)
    assert user is not None and user.role == "operator"
    assert "paul is removed" in shown(admin, "/account/users/remove", name="paul")
    assert dashboard.accounts.find("paul") is None


@pytest.mark.parametrize(
    ("url", "form", "words"),
    [
        ("", {"name": "a b", "role": "viewer", "password": NEW, "again": NEW}, "letters, digits"),
        ("", {"name": "x", "role": "king", "password": NEW, "again": NEW}, "A role is one of"),
        ("", {"name": "x", "role": "viewer", "password": NEW, "again": "y"}, "differ"),
        ("/role", {"name": "nobody", "role": "admin"}, "There is no user nobody"),
        ("/role", {"name": "anna", "role": "viewer"}, "anna is the only admin"),
        ("/password", {"name": "vera", "password": "x"}, "at least 8"),
        ("/remove", {"name": "anna"}, "remove yourself"),
        ("/remove", {"name": "<b>"}, "There is no user &lt;b&gt;"),
    ],
)
def test_what_an_admin_can_not_do(dashboard: Dashboard, url: str, form: dict[str, str], words: str) -> None:
    before = dashboard.accounts.users()
    assert words in shown(dashboard.browser("anna"), f"/account/users{url}", **form)
    assert dashboard.accounts.users() == before


def test_an_admins_own_password_by_the_list(dashboard: Dashboard) -> None:
    browser = dashboard.browser("anna")
    shown(browser, "/account/users/password", name="anna", password=NEW)
    assert browser.get("/account/").status_code == 200


@pytest.mark.parametrize("url", ["", "/role", "/password", "/remove"])
def test_only_an_admin_changes_users(dashboard: Dashboard, url: str) -> None:
    form = {"name": "paul", "role": "admin", "password": NEW, "again": NEW}
    assert post(dashboard.browser("olaf"), f"/account/users{url}", **form).status_code == 403
    assert [user.name for user in dashboard.accounts.users()] == ["anna", "olaf", "vera"]


def test_no_change_without_the_token_of_the_page(dashboard: Dashboard) -> None:
    browser = dashboard.browser("anna")
    for url in (
        "password",
        "look",
        "sessions",
        "tokens",
        "tokens/remove",
        "users",
        "users/role",
        "users/remove",
    ):
        assert browser.post(f"/account/{url}", data={"name": "vera"}).status_code == 400
    assert dashboard.accounts.find("vera") is not None


def test_an_api_token_can_not_outgrow_its_scope(dashboard: Dashboard) -> None:
    program = dashboard.app.test_client()
    headers = dashboard.bearer("anna", "read")
    answer = program.post("/account/tokens", data={"label": "more", "scope": "admin"}, headers=headers)
    assert answer.status_code == 403
    assert [token["scope"] for token in dashboard.accounts.tokens("anna")] == ["read"]
    headers = dashboard.bearer("anna", "admin")
    form = {"name": "paul", "role": "admin", "password": NEW, "again": NEW}
    assert program.post("/account/users", data=form, headers=headers).status_code == 403


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    url=st.sampled_from(["look", "tokens", "tokens/remove", "users", "users/role", "users/remove"]),
    text=st.text(max_size=300),
)
def test_hostile_text_in_every_field(dashboard: Dashboard, url: str, text: str) -> None:
    browser = dashboard.browser("anna")
    fields = ("name", "role", "id", "label", "scope", "language", "theme", "again")
    answer = post(browser, f"/account/{url}", **dict.fromkeys(fields, text), password="x")
    assert answer.status_code == 200
    assert {"anna", "olaf", "vera"} <= {user.name for user in dashboard.accounts.users()}


def test_a_page_of_a_megabyte_is_an_error_and_no_more(dashboard: Dashboard) -> None:
    answer = post(dashboard.browser("anna"), "/account/tokens", label="x" * 1_000_000, scope="read")
    assert answer.status_code == 200 and "label is a line" in answer.get_data(as_text=True)
