# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages: all jobs with their next runs, and the editor with its preview."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, abort, flash, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from raspyweb.app import cores
from raspyweb.app.auth import admin, operator, viewer
from raspyweb.app.bus import Refused, bus
from raspyweb.app.cron import form, words
from raspyweb.app.fields import Fields
from raspyweb.app.texts import _

blueprint = Blueprint("cron", __name__)

RUNS = 5
"""So many next runs are shown."""

KEYS_MAX = 2000
"""So many keys at most are offered in the editor."""


@blueprint.get("/cron/")
@viewer
def index() -> str:
    """All jobs of all cores."""
    jobs = {
        host: [_shown(job) for job in cores.ask(host, "cron", "list", str(RUNS)).values()]
        for host in cores.hosts()
    }
    return render_template("cron/index.html", jobs=jobs)


@blueprint.route("/cron/<host>/-new", methods=("GET", "POST"))
@admin
def new(host: str) -> str | AnyResponse | tuple[str, int]:
    """The form of a new job, and what came back."""
    cores.check(host)
    if request.method == "GET":
        return _page(host, "", form.fill({}), {})
    return _taken(host, "add", Fields(request.form).line("name"))


@blueprint.route("/cron/<host>/<name>", methods=("GET", "POST"))
@admin
def edit(host: str, name: str) -> str | AnyResponse | tuple[str, int]:
    """The form of a job, and what came back."""
    if request.method == "GET":
        return _page(host, name, form.fill(_job(host, name)), {})
    return _taken(host, "update", name)


@blueprint.post("/cron/<host>/<name>/fire")
@operator
def fire(host: str, name: str) -> AnyResponse:
    """Carry a job out now."""
    cores.call(host, "cron", "fire", name)
    flash(_("{name} was fired.", name=name))
    return redirect(url_for("cron.index"))


@blueprint.post("/cron/<host>/<name>/<any(enable, disable):what>")
@operator
def switch(host: str, name: str, what: str) -> AnyResponse:
    """Switch a job on or off."""
    active = what == "enable"
    cores.call(host, "cron", "update", name, json.dumps({"active": active}))
    flash(_("{name} is switched on.", name=name) if active else _("{name} is switched off.", name=name))
    return redirect(url_for("cron.index"))


@blueprint.route("/cron/<host>/<name>/remove", methods=("GET", "POST"))
@admin
def remove(host: str, name: str) -> str | AnyResponse:
    """Ask whether a job is to go, and remove it."""
    if request.method == "GET":
        return render_template("cron/remove.html", host=host, job=_shown(_job(host, name)))
    cores.call(host, "cron", "remove", name)
    flash(_("{name} was removed.", name=name))
    return redirect(url_for("cron.index"))


@blueprint.post("/ajax/cron/<host>/preview")
@admin
def preview(host: str) -> Response:
    """What the form as it stands means, for the page's script."""
    definition, errors = form.read(request.form)
    seen: dict[str, Any] = {}
    if not errors:
        seen, errors = _preview(host, definition)
    return jsonify(errors=errors, **seen)


def _job(host: str, name: str) -> dict[str, Any]:
    jobs: dict[str, dict[str, Any]] = cores.ask(host, "cron", "list")
    if name not in jobs:
        abort(404, _("There is no such cron job."))
    return jobs[name]


def _shown(job: dict[str, Any]) -> dict[str, Any]:
    """A job with what it means in words, and its times on the clock of its place."""
    zone = _zone(job["timezone"])
    clock = {key: _clock(job.get(key), zone) for key in ("next", "last")}
    runs = [_clock(run, zone) for run in job.get("runs", ())]
    return {**job, **clock, "runs": runs, "when": _when(job), "what": words.what(job)}


def _clock(at: float | None, zone: ZoneInfo | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M:%S")


def _when(definition: Mapping[str, Any]) -> str:
    try:
        return words.when(dict(definition))
    except ValueError:
        # Core of another version may know more than we do.
        return str(definition.get("cron") or definition.get("date"))


def _preview(host: str, definition: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """What core makes of a definition, in words and as next runs; or where the form is wrong."""
    try:
        asked = {key: value for key, value in definition.items() if value is not None}
        seen = cores.ask(host, "cron", "preview", json.dumps(asked), str(RUNS))
    except Refused as refusal:
        return {}, {form.field_of(refusal.why): refusal.why}
    return _shown({**seen["definition"], "runs": seen["runs"], "timezone": seen["timezone"]}), {}


def _zone(name: str) -> ZoneInfo | None:
    """The zone of that name; None, the machine's own, if core has no name for it."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def _taken(host: str, action: str, name: str) -> str | AnyResponse | tuple[str, int]:
    """Keep what was sent, or show it again: as a preview, or with what is wrong."""
    definition, errors = form.read(request.form)
    if not name:
        errors.setdefault("name", _("It needs a name: letters, digits, _ and -."))
    looking = "preview" in request.form
    seen: dict[str, Any] = {}
    if not errors:
        seen, errors = _preview(host, definition)
    if not errors and not looking:
        try:
            if action == "add":
                definition = {key: value for key, value in definition.items() if value is not None}
            cores.call(host, "cron", action, name, json.dumps(definition))
        except Refused as refusal:
            errors = {form.field_of(refusal.why): refusal.why}
        else:
            flash(_("{name} is saved.", name=name))
            return redirect(url_for("cron.index"))
    page = _page(host, name if action == "update" else "", request.form, errors, seen)
    return (page, 400) if errors else page


def _page(
    host: str,
    name: str,
    fields: Mapping[str, str],
    errors: dict[str, str],
    seen: dict[str, Any] | None = None,
) -> str:
    scenarios = [one.decode(errors="replace") for one in cores.call(host, "scenarios", "list_keys")]
    keys = sorted(bus().values.snapshot("/device/"))[:KEYS_MAX]
    return render_template(
        "cron/edit.html",
        plain_date=form.plain_date(fields.get("date", "")),
        host=host,
        name=name,
        fields=fields,
        errors=errors,
        seen=seen,
        scenarios=scenarios,
        keys=keys,
    )
