# SPDX-License-Identifier: GPL-3.0-or-later
"""The views for the pages' scripts."""

from __future__ import annotations

import time

from flask import Response, abort, jsonify, request

from raspyweb.app import stream
from raspyweb.app.ajax import blueprint
from raspyweb.app.ajax.constants import PREFIX_MAX, SERIES_MAX, SPARK_FRESH_S
from raspyweb.app.ajax.models import Follower
from raspyweb.app.auth import viewer
from raspyweb.app.bus import bus
from raspyweb.app.device import history
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


@blueprint.get("/spark")
@viewer
def spark() -> Response:
    """The small line of a tile: the last hours of the series ``key``, a list of numbers and nulls."""
    answer = jsonify(history.spark(bus(), _series()))
    answer.headers["Cache-Control"] = f"private, max-age={SPARK_FRESH_S}"
    return answer


@blueprint.get("/series")
@viewer
def series() -> Response:
    """The series ``key`` from ``start`` to ``end`` (seconds since 1970, or negative: before now)."""
    now = int(time.time())
    start, end = (
        _moment(request.args.get(name, ""), other) for name, other in (("start", -86400), ("end", now))
    )
    return jsonify(history.fetch(bus(), _series(), start, end))


def _series() -> str:
    key = request.args.get("key", "")
    if not key or len(key) > SERIES_MAX:
        abort(400, _("The key of a series is missing, or too long."))
    return key


def _moment(text: str, otherwise: int) -> int:
    digits = text.removeprefix("-")
    if text and not (digits.isascii() and digits.isdigit() and len(digits) <= 12):
        abort(400, _("A time is a whole number of seconds."))
    return int(text) if text else otherwise
