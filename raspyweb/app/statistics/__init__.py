# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures that every server keeps about itself."""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, Response, jsonify, render_template, request

from raspyweb.app.auth import viewer
from raspyweb.app.bus import BusAway, Refused, bus
from raspyweb.app.requests import tree

blueprint = Blueprint("statistics", __name__)

SERVERS_MAX = 100
ANSWER_S = 5.0
"""How long one server may take to tell its figures, in seconds."""

WAKE_S = 10.0
"""The same for one that has to be started first."""


@blueprint.get("/statistics/")
@viewer
def index() -> str:
    """The figures of all servers that run; of the others those that ``wake`` names, which starts them."""
    found = _servers()
    wanted = request.args.getlist("wake")
    figures = {
        server.name: _figures(server.name, ANSWER_S if server.awake else WAKE_S)
        for server in found
        if server.awake or server.name in wanted
    }
    asleep = [server.name for server in found if server.name not in figures]
    return render_template("statistics/index.html", figures=figures, asleep=asleep)


@blueprint.get("/ajax/statistics")
@viewer
def live() -> Response:
    """The figures of the servers that ``server`` names, for the page's script; only of those that run."""
    running = {server.name for server in _servers() if server.awake}
    names = [name for name in request.args.getlist("server")[:SERVERS_MAX] if name in running]
    return jsonify({name: _figures(name, ANSWER_S) for name in names})


def _servers() -> list[tree.Server]:
    hosts, _others = tree.servers()
    all_ = [server for servers in hosts.values() for server in servers]
    return [server for server in all_ if f"{server.name}.statistics" in server.services]


def _figures(name: str, timeout_s: float) -> dict[str, Any]:
    """The figures of one server, when they were read (monotonic, in seconds), or why there are none."""
    try:
        found = bus().json(f"{name}.statistics", "all", timeout_s=timeout_s)
    except (BusAway, Refused) as error:
        return {"at": time.monotonic(), "figures": {}, "error": str(error)}
    # A server may be of any make, and tell anything.
    figures = found if isinstance(found, dict) else {}
    figures = {oid: figure for oid, figure in figures.items() if isinstance(figure, dict)}
    return {"at": time.monotonic(), "figures": figures, "error": ""}
