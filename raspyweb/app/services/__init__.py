# SPDX-License-Identifier: GPL-3.0-or-later
"""The page Services: how each daemon is, and its restart."""

from __future__ import annotations

import logging

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from raspy.common import MDP
from raspyweb.app.auth import admin, current_user, viewer
from raspyweb.app.bus import BusAway, bus
from raspyweb.app.services import state
from raspyweb.app.texts import _

blueprint = Blueprint("services", __name__, url_prefix="/services")
log = logging.getLogger("raspy.web")


@blueprint.get("/")
@viewer
def index() -> str:
    """All daemons: as systemd sees them, and as they say themselves."""
    units = state.units()
    try:
        servers, away = state.servers(bus()), ""
    except BusAway as error:
        if not units.units:
            raise
        servers, away = [], str(error)
    return render_template(
        "services/index.html", units=units.units, why=units.why, servers=servers, away=away
    )


@blueprint.post("/restart")
@admin
def restart() -> Response:
    """Restart a daemon."""
    unit = request.form.get("unit", "")[:100]
    user = current_user()
    try:
        state.restart(unit)
    except (MDP.ClientError, MDP.ServerError) as error:
        flash(_("{unit} was not restarted: {reason}", unit=unit, reason=error), "error")
    else:
        log.warning("%s restarted %s", user.name if user else "", unit)
        flash(_("{unit} was restarted.", unit=unit))
    return redirect(url_for("services.index"))
