# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON interface: scenarios and cron jobs."""

from __future__ import annotations

import json
from typing import Any

from flask import abort

from raspyweb.app import cores
from raspyweb.app.api.declare import Parameter, Route
from raspyweb.app.api.schemas import FLAG, NOTHING, TEXT, TIME, listed, named, ref, shape
from raspyweb.app.bus import bus

NAME_PATTERN = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}"
NAME = Parameter("name", "string", "its name", "path", True, 1, 64, pattern=NAME_PATTERN)
HOST = Parameter(
    "host", "string", "the machine whose core is meant; this one's if left out", minimum=1, maximum=64,
    pattern=r"[^\x00-\x1f\x7f/.]+",
)  # fmt: skip
LIMIT = Parameter("limit", "integer", "how many lines", minimum=1, maximum=1000)
COUNT = Parameter("count", "integer", "how many times", minimum=1, maximum=1000)


def _core(host: str, suffix: str) -> str:
    """A service of a core."""
    if host:
        cores.check(host)
        return f"{host}.{cores.SERVER}.{suffix}"
    service = f"{bus().server(cores.SERVER)}.{suffix}"
    if service not in bus().services():
        abort(404, "there is no core on the bus")
    return service


def _names(service: str) -> list[str]:
    return [frame.decode(errors="replace") for frame in bus().call(service, "list_keys")]


def list_scenarios(host: str = "") -> dict[str, Any]:
    """All scenarios."""
    return {"scenarios": bus().json(_core(host, "scenarios"), "list")}


def get_scenario(name: str, host: str = "") -> Any:
    """One scenario."""
    return bus().json(_core(host, "scenario"), "info", name)


def put_scenario(name: str, host: str = "", **parts: Any) -> Any:
    """Make a scenario, or change what is given of one."""
    service = _core(host, "scenarios")
    action = "update" if name in _names(service) else "add"
    return bus().json(service, action, name, json.dumps(parts, ensure_ascii=False))


def delete_scenario(name: str, host: str = "") -> dict[str, Any]:
    """Delete a scenario."""
    bus().call(_core(host, "scenarios"), "delete", name)
    return {}


def start_scenario(name: str, host: str = "") -> dict[str, Any]:
    """Start a scenario."""
    return {"changed": bus().json(_core(host, "scenario"), "start", name)}


def stop_scenario(name: str, host: str = "") -> dict[str, Any]:
    """Stop a scenario."""
    return {"changed": bus().json(_core(host, "scenario"), "stop", name)}


def scenario_log(name: str, limit: int = 50, host: str = "") -> dict[str, Any]:
    """Its last lines."""
    lines = bus().json(_core(host, "scenario"), "log", name, str(limit))
    return {
        "lines": [{"time": line["time"], "level": line["level"], "message": line["text"]} for line in lines]
    }


def list_jobs(host: str = "") -> dict[str, Any]:
    """All cron jobs."""
    return {"jobs": bus().json(_core(host, "cron"), "list")}


def put_job(name: str, definition: dict[str, Any], host: str = "") -> Any:
    """Make a cron job, or replace keys of one."""
    service = _core(host, "cron")
    action = "update" if name in _names(service) else "add"
    return bus().json(service, action, name, json.dumps(definition, ensure_ascii=False))


def delete_job(name: str, host: str = "") -> dict[str, Any]:
    """Delete a cron job."""
    bus().call(_core(host, "cron"), "remove", name)
    return {}


def fire_job(name: str, host: str = "") -> dict[str, Any]:
    """Carry out a cron job now."""
    bus().call(_core(host, "cron"), "fire", name)
    return {}


def next_runs(name: str, count: int = 5, host: str = "") -> dict[str, Any]:
    """When a cron job runs."""
    return {"times": bus().json(_core(host, "cron"), "next", name, str(count))}


_CHANGED = shape(
    {"changed": {**FLAG, "description": "False if it was so already."}}, additionalProperties=False
)

ROUTES = (
    Route("GET", "/scenarios", "viewer", "scenarios", "All scenarios, by name.", list_scenarios,
          shape({"scenarios": named(ref("Scenario"))}), (HOST,)),
    Route("GET", "/scenarios/{name}", "viewer", "scenarios", "One scenario.", get_scenario, ref("Scenario"),
          (NAME, HOST)),
    Route(
        "PUT", "/scenarios/{name}", "admin", "scenarios", "Make a scenario, or change what is given of one.",
        put_scenario, ref("Scenario"),
        (
            NAME, HOST,
            Parameter("code", "string", "its Python code", "body", maximum=65536),
            Parameter("conf", "object", "its conf: active, startup, max_runtime_s...", "body"),
            Parameter("entries", "object", "friendly name -> key and condition", "body"),
        ),
    ),
    Route("DELETE", "/scenarios/{name}", "admin", "scenarios", "Delete a scenario.", delete_scenario, NOTHING,
          (NAME, HOST)),
    Route("POST", "/scenarios/{name}/start", "operator", "scenarios", "Start a scenario.", start_scenario,
          _CHANGED, (NAME, HOST)),
    Route("POST", "/scenarios/{name}/stop", "operator", "scenarios", "Stop a scenario.", stop_scenario,
          _CHANGED, (NAME, HOST)),
    Route("GET", "/scenarios/{name}/log", "viewer", "scenarios", "Its last lines since core started.",
          scenario_log, shape({"lines": listed(ref("LogLine"))}), (NAME, LIMIT, HOST)),
    Route("GET", "/cron", "viewer", "cron", "All cron jobs, by name.", list_jobs,
          shape({"jobs": named(ref("CronJob"))}), (HOST,)),
    Route(
        "PUT", "/cron/{name}", "admin", "cron", "Make a cron job, or replace keys of one.", put_job,
        shape({"name": TEXT}),
        (
            NAME, HOST,
            Parameter("definition", "object", "the job: one of cron, interval_s, date, sun; and what it does",
                      "body", True),
        ),
    ),
    Route("DELETE", "/cron/{name}", "admin", "cron", "Delete a cron job.", delete_job, NOTHING, (NAME, HOST)),
    Route("POST", "/cron/{name}/fire", "operator", "cron", "Carry out a cron job now, beside its plan.",
          fire_job, NOTHING, (NAME, HOST)),
    Route("GET", "/cron/{name}/next", "viewer", "cron", "When a cron job will run.", next_runs,
          shape({"times": listed(TIME)}), (NAME, COUNT, HOST)),
)  # fmt: skip
