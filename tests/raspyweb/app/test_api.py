# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON interface on a real bus: every route, every answer against the document; the document fuzzed."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import jsonschema
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raspy.common import units
from raspyweb.app.api import ROUTES
from raspyweb.app.api.declare import Parameter, Route
from raspyweb.app.services import state
from tests.conftest import wait_for
from tests.support.dashboard import Dashboard, house
from tests.support.system_bus import Bus

TANK = {"oid": "sensor.temperature.tank", "name": "tank", "poll": 1, "config": {"speed": 60}}
HEATER = {"oid": "switch.relay", "name": "heater", "config": {"heats": "tank", "safe": False}}
FAKE = "/api/v1/devices/test/fake"

# What a route may answer besides 200: a wrong request, unknown, no; never 500.
REFUSALS = {400, 403, 404, 405, 413, 502, 503}


class Api:
    """A program with a token of each scope; every answer is held against the document."""

    def __init__(self, dashboard: Dashboard) -> None:
        self.dashboard = dashboard
        self.client: FlaskClient = dashboard.app.test_client()
        self.document: dict[str, Any] = self.client.get("/api/openapi.json").json
        self.headers = {scope: dashboard.bearer("anna", scope) for scope in ("read", "steer", "admin")}

    def ask(self, method: str, url: str, body: object = None, scope: str = "admin") -> tuple[int, Any]:
        """Send a request; the status and the JSON of its answer."""
        data = None if body is None else json.dumps(body)
        answer = self.client.open(url, method=method, data=data, headers=self.headers[scope])
        assert answer.is_json, (url, answer.status_code, answer.data[:200])
        return answer.status_code, answer.json

    def good(self, method: str, url: str, body: object = None, scope: str = "admin") -> Any:
        """The same; the answer must be 200 and have the shape that the document says."""
        status, answer = self.ask(method, url, body, scope)
        assert status == 200, (url, answer)
        self.check(method, url, status, answer)
        return answer

    def check(self, method: str, url: str, status: int, answer: Any) -> None:
        """Hold an answer against the document."""
        for path, operations in self.document["paths"].items():
            pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))
            if method.lower() in operations and re.fullmatch(pattern, url.partition("?")[0]):
                break
        else:
            raise AssertionError(f"{method} {url} is not in the document")
        responses = operations[method.lower()]["responses"]
        if status == 200:
            schema = responses["200"]["content"]["application/json"]["schema"]
        else:
            schema = {"$ref": "#/components/schemas/Error"}
        root = {**schema, "components": self.document["components"]}
        jsonschema.Draft202012Validator(root).validate(answer)


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with (
        tempfile.TemporaryDirectory(prefix="raspy-", dir="/tmp") as home,
        house(Path(home), "titanic", "fake", "logger", "core") as dashboard,
    ):
        one = Api(dashboard)
        dashboard.bus.call("test.fake.devices", "add", json.dumps(TANK))
        dashboard.bus.call("test.fake.devices", "add", json.dumps(HEATER))
        yield one


@pytest.fixture
def systemd(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bus]:
    one = Bus(run_dir)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", one.address)
    monkeypatch.setattr(state, "_scores", {})
    monkeypatch.setattr(units, "exposure", lambda names: dict.fromkeys(names, 0.1))
    yield one
    one.close()


@pytest.fixture(autouse=True)
def no_systemd(request: pytest.FixtureRequest, run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine of the test has is not asked."""
    if "systemd" not in request.fixturenames:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={run_dir}/none")


# -- the document ---------------------------------------------------------------------------------------


def test_the_document_is_openapi(api: Api) -> None:
    document = api.document
    assert document["openapi"].startswith("3.1") and document["info"]["title"] == "RasPy"
    operations = [
        (path, method, one) for path, item in document["paths"].items() for method, one in item.items()
    ]
    assert len(operations) == len(ROUTES)
    assert len({one["operationId"] for _, _, one in operations}) == len(ROUTES)
    for path, _method, one in operations:
        in_path = {parameter["name"] for parameter in one["parameters"] if parameter["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", path))
        assert all(parameter["required"] for parameter in one["parameters"] if parameter["in"] == "path")
        assert one["x-scope"] in ("read", "steer", "admin") and one["summary"]


def test_all_schemas_are_schemas_and_all_references_lead_somewhere(api: Api) -> None:
    for schema in api.document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for found in re.findall(r'"#/([^"]+)"', json.dumps(api.document)):
        place: Any = api.document
        for part in found.split("/"):
            place = place[part]


def test_everybody_may_read_the_document(api: Api) -> None:
    answer = api.dashboard.browser().get("/api/openapi.json")
    assert answer.status_code == 200 and answer.json == api.document


# -- who may --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_no_route_without_a_token_and_none_beyond_its_scope(api: Api, route: Route) -> None:
    url = "/api/v1" + re.sub(r"\{\w+\}", "x", route.path)
    assert api.client.open(url, method=route.method).status_code == 401
    bad = {"Authorization": "Bearer raspy_0_nonsense"}
    answer = api.client.open(url, method=route.method, headers=bad)
    assert answer.status_code == 401
    for scope, role in (("read", "viewer"), ("steer", "operator")):
        beyond = {"viewer": 0, "operator": 1, "admin": 2}[route.role] > {"viewer": 0, "operator": 1}[role]
        if beyond:
            status, answer = api.ask(route.method, url, scope=scope)
            assert status == 403 and route.role in answer["error"]


def test_a_browsers_session_needs_the_csrf_token_for_a_change(api: Api) -> None:
    browser = api.dashboard.browser("anna")
    assert browser.get("/api/v1/me").json["user"] == "anna"
    assert browser.post(f"{FAKE}/heater/state", data='{"value": true}').status_code == 400


def test_who_asks(api: Api) -> None:
    assert api.good("GET", "/api/v1/me", scope="read")["role"] == "viewer"
    assert api.good("GET", "/api/v1/me")["host"] == "test"


# -- devices --------------------------------------------------------------------------------------------


def test_devices(api: Api) -> None:
    found = api.good("GET", "/api/v1/devices", scope="read")
    assert {device["name"] for device in found["devices"]} == {"tank", "heater"}
    heater = api.good("GET", f"{FAKE}/heater")
    assert heater["oid"] == "switch.relay" and heater["commands"]["state"]["type"] == "Bool"


def test_a_command_with_hold(api: Api) -> None:
    answer = api.good("POST", f"{FAKE}/heater/state", {"value": True, "hold": 600}, "steer")
    assert answer["result"]["value"] is True and 500 < answer["result"]["state"]["left_s"] <= 600
    wait_for(
        lambda: (
            api.good("GET", "/api/v1/values?prefix=/device/test/fake/heater/")["values"][
                "/device/test/fake/heater/state"
            ]["value"]
            is True
        ),
        30,
        "the value on the bus",
    )
    assert api.good("POST", f"{FAKE}/heater/state", {"value": False})["result"]["value"] is False
    assert api.good("POST", f"{FAKE}/heater/reset", {}, "steer") == {"result": {"value": None}}


@pytest.mark.parametrize(
    ("method", "url", "body", "status"),
    [
        ("GET", f"{FAKE}/nothing", None, 404),
        ("GET", "/api/v1/devices/nowhere/fake/heater", None, 404),
        ("GET", "/api/v1/devices/te.st/fake/heater", None, 400),
        ("POST", f"{FAKE}/heater/nothing", {"value": 1}, 400),
        ("POST", f"{FAKE}/heater/state", {"value": "purple"}, 400),
        ("POST", f"{FAKE}/heater/state", {"hold": 5}, 400),
        ("POST", f"{FAKE}/heater/state", {"value": True, "hold": -1}, 400),
        ("POST", f"{FAKE}/heater/state", {"value": True, "hold": "long"}, 400),
        ("POST", f"{FAKE}/heater/state", {"value": True, "speed": 5}, 400),
        ("POST", f"{FAKE}/heater/state", [1], 400),
        ("GET", "/api/v1/values?prefix=a&prefix=b", None, 400),
        ("GET", "/api/v1/values?other=1", None, 400),
        ("GET", "/api/v1/values?prefix=" + "x" * 300, None, 400),
        ("GET", "/api/v1/me", {"a": 1}, 400),
        ("GET", "/api/v1/events?prefix=/device/", None, 400),
        ("GET", "/api/v1/graphs/series", None, 400),
        ("GET", "/api/v1/graphs/series?key=none", None, 404),
        ("GET", "/api/v1/graphs/series?key=a&start=soon", None, 400),
        ("GET", "/api/v1/logs/none", None, 404),
        ("GET", "/api/v1/scenarios/none", None, 404),
        ("GET", "/api/v1/scenarios?host=nowhere", None, 404),
        ("PUT", "/api/v1/scenarios/x", {"code": 5}, 400),
        ("PUT", "/api/v1/cron/x", {}, 400),
        ("PUT", "/api/v1/cron/x", {"definition": 5}, 400),
        ("PUT", "/api/v1/cron/x", {"definition": {"cron": "nonsense"}}, 400),
        ("GET", "/api/v1/cron/none/next", None, 404),
        ("GET", "/api/v1/cron/none/next?count=0", None, 400),
        ("GET", "/api/v1/cron/none/next?count=1.5", None, 400),
        ("GET", "/api/v1/journal?priority=loud", None, 400),
        ("GET", "/api/v1/journal?before=a&after=b", None, 400),
        ("GET", "/api/v1/journal?before=nonsense", None, 400),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(api: Api, method: str, url: str, body: object, status: int) -> None:
    answered, answer = api.ask(method, url, body)
    assert answered == status, answer
    api.check(method, url, answered, answer)
    assert answer["status"] == status and answer["error"]


@pytest.mark.parametrize("data", [b"{", b"\xff", b"[1, 2]", b'{"value": NaN}', b"[" * 100_000, b"1" * 5000])
def test_a_body_that_is_no_json_object(api: Api, data: bytes) -> None:
    answer = api.client.post(f"{FAKE}/heater/state", data=data, headers=api.headers["steer"])
    assert answer.status_code == 400 and "body" in answer.json["error"]


def test_a_body_that_is_too_large(api: Api) -> None:
    answer = api.client.post(f"{FAKE}/heater/state", data=b"x" * (3 << 20), headers=api.headers["steer"])
    assert answer.status_code == 413 and answer.json["status"] == 413


def test_unknown_paths_and_methods_are_json_too(api: Api) -> None:
    assert api.ask("GET", "/api/v1/nothing")[0] == 404
    assert api.ask("DELETE", "/api/v1/devices")[0] == 405


# -- automation -----------------------------------------------------------------------------------------


def test_the_life_of_a_scenario(api: Api) -> None:
    url = "/api/v1/scenarios/api-test"
    code = 'scenario.log("begun")\nscenario.wait(600)\n'
    assert api.good("PUT", url, {"code": code, "conf": {"info": "by the API"}})["code"] == code
    assert api.good("PUT", url, {"conf": {"info": "changed"}})["code"] == code
    assert "api-test" in api.good("GET", "/api/v1/scenarios", scope="read")["scenarios"]
    assert api.good("POST", f"{url}/start", scope="steer") == {"changed": True}
    wait_for(lambda: "begun" in str(api.good("GET", f"{url}/log?limit=5")["lines"]), 30, "its line")
    assert api.good("GET", url)["state"] == "running"
    assert api.good("POST", f"{url}/stop", scope="steer") == {"changed": True}
    wait_for(lambda: api.good("GET", url)["state"] not in ("running", "stopping"), 30, "its end")
    events = api.good("GET", "/api/v1/events?prefix=/event/scenario/", scope="read")["events"]
    assert all(event["key"].startswith("/event/scenario/") for event in events)
    api.good("DELETE", url)
    assert api.ask("GET", url)[0] == 404


def test_the_life_of_a_cron_job(api: Api) -> None:
    url = "/api/v1/cron/api-test"
    assert api.good("PUT", url, {"definition": {"cron": "30 7 * * *"}})["name"] == "api-test"
    api.good("PUT", url, {"definition": {"info": "changed"}})
    assert api.good("GET", "/api/v1/cron")["jobs"]["api-test"]["info"] == "changed"
    times = api.good("GET", f"{url}/next?count=3")["times"]
    assert len(times) == 3 and times == sorted(times)
    api.good("POST", f"{url}/fire", scope="steer")
    key = "/event/cron/api-test"
    wait_for(lambda: key in api.good("GET", "/api/v1/values?prefix=/event/")["values"], 30, "the event")
    assert api.good("GET", "/api/v1/events?prefix=/event/cron/")["events"][0]["key"] == key
    api.good("DELETE", url)
    assert api.good("GET", "/api/v1/cron?host=test")["jobs"] == {}


# -- history, services, journal ---------------------------------------------------------------------------


def test_graphs_and_their_numbers(api: Api) -> None:
    key = "test/fake/tank/temperature"
    wait_for(lambda: key in api.good("GET", "/api/v1/graphs")["graphs"], 30, "the graph")
    url = f"/api/v1/graphs/series?key={key}&start=-3600"
    wait_for(lambda: api.ask("GET", url)[0] == 200, 30, "its history on the disk")
    chart = api.good("GET", url)
    assert chart["key"] == key and chart["series"][0]["unit"] == "°C"
    end = int(chart["end"])
    assert (
        api.good("GET", f"/api/v1/graphs/series?key={key}&start={end - 600}&end={end}")["start"] >= end - 660
    )


def test_logs_and_the_journal_of_the_foreground(api: Api) -> None:
    service = "test.logger.log"
    api.dashboard.bus.call(service, "log", "aquarium", "warning", "the water is <cloudy>")
    assert "aquarium" in api.good("GET", "/api/v1/logs")["logs"]
    lines = api.good("GET", "/api/v1/logs/aquarium?limit=5")["lines"]
    assert lines[-1]["message"] == "the water is <cloudy>"
    found = api.good("GET", "/api/v1/journal?server=aquarium&priority=warning&text=CLOUDY", scope="read")
    assert [line["priority"] for line in found["lines"]] == ["warning"] and found["why"]


def test_services_with_and_without_units(api: Api) -> None:
    found = api.good("GET", "/api/v1/services", scope="read")
    assert found["units"] == [] and found["why"]
    assert {"test.fake", "test.core", "test.broker"} <= {server["name"] for server in found["servers"]}


def test_units_and_a_restart(api: Api, systemd: Bus) -> None:
    systemd.manager("raspy-host.service", "raspy-fails.service")
    found = api.good("GET", "/api/v1/services")
    assert [unit["exposure"] for unit in found["units"]] == [0.1, 0.1] and not found["why"]
    assert api.good("POST", "/api/v1/services/raspy-host.service/restart") == {}
    assert api.ask("POST", "/api/v1/services/raspy-fails.service/restart")[0] == 502
    assert api.ask("POST", "/api/v1/services/ssh.service/restart")[0] == 404
    assert [unit for unit, _mode in systemd.calls("RestartUnit")] == [
        "raspy-host.service",
        "raspy-fails.service",
    ]


# -- fuzzed from the document -----------------------------------------------------------------------------

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
# A quarter of what is sent is not what was asked for.
WRONG = st.text(max_size=40) | st.integers().map(str) | st.just("x" * 5000)


def fitting(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that fit the schema of a parameter."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kind = schema.get("type")
    if kind == "string":
        if "pattern" in schema:
            fits = st.from_regex(schema["pattern"], fullmatch=True)
            return fits.filter(lambda text: schema["minLength"] <= len(text) <= schema["maxLength"])
        return st.text(min_size=schema["minLength"], max_size=min(40, schema["maxLength"]))
    if kind in ("integer", "number"):
        low, high = int(schema.get("minimum", -9e9)), int(schema.get("maximum", 9e9))
        return st.integers(low, high)
    if kind == "object":
        return st.dictionaries(st.text(max_size=10), ANY, max_size=4)
    return ANY


def sometimes_wrong(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    return st.one_of(fitting(schema), fitting(schema), fitting(schema), WRONG)


@st.composite
def requests(draw: st.DrawFn, path: str, operation: dict[str, Any]) -> tuple[str, object]:
    """The URL and the body of a request that the document allows, or nearly."""
    values = {
        (one["in"], one["name"]): str(draw(sometimes_wrong(one["schema"])))
        for one in operation["parameters"]
        if one["required"] or draw(st.booleans())
    }
    for (where, name), value in values.items():
        if where == "path":
            path = path.replace("{" + name + "}", quote(value.encode("utf-8", "replace"), safe="") or "x")
    query = {
        name: value.encode("utf-8", "replace") for (where, name), value in values.items() if where == "query"
    }
    body = None
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        body = {
            name: draw(sometimes_wrong(one))
            for name, one in schema["properties"].items()
            if name in schema["required"] or draw(st.booleans())
        }
        body |= draw(st.just({}) | st.dictionaries(st.text(max_size=8), ANY, max_size=1))
    return path + ("?" + urlencode(query) if query else ""), body


# A restart asks systemd, which is not there.
FUZZED = [route for route in ROUTES if route.path != "/services"]


@pytest.mark.timeout(600)  # it computes much, and shares the machine with all other tests
@pytest.mark.parametrize("route", FUZZED, ids=lambda route: route.name)
def test_whatever_is_sent_the_answer_is_what_the_document_says(api: Api, route: Route) -> None:
    path = "/api/v1" + route.path
    operation = api.document["paths"][path][route.method.lower()]

    @settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(requests(path, operation))
    def fuzz(request: tuple[str, object]) -> None:
        url, body = request
        status, answer = api.ask(route.method, url, body)
        assert status == 200 or status in REFUSALS, (url, body, answer)
        if status == 200:
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        else:
            schema = {"$ref": "#/components/schemas/Error"}
        jsonschema.Draft202012Validator({**schema, "components": api.document["components"]}).validate(answer)

    fuzz()


@given(st.sampled_from([p for route in ROUTES for p in route.parameters]), ANY)
def test_a_value_that_passes_the_check_fits_the_schema(parameter: Parameter, value: object) -> None:
    try:
        found = parameter.check(value)
    except ValueError:
        return
    jsonschema.Draft202012Validator(parameter.schema()).validate(found)
