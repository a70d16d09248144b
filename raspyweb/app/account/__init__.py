# SPDX-License-Identifier: GPL-3.0-or-later
"""The account pages."""

from __future__ import annotations

from flask import Blueprint, render_template

from raspyweb.app.auth import viewer

blueprint = Blueprint("account", __name__, url_prefix="/account")


@blueprint.get("/")
@viewer
def index() -> str:
    """The first page of the family."""
    return render_template("account/index.html")
