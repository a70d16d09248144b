# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON interface for programs, under ``/api/v1``; ``/api/openapi.json`` describes it."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, jsonify

from raspyweb.app.api import automation, devices, machine
from raspyweb.app.api.declare import Route
from raspyweb.app.api.document import document
from raspyweb.app.auth import require

ROUTES = (*machine.ROUTES, *devices.ROUTES, *automation.ROUTES)

blueprint = Blueprint("api", __name__, url_prefix="/api")


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """The description; it tells nothing of this house, so everybody may read it."""
    return jsonify(document(ROUTES))


def _view(route: Route) -> Callable[..., Response]:
    def view(**path: str) -> Response:
        return jsonify(route.handler(**route.read(path)))

    return require(route.role)(view)


for _route in ROUTES:
    blueprint.add_url_rule(
        "/v1" + _route.path.replace("{", "<").replace("}", ">"),
        endpoint=_route.name,
        view_func=_view(_route),
        methods=[_route.method],
    )
