# SPDX-License-Identifier: GPL-3.0-or-later
"""The page Account: one's own password, language, colours, API tokens, sessions; the users, for an admin."""

from __future__ import annotations

import logging
import math

from flask import Blueprint, abort, flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from raspyweb.accounts import ROLES, SCOPES, AccountError, User
from raspyweb.app.auth import accounts, admin, current_user, log_in, viewer
from raspyweb.app.texts import LANGUAGES, _
from raspyweb.limiter import Limiter

blueprint = Blueprint("account", __name__, url_prefix="/account")
log = logging.getLogger("raspy.web")

THEMES = ("auto", "light", "dark")

# Whoever sits at a session of somebody else shall not find out the password.
TRIES = Limiter(tries=5, every_s=20)


@blueprint.before_request
def only_people() -> None:
    """An API token may not make users, tokens or passwords: it would outgrow its scope."""
    if current_user() is not None and g.get("by_token"):
        abort(403, _("The account is changed in the browser, not with an API token."))


def _me() -> User:
    user = current_user()
    assert user is not None  # the decorators see to it
    return user


def _page(secret: str = "") -> str:
    user = _me()
    scopes = {
        "read": _("read: look at everything"),
        "steer": _("steer: commands, start and stop too"),
        "admin": _("admin: change everything"),
    }
    allowed = [(scope, text) for scope, text in scopes.items() if user.may(SCOPES[scope])]
    return render_template(
        "account/index.html", me=user, tokens=accounts().tokens(user.name), secret=secret, scopes=allowed,
        languages=LANGUAGES, roles=ROLES, users=accounts().users() if user.may("admin") else [],
    )  # fmt: skip


def _done(text: str) -> Response:
    flash(text)
    return redirect(url_for("account.index"))


@blueprint.errorhandler(AccountError)
def refused(error: AccountError) -> Response:
    """What can't be done is said on the page itself."""
    flash(_(error.text, **error.values), "error")
    return redirect(url_for("account.index"))


@blueprint.get("/")
@viewer
def index() -> str:
    """The page."""
    return _page()


@blueprint.post("/password")
@viewer
def password() -> Response:
    """Change one's own password; all other sessions end."""
    user = _me()
    wait_s = TRIES.wait_s(user.name)
    if wait_s > 0:
        abort(429, _("Too many tries. Wait {n} seconds, then try again.", n=math.ceil(wait_s)))
    old, new = request.form.get("old", ""), request.form.get("password", "")
    if new != request.form.get("again", ""):
        raise AccountError("The two passwords differ.")
    if accounts().check(user.name, old) is None:
        TRIES.note(user.name)
        raise AccountError("That is not your present password.")
    TRIES.forget(user.name)
    accounts().set_password(user.name, new)
    log.warning("%s changed the own password", user.name)
    log_in(user)
    return _done(_("Your password is changed. All your other sessions have ended."))


@blueprint.post("/look")
@viewer
def look() -> Response:
    """Choose language and colours."""
    language, theme = request.form.get("language", ""), request.form.get("theme", "")
    if language not in ("", *LANGUAGES) or theme not in THEMES:
        raise AccountError("Choose one of those offered.")
    accounts().prefer(_me().name, {"language": language or None, "theme": theme})
    g.language = None  # what is said next is in the new one
    g.pop("user", None)
    return _done(_("It is kept for all your browsers."))


@blueprint.post("/sessions")
@viewer
def sessions() -> Response:
    """Sign out everywhere but here."""
    user = _me()
    accounts().close_sessions(user.name)
    log_in(user)
    return _done(_("All your other sessions have ended."))


@blueprint.post("/tokens")
@viewer
def add_token() -> str:
    """Make an API token, and show it this once."""
    user = _me()
    scope = request.form.get("scope", "")
    if scope in SCOPES and not user.may(SCOPES[scope]):
        raise AccountError("A token can't do more than you may.")
    secret = accounts().add_token(user.name, request.form.get("label", ""), scope)
    log.warning("%s made an API token with the scope %s", user.name, scope)
    return _page(secret)


@blueprint.post("/tokens/remove")
@viewer
def remove_token() -> Response:
    """Revoke an API token."""
    accounts().remove_token(_me().name, request.form.get("id", ""))
    return _done(_("The token is revoked."))


@blueprint.post("/users")
@admin
def add_user() -> Response:
    """Add a user."""
    name = request.form.get("name", "").strip()
    if request.form.get("password", "") != request.form.get("again", ""):
        raise AccountError("The two passwords differ.")
    user = accounts().add(name, request.form.get("role", ""), request.form.get("password", ""))
    log.warning("%s added the user %s, %s", _me().name, user.name, user.role)
    return _done(_("{name} may come in now.", name=user.name))


@blueprint.post("/users/role")
@admin
def set_role() -> Response:
    """Change what a user may do."""
    name, role = request.form.get("name", ""), request.form.get("role", "")
    accounts().set_role(name, role)
    log.warning("%s made %s %s", _me().name, name, role)
    return _done(_("{name} is now: {role}.", name=name, role=_(role)))


@blueprint.post("/users/password")
@admin
def set_user_password() -> Response:
    """Give a user who has forgotten it another password."""
    name = request.form.get("name", "")
    accounts().set_password(name, request.form.get("password", ""))
    log.warning("%s changed the password of %s", _me().name, name)
    if name == _me().name:
        log_in(_me())
    return _done(_("{name} has another password, and must log in again.", name=name))


@blueprint.post("/users/remove")
@admin
def remove_user() -> Response:
    """Remove a user."""
    name = request.form.get("name", "")
    if name == _me().name:
        raise AccountError("You can't remove yourself; another admin can.")
    accounts().remove(name)
    log.warning("%s removed the user %s", _me().name, name)
    return _done(_("{name} is removed.", name=name))
