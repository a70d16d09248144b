# SPDX-License-Identifier: GPL-3.0-or-later
"""The application as a whole: its key, its headers, its errors, who gets where, hostile requests."""

import re
import stat
from urllib.parse import quote, urlsplit

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import raspyweb.app
from raspy.common.MDP import ClientError, NotFoundError
from raspyweb import passwords
from raspyweb.accounts import AccountError
from raspyweb.app import auth, bus, create_app, errors, headers, install_secret_key, views
from raspyweb.app.bus import BusAway, Refused
from raspyweb.config import Config, DevelopmentConfig, ProductionConfig, TestingConfig
from tests.support.dashboard import Dashboard, post

PAGES = ("/", "/devices/", "/scenarios/", "/cron/", "/journal/", "/services/", "/statistics/", "/account/")


FORMS = (
    "/{}", "/devices/{}", "/devices/{}/{}", "/login?next={}", "/static/{}", "/ajax/spark?key={}",
    "/ajax/series?key=x&start={}", "/journal/?text={}", "/scenarios/{}",
)  # fmt: skip
HOSTILE = (
    "<script>alert(1)</script>", "../../etc/passwd", "%2e%2e%2f", "\x00", "a" * 5000, "' OR 1=1", "{{7*7}}",
    "//evil.example/", "/\\evil.example",
)  # fmt: skip


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory):
    """A dashboard whose broker is away."""
    folder = tmp_path_factory.mktemp("web")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "COST", 16)
        patch.setattr(bus, "AWAY_S", 0.1)
        one = Dashboard(folder, f"ipc://{folder}/none", present=False)
        yield one
        one.close()


@pytest.fixture
def failing(dashboard):
    """A function: the answer of a view that raises an error, or returns something."""

    def ask(outcome, path="/fails", user=""):
        def view():
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        app = Flask("raspyweb.app", template_folder="templates", static_folder="static")
        app.config.from_object(TestingConfig)
        app.config.update(SECRET_KEY=b"x" * 32, PROPAGATE_EXCEPTIONS=False)
        app.extensions.update(dashboard.app.extensions)
        app.jinja_env.globals.update(dashboard.app.jinja_env.globals)
        errors.install(app)
        app.after_request(headers.secure)
        for family in ("login", "overview", "account"):
            app.register_blueprint(dashboard.app.blueprints[family])
        app.add_url_rule(path, view_func=view)
        return app.test_client().get(path)

    return ask


def test_the_names_of_the_manual():
    assert issubclass(DevelopmentConfig, Config) and DevelopmentConfig.DEBUG and DevelopmentConfig.TESTING
    assert (
        issubclass(ProductionConfig, Config) and not ProductionConfig.DEBUG and not ProductionConfig.TESTING
    )
    assert issubclass(TestingConfig, Config) and TestingConfig.TESTING
    assert (Config.BROKER_IP, Config.BROKER_PORT, Config.CSRF_ENABLED) == ("127.0.0.1", 5514, True)
    from raspyweb.app.ajax import constants, models
    from raspyweb.app.ajax import views as ajax

    assert all(
        map(callable, (views.home, views.not_found, views.requests, ajax.devices, ajax.home, ajax.mmi))
    )
    assert constants.STREAMS_MAX and models.Follower


def test_the_secret_key_is_made_once_for_its_owner_only(tmp_path):
    first = create_app({"DATA_DIR": tmp_path, "BROKER": f"ipc://{tmp_path}"})
    path = tmp_path / "secret_key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and len(first.config["SECRET_KEY"]) == 32
    path.chmod(0o644)
    again = Flask("x")
    again.config["DATA_DIR"] = tmp_path
    install_secret_key(again)
    assert again.config["SECRET_KEY"] == first.config["SECRET_KEY"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("too short")
    install_secret_key(again, "secret_key")
    assert again.config["SECRET_KEY"] != first.config["SECRET_KEY"] and len(again.config["SECRET_KEY"]) == 32
    first.extensions[raspyweb.app.EXTENSION].close()


def test_a_config_may_be_a_class(tmp_path):
    class Mine(TestingConfig):
        DATA_DIR = tmp_path
        SECRET_KEY = b"y" * 32

    app = create_app(Mine)
    assert app.config["TESTING"] and not (tmp_path / "secret_key").exists()
    assert app.extensions[raspyweb.app.EXTENSION].broker.url == "tcp://127.0.0.1:5514"
    app.extensions[raspyweb.app.EXTENSION].close()


def test_every_answer_has_the_headers_that_protect_the_reader(dashboard):
    for path in ("/login", "/static/raspy.css", "/nope", "/ajax/nope"):
        with dashboard.browser().get(path) as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert "unsafe-inline" not in policy and "default-src 'none'" in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "Strict-Transport-Security" not in answer.headers
    assert dashboard.browser().get("/login").headers["Cache-Control"] == "no-store"
    with dashboard.browser().get("/static/raspy.css") as answer:
        assert "max-age=3600" in answer.headers["Cache-Control"]
    secure = dashboard.browser().get("/login", base_url="https://pi.local")
    assert "Strict-Transport-Security" in secure.headers


def test_no_page_has_an_inline_script_or_style(dashboard):
    browser = dashboard.browser("anna")
    for path in (*PAGES, "/login"):
        page = browser.get(path).get_data(as_text=True)
        assert not re.search(r"<style|\bstyle=|\son[a-z]+=", page), path
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page)), path
        assert not re.search(r'(?:src|href)="(?:https?:)?//', page), path


@pytest.mark.parametrize("path", ["/", "/devices/", "/devices/x.fake/tank", "/arrange", "/requests/"])
def test_while_the_broker_is_away_a_page_says_so_and_tries_again(dashboard, path):
    answer = dashboard.browser("anna").get(path)
    page = answer.get_data(as_text=True)
    if answer.status_code == 503:
        assert "RasPy does not answer" in page and answer.headers["Retry-After"] == "5"
    else:
        # A page that is of use without the bus.
        assert answer.status_code == 200 and "away" in page


def test_strangers_get_nowhere(dashboard):
    browser = dashboard.browser()
    for rule in dashboard.app.url_map.iter_rules():
        if rule.endpoint in (
            "static",
            "login.login",
            "login.do_login",
            "login.first_visit",
            "login.do_first_visit",
        ):
            continue
        path = re.sub(r"<[^>]+>", "x", rule.rule)
        method = "GET" if "GET" in rule.methods else next(iter(rule.methods - {"HEAD", "OPTIONS"}))
        view = dashboard.app.view_functions[rule.endpoint]
        if method == "GET":
            answer = browser.get(path)
            public = getattr(view, "role", None) is None
            assert public or answer.status_code in (302, 401), (rule.rule, answer.status_code)
            if answer.status_code == 302:
                assert answer.headers["Location"].startswith("/login")
        else:
            assert browser.open(path, method=method).status_code in (400, 401, 403), rule.rule


def test_each_view_says_who_may_see_it(dashboard):
    public = {
        rule.endpoint for rule in dashboard.app.url_map.iter_rules()
        if getattr(dashboard.app.view_functions[rule.endpoint], "role", None) is None
    }  # fmt: skip
    known = {"static", "login.login", "login.do_login", "login.first_visit", "login.do_first_visit"}
    assert public <= known | {name for name in public if name.startswith("api.")}, public


def test_a_change_needs_the_token_of_its_page(dashboard):
    browser = dashboard.browser("vera")
    assert browser.post("/favourite", data={"device": "x"}).status_code == 400
    assert browser.post("/favourite", data={"device": "x", "csrf_token": "é"}).status_code == 400
    with browser.session_transaction() as session:
        session["csrf"] = "known"
    assert browser.post("/favourite", data={"device": "x", "csrf_token": "wrong"}).status_code == 400
    assert (
        browser.post("/favourite", data={"device": "x"}, headers={"X-CSRF-Token": "known"}).status_code == 302
    )
    assert browser.post("/favourite", data={"device": "x", "csrf_token": "known"}).status_code == 302


def test_a_token_of_the_api_needs_none_and_may_what_its_scope_says(dashboard):
    browser = dashboard.browser()
    reader = dashboard.bearer("anna", "read")
    assert browser.get("/ajax/home", headers=reader).status_code == 200
    answer = browser.post("/devices/x.fake/tank/exec", headers=reader)
    assert answer.status_code == 403
    assert "needs the role operator; yours is viewer" in answer.get_data(as_text=True)
    # Nor may a token more than its user.
    assert browser.post("/devices/x.fake/", headers=dashboard.bearer("vera", "admin")).status_code == 403
    assert browser.post("/favourite", headers=reader, data={"device": "x"}).status_code == 302
    for wrong in ("Bearer raspy_x_y", "Bearer", "Basic YTpi", "Bearer é"):
        answer = browser.get("/ajax/home", headers={"Authorization": wrong})
        assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_session_that_was_not_used_for_long_has_ended(dashboard):
    browser = dashboard.browser("vera")
    assert browser.get("/ajax/home").status_code == 200
    with browser.session_transaction() as session:
        session["seen"] -= dashboard.app.config["IDLE_LIMIT_S"] + 1
    assert browser.get("/ajax/home").status_code == 401
    browser = dashboard.browser("vera")
    with browser.session_transaction() as session:
        session["seen"] -= auth.SEEN_EVERY_S + 1
        before = session["seen"]
    assert browser.get("/ajax/home").status_code == 200
    with browser.session_transaction() as session:
        assert session["seen"] > before
    with browser.session_transaction() as session:
        session["id"] = ["no", "text"]
    assert browser.get("/ajax/home").status_code == 401


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (BusAway("no answer from x"), 503, "no answer from x"),
        (Refused(404, "no such thing"), 404, "no such thing"),
        (Refused(500, "it broke"), 502, "it broke"),
        (Refused(400, "wrong"), 400, "wrong"),
        (ClientError("not a number"), 400, "not a number"),
        (NotFoundError("not there"), 404, "not there"),
        (AccountError("not so"), 400, "not so"),
        (ZeroDivisionError("secret"), 500, "defect of the dashboard"),
    ],
)
def test_what_goes_wrong_is_a_page_or_json(failing, error, status, words):
    answer = failing(error)
    assert answer.status_code == status and words in answer.get_data(as_text=True)
    assert "secret" not in answer.get_data(as_text=True)
    answer = failing(error, "/api/fails")
    assert answer.status_code == status and words in answer.get_json()["error"]


def test_what_a_method_may_be_is_told(dashboard):
    answer = dashboard.browser("anna").put("/login")
    assert answer.status_code in (400, 405)
    with dashboard.app.test_request_context("/nope"):
        body, status, _headers = views.not_found()
        assert status == 404 and "Not found" in body


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.sampled_from(FORMS),
    st.one_of(st.text(max_size=60), st.sampled_from(HOSTILE)),
)
def test_hostile_paths_never_break_a_page(dashboard, form, text):
    with dashboard.browser("anna").get(form.replace("{}", quote(text).lstrip("/"))) as answer:
        assert answer.status_code < 500 or answer.status_code == 503
        assert b"<script>alert" not in answer.data and b"root:" not in answer.data
        # It leads to no other site.
        assert urlsplit(answer.headers.get("Location", "")).netloc in ("", "localhost")


def test_a_body_that_is_too_large_is_refused(dashboard):
    answer = dashboard.browser("anna").post("/favourite", data={"device": "x" * (3 << 20)})
    assert answer.status_code == 413


def test_a_page_of_another_host_is_never_gone_to_after_the_login(dashboard):
    with dashboard.app.test_request_context("/login?next=//evil.example/"):
        assert auth.safe_next("/") == "/"
    with dashboard.app.test_request_context("/login?next=/devices/"):
        assert auth.safe_next("/") == "/devices/"


def test_the_theme_of_the_user(dashboard):
    dashboard.accounts.prefer("vera", {"theme": "dark"})
    assert 'data-theme="dark"' in dashboard.browser("vera").get("/account/").get_data(as_text=True)
    assert post(dashboard.browser("vera"), "/logout").status_code == 200
