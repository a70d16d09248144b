# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging in and out, and the first visit."""

from __future__ import annotations

import logging
import math

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from raspyweb.accounts import AccountError
from raspyweb.app.auth import accounts, current_user, log_in, log_out, safe_next, viewer
from raspyweb.app.texts import _
from raspyweb.limiter import Limiter

blueprint = Blueprint("login", __name__)
log = logging.getLogger("raspy.web")

# Of one address, and of one user from anywhere: a house has few people, a guesser needs many tries.
BY_ADDRESS = Limiter(tries=5, every_s=20)
BY_NAME = Limiter(tries=20, every_s=20)


@blueprint.get("/login")
def login() -> str | Response:
    """The form; for the first visitor the one that makes the first user."""
    if current_user() is not None:
        return redirect(safe_next(url_for("overview.index")))
    if accounts().first_visit_token() is not None:
        return redirect(url_for("login.first_visit"))
    return render_template("login/login.html", next=safe_next(url_for("overview.index")))


@blueprint.post("/login")
def do_login() -> str | Response | tuple[str, int]:
    """Check name and password."""
    name, password = request.form.get("name", ""), request.form.get("password", "")
    _slow_down(name)
    user = accounts().check(name, password)
    if user is None:
        _failed(name)
        return render_template(
            "login/login.html",
            next=safe_next(url_for("overview.index")),
            error=_("Name or password is wrong."),
        ), 403
    BY_ADDRESS.forget(_address())
    BY_NAME.forget(name)
    log.info("%s logged in from %s", user.name, _address())
    log_in(user)
    return redirect(safe_next(url_for("overview.index")))


@blueprint.get("/first-visit")
def first_visit() -> str | Response:
    """The form of the first visitor."""
    if accounts().first_visit_token() is None:
        return redirect(url_for("login.login"))
    return render_template("login/first-visit.html", token=request.args.get("token", "")[:64])


@blueprint.post("/first-visit")
def do_first_visit() -> str | Response | tuple[str, int]:
    """Make the first user."""
    given = {key: request.form.get(key, "") for key in ("token", "name", "password", "again")}
    _slow_down("")
    try:
        if given["password"] != given["again"]:
            raise AccountError("The two passwords differ.")
        user = accounts().claim(given["token"], given["name"], given["password"])
    except AccountError as error:
        _failed("")
        page = render_template(
            "login/first-visit.html",
            token=given["token"][:64],
            name=given["name"][:64],
            error=_(error.text, **error.values),
        )
        return page, 400
    BY_ADDRESS.forget(_address())
    log.warning("the first user was made from %s: %s, an admin", _address(), user.name)
    log_in(user)
    return redirect(url_for("overview.index"))


@blueprint.post("/logout")
@viewer
def logout() -> Response:
    """End the session."""
    log_out()
    return redirect(url_for("login.login"))


def _address() -> str:
    return request.remote_addr or ""


def _slow_down(name: str) -> None:
    wait_s = max(BY_ADDRESS.wait_s(_address()), BY_NAME.wait_s(name))
    if wait_s > 0:
        abort(429, _("Too many tries. Wait {n} seconds, then try again.", n=math.ceil(wait_s)))


def _failed(name: str) -> None:
    BY_ADDRESS.note(_address())
    BY_NAME.note(name)
    log.warning("a login failed from %s", _address())
