# SPDX-License-Identifier: GPL-3.0-or-later
"""The views for the pages' scripts."""

from __future__ import annotations

from flask import Response, abort, jsonify, request

from raspyweb.app import stream
from raspyweb.app.ajax import blueprint
from raspyweb.app.ajax.constants import PREFIX_MAX
from raspyweb.app.ajax.models import Follower
from raspyweb.app.auth import viewer
from raspyweb.app.bus import bus
from raspyweb.app.texts import _


@blueprint.get("/events")
@viewer
def events() -> Response:
    """Live values as server-sent events: ``values`` (an object by key), ``broker`` (whether it is there)."""
    prefix = request.args.get("prefix", "")
    if len(prefix) > PREFIX_MAX:
        abort(400, _("The prefix is too long."))
    return stream.response(Follower(bus().values, prefix))


@blueprint.get("/home")
@viewer
def home() -> Response:
    """The values of all devices as they are now."""
    return jsonify(bus().values.snapshot("/device/"))


@blueprint.get("/devices")
@viewer
def devices() -> Response:
    """The devices of every server that is awake, by its name."""
    suffix = ".devices"
    names = sorted(name for name in bus().awake() if name.endswith(suffix))
    return jsonify({name.removesuffix(suffix): bus().json(name, "list") for name in names})


@blueprint.get("/mmi")
@viewer
def mmi() -> Response:
    """The services on the bus, and how many workers each has."""
    return jsonify(bus().json("mmi.workers", b""))
