# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of the overview."""

from __future__ import annotations

import time

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from raspyweb.app import devices
from raspyweb.app.auth import accounts, current_user, viewer
from raspyweb.app.bus import bus
from raspyweb.app.overview.arrangement import GROUP_MAX, PREFERENCE, Arrangement
from raspyweb.app.texts import _

blueprint = Blueprint("overview", __name__)

HOLDS_S = (0, 60, 300, 900, 3600, 4 * 3600, 12 * 3600)
"""How long a tile's command may be held, in seconds; 0 for no limit."""


@blueprint.get("/")
@viewer
def index() -> str:
    """A tile for each device."""
    sections = _arrangement().sections(devices.servers(bus()))
    return render_template(
        "overview/index.html", sections=sections, holds=HOLDS_S, arranged=_arrangement(), now=time.time()
    )


@blueprint.post("/favourite")
@viewer
def favourite() -> Response:
    """Make a device a favourite of the user's, or not any more."""
    arranged = _arrangement()
    arranged.toggle(request.form.get("device", "")[:300])
    _keep(arranged)
    return redirect(url_for("overview.index"))


@blueprint.get("/arrange")
@viewer
def arrange() -> str:
    """The form for favourites, groups and order."""
    return render_template(
        "overview/arrange.html", servers=devices.servers(bus()), arranged=_arrangement(), group_max=GROUP_MAX
    )


@blueprint.post("/arrange")
@viewer
def do_arrange() -> Response:
    """Keep them."""
    arranged = _arrangement()
    arranged.take(request.form, request.form.getlist("device"))
    _keep(arranged)
    flash(_("The overview is arranged."))
    return redirect(url_for("overview.index"))


def _arrangement() -> Arrangement:
    user = current_user()
    return Arrangement(user.preferences.get(PREFERENCE) if user else None)


def _keep(arranged: Arrangement) -> None:
    user = current_user()
    assert user is not None
    accounts().prefer(user.name, {PREFERENCE: arranged.to_json()})
