# SPDX-License-Identifier: GPL-3.0-or-later
"""The page Journal: what RasPy has written, by server, device, scenario, priority, time and text; live."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from flask import Blueprint, Response, jsonify, render_template, request

from raspy.common.journal_reader import PRIORITIES, Query
from raspy.common.MDP import ClientError
from raspyweb.app.auth import viewer
from raspyweb.app.bus import BusAway
from raspyweb.app.journal import source
from raspyweb.app.texts import _

blueprint = Blueprint("journal", __name__, url_prefix="/journal")

TEXTS = ("server", "device", "scenario", "text")
LINES = 100
NEW_LINES = 500


@blueprint.get("/")
@viewer
def index() -> str:
    """The filter, and the lines."""
    given = {name: request.args.get(name, "").strip() for name in (*TEXTS, "priority", "since", "until")}
    error = ""
    try:
        query = _query(given, LINES)
        found = source.read(query, before=request.args.get("before", ""), names=True)
    except ClientError as refusal:
        error = str(refusal)
        found = source.read(Query(limit=LINES), names=True)
    except BusAway as away:
        error = _("There is no journal here, and the logger does not answer: {reason}", reason=away)
        found = source.nothing()
    link = {name: value for name, value in given.items() if value}
    return render_template(
        "journal/index.html", given=given, found=found, error=error, priorities=PRIORITIES, link=link,
        live="before" not in request.args and not given["until"] and not error,
    )  # fmt: skip


@blueprint.get("/new")
@viewer
def new() -> Response:
    """What has come after a cursor, for the page's script: as HTML, with the next cursor."""
    given = {name: request.args.get(name, "") for name in (*TEXTS, "priority", "since")}
    query = _query({**given, "until": ""}, NEW_LINES)
    page = source.read(query, after=request.args.get("after", "")).page
    html = render_template("journal/_lines.html", lines=page.lines, new=True)
    return jsonify(html=html, last=page.last)


@blueprint.errorhandler(ClientError)
def refused(error: ClientError) -> tuple[Response, int]:
    """The script gave what is no cursor, or no filter."""
    return jsonify(error=str(error), status=400), 400


def _query(given: Mapping[str, str], limit: int) -> Query:
    """The query that a form means.

    Raises:
        ClientError: a field is wrong.
    """
    return Query(
        **{name: given[name] for name in TEXTS},
        priority=source.priority(given["priority"] or PRIORITIES[-1]),
        since=_moment(given["since"]),
        until=_moment(given["until"]),
        limit=limit,
    )


def _moment(text: str) -> float | None:
    """What ``<input type="datetime-local">`` sends, in the machine's time zone.

    Raises:
        ClientError: it is no such text.
    """
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ClientError(_("A time must look like 2026-01-31T14:05")) from None


@blueprint.app_template_filter()
def gravity(priority: int) -> str:
    """The class of a line in the page, by its priority."""
    if priority <= PRIORITIES.index("err"):
        return "bad"
    return "warn" if priority == PRIORITIES.index("warning") else ""
