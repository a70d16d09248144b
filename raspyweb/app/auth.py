# SPDX-License-Identifier: GPL-3.0-or-later
"""Who asks, what they may do, and that a change was meant: roles, sessions, API tokens, CSRF.

A browser has a session: a signed cookie with the secret of the session in the accounts, and when it was last
used. A program has an API token: ``Authorization: Bearer raspy_...``.

Source: OWASP's Session Management and Cross-Site Request Forgery Prevention Cheat Sheets.
"""

from __future__ import annotations

import functools
import hmac
import secrets
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

from flask import Response, abort, current_app, g, jsonify, redirect, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from raspyweb.accounts import ROLES, SCOPES, Accounts, User
from raspyweb.app.texts import _

EXTENSION = "raspy.accounts"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
SEEN_EVERY_S = 60.0
"""The cookie is renewed so often while it is in use, in seconds."""

View = TypeVar("View", bound=Callable[..., Any])


def accounts() -> Accounts:
    """The accounts of the current application."""
    return cast(Accounts, current_app.extensions[EXTENSION])


def current_user() -> User | None:
    """Who asks; None for a stranger. For an API token a user with the role that its scope allows."""
    if "user" not in g:
        g.user = None
        g.user = _bearer() if "Authorization" in request.headers else _session_user()
    return cast("User | None", g.user)


def _bearer() -> User | None:
    kind, _space, token = request.headers["Authorization"].partition(" ")
    found = accounts().bearer(token.strip()) if kind.lower() == "bearer" else None
    if found is None:
        return None
    user, scope = found
    g.by_token = True
    least = min(ROLES.index(user.role), ROLES.index(SCOPES[scope]))
    return user._replace(role=ROLES[least])


def _session_user() -> User | None:
    secret, seen = session.get("id"), session.get("seen")
    if not isinstance(secret, str) or not isinstance(seen, (int, float)):
        return None
    now = time.time()
    user = accounts().session(secret) if now - seen < current_app.config["IDLE_LIMIT_S"] else None
    if user is None:
        session.clear()
    elif abs(now - seen) > SEEN_EVERY_S:
        session["seen"] = now
    return user


def log_in(user: User) -> None:
    """Begin a session of *user* in this browser; what the cookie held before is forgotten."""
    session.clear()
    session.permanent = True
    session["id"] = accounts().open_session(user.name)
    session["seen"] = time.time()
    g.user = user


def log_out() -> None:
    """End this browser's session."""
    secret = session.get("id")
    if isinstance(secret, str):
        accounts().close_session(secret)
    session.clear()
    g.user = None


def safe_next(otherwise: str) -> str:
    """Where the parameter ``next`` wants to go afterwards: a page of ours, never another site.

    Args:
        otherwise: where to go without it.
    """
    wanted = request.values.get("next", "")
    plain = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if plain and len(wanted) < 1000 else otherwise


# -- CSRF ---------------------------------------------------------------------------------------------


def csrf_token() -> str:
    """The token that this browser's forms carry as ``csrf_token``, and its scripts as X-CSRF-Token."""
    key = current_app.config["CSRF_SESSION_KEY"]
    if not isinstance(session.get(key), str):
        session[key] = secrets.token_urlsafe(24)
    return str(session[key])


def check_csrf() -> None:
    """Refuse a change that did not come from one of our own pages; runs before every request."""
    if request.method in SAFE_METHODS or not current_app.config["CSRF_ENABLED"]:
        return
    if current_user() is not None and g.get("by_token"):
        # No other site can make a browser send a token that it does not know.
        return
    if current_user() is None and wants_json():
        # A program without a token: the view says that it needs one.
        return
    expected = session.get(current_app.config["CSRF_SESSION_KEY"])
    given: str = request.headers.get("X-CSRF-Token") or request.form.get("csrf_token") or ""
    if not isinstance(expected, str) or not hmac.compare_digest(expected.encode(), given.encode()):
        abort(
            400,
            _("This form is too old, or did not come from this site. Go back, reload the page, try again."),
        )


# -- roles --------------------------------------------------------------------------------------------


def wants_json() -> bool:
    """Whether a program asks: the answer is JSON, errors too."""
    return request.path.startswith(("/api/", "/ajax/"))


def require(role: str) -> Callable[[View], View]:
    """A decorator: only users of *role* or above get to the view."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            refusal = _refusal(role)
            return view(*args, **kwargs) if refusal is None else refusal

        guarded.role = role  # type: ignore[attr-defined]
        return cast(View, guarded)

    return decorate


viewer = require("viewer")
operator = require("operator")
admin = require("admin")


def _refusal(role: str) -> AnyResponse | None:
    user = current_user()
    if user is not None and user.may(role):
        return None
    if user is not None:
        abort(403, _("This needs the role {role}; yours is {own}.", role=_(role), own=_(user.role)))
    if wants_json():
        answer: Response = jsonify(error=_("Log in first, or send an API token."), status=401)
        answer.status_code = 401
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer
    return redirect(
        url_for("login.login", next=request.full_path.rstrip("?") if request.method == "GET" else None)
    )
