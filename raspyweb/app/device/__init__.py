# SPDX-License-Identifier: GPL-3.0-or-later
"""The device pages."""

from __future__ import annotations

from flask import Blueprint, render_template

from raspyweb.app.auth import viewer
from raspyweb.app.bus import bus

blueprint = Blueprint("device", __name__, url_prefix="/devices")


@blueprint.get("/")
@viewer
def index() -> str:
    """The first page of the family."""
    return render_template("device/index.html", values=bus().values.snapshot("/device/"))
