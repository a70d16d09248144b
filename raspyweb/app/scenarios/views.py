# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages: all scenarios, one with its editor and its journal, and what can be done with it."""

from __future__ import annotations

import json
from typing import Any

from flask import (
    Blueprint,
    Response,
    abort,
    flash,
    get_template_attribute,
    jsonify,
    redirect,
    render_template,
    request,
    url_for,
)
from werkzeug.wrappers import Response as AnyResponse

from raspyweb.app import cores, shown
from raspyweb.app.auth import admin, current_user, operator, viewer
from raspyweb.app.bus import Refused, bus
from raspyweb.app.fields import Fields
from raspyweb.app.scenarios import files, form
from raspyweb.app.texts import _

blueprint = Blueprint("scenarios", __name__)
files.install(blueprint)

LOG_LINES = 200
"""So many lines of a scenario's journal are shown; core keeps no more."""

KEYS_MAX = 2000
"""So many keys at most are offered in the editor."""

SEEN = ("quality", "error", "holds")
"""What the page shows of an entry, besides its value."""

SPARE_ROWS = 3
"""So many empty rows for entries the editor has without JavaScript."""


@blueprint.get("/scenarios/")
@viewer
def index() -> str:
    """All scenarios of all cores."""
    found = {host: _all(host) for host in cores.hosts()}
    return render_template("scenarios/index.html", scenarios=found)


@blueprint.route("/scenarios/<host>/-new", methods=("GET", "POST"))
@admin
def new(host: str) -> str | AnyResponse | tuple[str, int]:
    """The form of a new scenario, and what came back."""
    cores.check(host)
    if request.method == "GET":
        return _page(host, None, *form.fill(form.NEW), {})
    return _taken(host, None, Fields(request.form).line("name"))


@blueprint.get("/scenarios/<host>/<name>")
@viewer
def show(host: str, name: str) -> str:
    """One scenario: how it is, its journal, its entries, and the editor."""
    info = _info(host, name)
    return _page(host, info, *form.fill(info), {})


@blueprint.post("/scenarios/<host>/<name>")
@admin
def save(host: str, name: str) -> str | AnyResponse | tuple[str, int]:
    """Keep what was edited."""
    return _taken(host, _info(host, name), name)


@blueprint.post("/scenarios/<host>/<name>/<any(start, stop):what>")
@operator
def run(host: str, name: str, what: str) -> AnyResponse:
    """Start or stop a scenario."""
    (answer,) = cores.call(host, "scenario", what, name)
    done = json.loads(answer)
    if what == "start":
        flash(_("{name} was started.", name=name) if done else _("{name} runs already.", name=name))
    else:
        flash(_("{name} is to stop.", name=name) if done else _("{name} was not running.", name=name))
    return redirect(url_for("scenarios.show", host=host, name=name))


@blueprint.post("/scenarios/<host>/<name>/<any(enable, disable):what>")
@operator
def switch(host: str, name: str, what: str) -> AnyResponse:
    """Let a scenario be started, or not."""
    active = what == "enable"
    cores.call(host, "scenarios", "update", name, json.dumps({"conf": {"active": active}}))
    flash(_("{name} is switched on.", name=name) if active else _("{name} is switched off.", name=name))
    return redirect(url_for("scenarios.show", host=host, name=name))


@blueprint.route("/scenarios/<host>/<name>/delete", methods=("GET", "POST"))
@admin
def delete(host: str, name: str) -> str | AnyResponse:
    """Ask whether a scenario is to go, and delete it."""
    if request.method == "GET":
        return render_template("scenarios/delete.html", host=host, one=_info(host, name))
    cores.call(host, "scenarios", "delete", name)
    flash(_("{name} was deleted.", name=name))
    return redirect(url_for("scenarios.index"))


@blueprint.get("/ajax/scenarios/<host>/<name>")
@viewer
def live(host: str, name: str) -> Response:
    """State, entries and journal of one scenario, for the page's script."""
    info = _info(host, name)
    entries = {
        key: {
            "shown": f"{shown.value(entry)} {entry['unit'] or ''}",
            **{part: entry.get(part) for part in SEEN},
        }
        for key, entry in info["entries"].items()
    }
    return jsonify(state=info["state"], last=_told(info), entries=entries, lines=_log(host, name))


def _all(host: str) -> dict[str, dict[str, Any]]:
    listed: dict[str, dict[str, Any]] = cores.ask(host, "scenarios", "list")
    return {name: {**one, "last": _last(one)} for name, one in listed.items()}


def _info(host: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = cores.ask(host, "scenario", "info", name)
    return found


def _log(host: str, name: str) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = cores.ask(host, "scenario", "log", name, str(LOG_LINES))
    return lines


def _last(one: dict[str, Any]) -> dict[str, Any] | None:
    """How the last run ended: in words, when, and the line of the code where it went wrong."""
    last = one["last"]
    if last is None:
        return None
    kinds = {
        "done": _("came to its end"),
        "stopped": _("was stopped"),
        "error": _("ended with an error"),
        "timeout": _("ran for too long and was stopped"),
        "memory": _("wanted too much memory"),
        "processor": _("computed for too long"),
        "died": _("died, or could not be started"),
    }
    wrong = last["kind"] not in ("done", "stopped")
    lines = last["lines"]
    return {
        "text": kinds.get(last["kind"], last["kind"]),
        "wrong": wrong,
        "time": last["time"],
        "why": lines[-1] if wrong and lines else "",
        "line": form.line_of("\n".join(lines)) if wrong else None,
    }


def _told(info: dict[str, Any]) -> str:
    """How it runs, or how the last run ended, as the page has it: in HTML."""
    return str(get_template_attribute("scenarios/_state.html", "last")(_last(info), info["running_s"]))


def _taken(host: str, info: dict[str, Any] | None, name: str) -> str | AnyResponse | tuple[str, int]:
    """Keep what was sent, or show it again with what is wrong."""
    definition, errors = form.read(request.form)
    found = form.rows(request.form)
    if not name:
        errors.setdefault("name", _("It needs a name: letters, digits, _ and -."))
    if not errors:
        try:
            cores.call(host, "scenarios", "update" if info else "add", name, json.dumps(definition))
        except Refused as refusal:
            errors[form.field_of(refusal.why, found)] = refusal.why
        else:
            flash(_("{name} is saved.", name=name))
            return redirect(url_for("scenarios.show", host=host, name=name))
    return _page(host, info, request.form, found, errors), 400


def _page(
    host: str, info: dict[str, Any] | None, fields: Any, found: list[form.Row], errors: dict[str, str]
) -> str:
    user = current_user()
    if user is None:
        abort(403)
    last = _last(info) if info else None
    line = form.line_of(errors["code"]) if "code" in errors else last["line"] if last and not errors else None
    return render_template(
        "scenarios/edit.html", host=host, one=info, last=last, fields=fields, rows=found, errors=errors,
        lines=_log(host, info["name"]) if info else [], line=line, spare=SPARE_ROWS,
        keys=sorted(bus().values.snapshot("/"))[:KEYS_MAX], editable=user.may("admin"),
    )  # fmt: skip
