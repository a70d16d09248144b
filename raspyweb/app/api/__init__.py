# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON interface for programs."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from raspyweb.app.auth import viewer
from raspyweb.app.bus import bus

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")


@blueprint.get("/values")
@viewer
def values() -> Response:
    """The key/value map as it is now."""
    return jsonify(bus().values.snapshot())
