# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests pages."""

from __future__ import annotations

from flask import Blueprint, render_template

from raspyweb.app.auth import admin

blueprint = Blueprint("requests", __name__, url_prefix="/requests")


@blueprint.get("/")
@admin
def index() -> str:
    """The first page of the family."""
    return render_template("requests/index.html")
