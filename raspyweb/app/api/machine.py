# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON interface: history, services, the journal, and who asks."""

from __future__ import annotations

from typing import Any

from flask import abort

import raspy
from raspy.common import MDP
from raspy.common.journal_reader import CURSOR_MAX, LINES_MAX, PRIORITIES, Query
from raspy.common.journal_reader import TEXT_MAX as FILTER_MAX
from raspyweb.app.api.declare import Parameter, Route, wrong
from raspyweb.app.api.schemas import NOTHING, OBJECT, TEXT, listed, named, ref, shape
from raspyweb.app.auth import current_user
from raspyweb.app.bus import bus
from raspyweb.app.journal import source
from raspyweb.app.services import state

SPAN_S = 1e10
START = Parameter(
    "start", "integer", "seconds since 1970, or negative: so many before now", minimum=-SPAN_S, maximum=SPAN_S
)
END = Parameter("end", "integer", "the same; now if left out", minimum=-SPAN_S, maximum=SPAN_S)


def me() -> dict[str, Any]:
    """Who asks."""
    user = current_user()
    assert user is not None
    return {"user": user.name, "role": user.role, "version": raspy.__version__, "host": bus().hostname}


def list_graphs() -> dict[str, Any]:
    """The graphs there are."""
    return {"graphs": bus().json(_logger("graph"), "list")}


def chart(key: str, start: int = -86400, end: int | None = None) -> Any:
    """The numbers of a graph."""
    arguments = [key, str(start)] + ([] if end is None else [str(end)])
    return bus().json(_logger("graph"), "fetch", *arguments)


def list_logs() -> dict[str, Any]:
    """The text logs there are."""
    return {"logs": [frame.decode(errors="replace") for frame in bus().call(_logger("log"), "list_keys")]}


def read_log(name: str, start: int = 0, end: int | None = None, limit: int = 20) -> dict[str, Any]:
    """Lines of a text log."""
    last = "" if end is None else str(end)
    return {"lines": bus().json(_logger("log"), "readlines", name, str(start), last, str(limit))}


def _logger(suffix: str) -> str:
    service = f"{bus().server('logger')}.{suffix}"
    if service not in bus().services():
        abort(404, "there is no logger on the bus")
    return service


def services() -> dict[str, Any]:
    """Units and servers."""
    units = state.units()
    return {"units": units.units, "why": units.why, "servers": state.servers(bus())}


def restart(unit: str) -> dict[str, Any]:
    """Restart a daemon."""
    try:
        state.restart(unit)
    except MDP.NotFoundError as error:
        abort(404, str(error))
    except MDP.ServerError as error:
        abort(502, str(error))
    return {}


def journal(
    priority: str = PRIORITIES[-1], before: str = "", after: str = "", limit: int = 200, **query: Any
) -> dict[str, Any]:
    """Lines of the journal."""
    if before and after:
        wrong("before and after: only one of them")
    try:
        wanted = Query(priority=source.priority(priority), limit=limit, **query)
        found = source.read(wanted, before=before, after=after)
    except MDP.ClientError as error:
        wrong(str(error))
    return {**source.as_json(found.page), "why": found.why}


def _filter(name: str, info: str) -> Parameter:
    return Parameter(name, "string", info, maximum=FILTER_MAX)


ROUTES = (
    Route("GET", "/me", "viewer", "account", "Who asks, and what for a RasPy this is.", me, ref("Me")),
    Route("GET", "/graphs", "viewer", "history", "The graphs there are, by key.", list_graphs,
          shape({"graphs": named(ref("Graph"))})),
    Route("GET", "/graphs/series", "viewer", "history", "What a graph shows, as numbers.", chart,
          ref("Chart"), (Parameter("key", "string", "its key", required=True, minimum=1), START, END)),
    Route("GET", "/logs", "viewer", "history", "The text logs that the logger keeps.", list_logs,
          shape({"logs": listed(TEXT)})),
    Route(
        "GET", "/logs/{name}", "viewer", "history", "The newest lines of a text log.", read_log,
        shape({"lines": listed({**OBJECT, **ref("LogLine")})}),
        (
            Parameter("name", "string", "the log", "path", True, 1, 64, pattern=r"[A-Za-z0-9][A-Za-z0-9_-]*"),
            START, END,
            Parameter("limit", "integer", "how many lines", minimum=1, maximum=LINES_MAX),
        ),
    ),
    Route("GET", "/services", "viewer", "machine", "The daemons: their units, and what they say themselves.",
          services, ref("Services")),
    Route("POST", "/services/{unit}/restart", "admin", "machine", "Restart a daemon.", restart, NOTHING,
          (Parameter("unit", "string", "its unit, such as raspy-core.service", "path", True, 1, 80),)),
    Route(
        "GET", "/journal", "viewer", "machine", "RasPy's lines in the journal, the oldest first.", journal,
        ref("Lines"),
        (
            _filter("server", "who wrote it"),
            _filter("device", "what it is about"),
            _filter("scenario", "what it is about"),
            _filter("text", "what the message contains"),
            Parameter("priority", "string", "the least grave that is wanted", choices=PRIORITIES),
            Parameter("since", "number", "seconds since 1970", minimum=0, maximum=SPAN_S),
            Parameter("until", "number", "seconds since 1970", minimum=0, maximum=SPAN_S),
            Parameter("limit", "integer", "how many lines", minimum=1, maximum=LINES_MAX),
            Parameter("before", "string", "lines before this cursor", maximum=CURSOR_MAX),
            Parameter("after", "string", "lines after this cursor", maximum=CURSOR_MAX),
        ),
    ),
)  # fmt: skip
