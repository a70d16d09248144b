# SPDX-License-Identifier: GPL-3.0-or-later
"""The services pages."""

from __future__ import annotations

from flask import Blueprint, render_template

from raspyweb.app.auth import viewer

blueprint = Blueprint("services", __name__, url_prefix="/services")


@blueprint.get("/")
@viewer
def index() -> str:
    """The first page of the family."""
    return render_template("services/index.html")
