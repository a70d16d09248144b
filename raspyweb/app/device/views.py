# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of devices."""

from __future__ import annotations

import json
import math
import time
from typing import Any

from flask import Blueprint, abort, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from raspy.common.devices.form import read_form
from raspy.common.journal_reader import Query
from raspy.common.MDP import ClientError
from raspyweb.app import devices
from raspyweb.app.auth import admin, current_user, operator, safe_next, viewer
from raspyweb.app.bus import BusAway, Refused, bus
from raspyweb.app.device import history
from raspyweb.app.journal import source
from raspyweb.app.texts import _

blueprint = Blueprint("device", __name__, url_prefix="/devices")

LINES = 20
"""Lines of its journal on a device's page."""

HOLD_MAX_S = 7 * 86400.0


@blueprint.get("/")
@viewer
def index() -> str:
    """All devices, by server."""
    return render_template("device/index.html", servers=devices.servers(bus()))


@blueprint.get("/<server>/<name>")
@viewer
def show(server: str, name: str) -> str:
    """One device."""
    device = devices.find(bus(), server, name)
    kind = bus().kinds(server + devices.SUFFIX).get(device.oid, {})
    fields = list(devices.forms(kind.get("form", []), device.json))
    lines, why = _journal(name)
    return render_template(
        "device/show.html", device=device, fields=fields, lines=lines, why=why, events=_events(device),
        graphs=[command for command in device.shown() if device.series(command)],
        commands=device.sendable(),
        periods=history.PERIODS_S, now=time.time(),
    )  # fmt: skip


def _journal(name: str) -> tuple[list[Any], str]:
    """The newest lines of a device; and why there are none, if they can't be read."""
    try:
        found = source.read(Query(device=name, limit=LINES))
    except (BusAway, Refused, ClientError) as error:
        return [], str(error)
    return found.page.lines, found.why


def _events(device: devices.Device) -> dict[str, Any]:
    """What stands in ``/event/`` about a device."""
    parts = device.name, device.key(device.main).removeprefix(devices.SUBTREE).rpartition("/")[0]
    found = bus().values.snapshot("/event/")
    return {
        key: body for key, body in found.items()
        if key.endswith(f"/{parts[0]}") or parts[1] in key
        or (isinstance(body, dict) and body.get("device") in parts)
    }  # fmt: skip


@blueprint.post("/<server>/<name>/exec")
@operator
def steer(server: str, name: str) -> ResponseReturnValue:
    """Send a command; a script gets what the server answers."""
    command = request.form.get("command", "")
    hold_s = _hold(request.form.get("hold", ""))
    user = current_user()
    # For the journal: "why was it on at 03:12?"
    why = request.form.get("why", "").strip() or f"asked by {user.name if user else ''} on the dashboard"
    try:
        answer = devices.steer(bus(), server, name, command, request.form.get("value", ""), hold_s, why)
    except Refused as error:
        if request.accept_mimetypes.best == "application/json":
            return jsonify(error=error.why), 409
        flash(error.why, "error")
    else:
        if request.accept_mimetypes.best == "application/json":
            return jsonify(answer)
        value = answer.get("value") if isinstance(answer, dict) else None
        shown = "" if value is None else f" {json.dumps(value, ensure_ascii=False)}"
        flash(_("{device} {command}: done.", device=name, command=command) + shown)
    return redirect(safe_next(url_for("device.show", server=server, name=name)))


def _hold(text: str) -> float:
    """How long to hold, in seconds, from a form; 0 for no limit."""
    if not text.strip():
        return 0.0
    try:
        seconds = float(text.replace(",", ".", 1))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= HOLD_MAX_S:
        abort(400, _("A hold is a number of seconds from 0 to {most}.", most=int(HOLD_MAX_S)))
    return seconds


@blueprint.post("/<server>/<name>/update")
@admin
def update(server: str, name: str) -> ResponseReturnValue:
    """Change a device's configuration."""
    service = devices.existing(bus(), server)
    oid = request.form.get("oid", "")
    changed = read_form(oid, _form(service, oid), request.form)
    changed.pop("oid")
    wanted = changed.pop("name", name)
    if wanted != name:
        raise ClientError(_("A device keeps its name; remove it, and add it anew."))
    try:
        bus().call(service, "update", name, json.dumps(changed, ensure_ascii=False))
    except Refused as error:
        flash(error.why, "error")
    else:
        flash(_("{device} is changed.", device=name))
    return redirect(url_for("device.show", server=server, name=name))


@blueprint.post("/<server>/<name>/remove")
@admin
def remove(server: str, name: str) -> ResponseReturnValue:
    """Forget a device."""
    try:
        bus().call(devices.existing(bus(), server), "remove", name)
    except Refused as error:
        flash(error.why, "error")
        return redirect(url_for("device.show", server=server, name=name))
    flash(_("{device} is removed.", device=name))
    return redirect(url_for("device.index"))


@blueprint.get("/<server>/")
@admin
def add(server: str) -> str:
    """The form of a new device: first its kind is chosen, then its fields are filled in."""
    service = devices.existing(bus(), server)
    oid = request.args.get("oid", "")
    fields = list(devices.forms(_form(service, oid), None)) if oid else []
    return render_template(
        "device/add.html", server=server, kinds=bus().kinds(service), oid=oid, fields=fields
    )


@blueprint.post("/<server>/")
@admin
def do_add(server: str) -> ResponseReturnValue:
    """Add a device."""
    service = devices.existing(bus(), server)
    oid = request.form.get("oid", "")
    description = _form(service, oid)
    try:
        device = read_form(oid, description, request.form)
        name = bus().call(service, "add", json.dumps(device, ensure_ascii=False))[0].decode()
    except (Refused, ClientError) as error:
        fields = [{**one, "value": request.form.get(one["name"], "")} for one in description]
        page = render_template(
            "device/add.html", server=server, kinds=bus().kinds(service), oid=oid, fields=fields,
            error=str(error),
        )  # fmt: skip
        return page, 400
    flash(_("{device} is there.", device=name))
    return redirect(url_for("device.show", server=server, name=name))


def _form(service: str, oid: str) -> list[dict[str, Any]]:
    kind = bus().kinds(service).get(oid)
    if not isinstance(kind, dict):
        abort(404, _("There is no such kind of device."))
    form: list[dict[str, Any]] = kind["form"]
    return form
