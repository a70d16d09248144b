# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person, or a program, sees when something went wrong."""

from __future__ import annotations

import logging

from flask import Flask, jsonify, render_template
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.wrappers import Response

from raspy.common.MDP import ClientError, NotFoundError
from raspyweb.accounts import AccountError
from raspyweb.app.auth import wants_json
from raspyweb.app.bus import BusAway, Refused
from raspyweb.app.texts import _

log = logging.getLogger("raspy.web")


def install(app: Flask) -> None:
    """Answer all errors of *app* with our own pages."""
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(BusAway, bus_away)
    app.register_error_handler(Refused, refused)
    app.register_error_handler(ClientError, wrong)
    app.register_error_handler(AccountError, account_error)


def answer(
    status: int, title: str, text: str, *, retry_s: int = 0
) -> tuple[Response | str, int, dict[str, str]]:
    """A page, or JSON for a program, that says what is wrong.

    Args:
        status: the HTTP status.
        title: what is wrong, in a few words.
        text: what happened and what to do.
        retry_s: after so many seconds it may be better; 0 for "don't try again by itself".
    """
    headers = {"Retry-After": str(retry_s)} if retry_s else {}
    if wants_json():
        return jsonify(error=text, title=title, status=status), status, headers
    page = render_template("error.html", status=status, title=title, text=text, retry_s=retry_s)
    return page, status, headers


def http_error(error: HTTPException) -> ResponseReturnValue:
    """Not found, not allowed, and so on; and what nobody foresaw, which werkzeug wraps."""
    if isinstance(error.response, Response):
        return error.response
    if isinstance(error, InternalServerError):
        text = _("That is a defect of the dashboard. Its journal has the details: journalctl -u raspy-web")
        return answer(500, _("Something went wrong"), text)
    titles = {
        400: _("This request can't be used"),
        403: _("You may not do this"),
        404: _("Not found"),
        405: _("This can't be done here"),
        413: _("Too large"),
        429: _("Too many tries"),
    }
    body = answer(error.code or 500, titles.get(error.code or 500, error.name), error.description or "")
    headers = [pair for pair in error.get_headers() if pair[0] == "Allow"]
    return body[0], body[1], {**body[2], **dict(headers)}


def bus_away(error: BusAway) -> ResponseReturnValue:
    """The broker is away: say so, and try again."""
    log.info("a page could not be shown: %s", error)
    text = _(
        "The broker, or the server that was asked, is away: {reason}. This page tries again by itself."
        " If it stays so: systemctl status 'raspy-*'",
        reason=str(error),
    )
    return answer(503, _("RasPy does not answer"), text, retry_s=5)


def refused(error: Refused) -> ResponseReturnValue:
    """A service said no."""
    status = 404 if error.status == 404 else 502 if error.status >= 500 else 400
    return answer(status, _("RasPy says no"), error.why)


def account_error(error: AccountError) -> ResponseReturnValue:
    """A change of the accounts that can't be made."""
    return answer(400, _("This can't be done"), _(error.text, **error.values))


def wrong(error: ClientError) -> ResponseReturnValue:
    """What was typed can't be used."""
    status = 404 if isinstance(error, NotFoundError) else 400
    return answer(status, _("This request can't be used"), str(error))
