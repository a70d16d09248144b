# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers that go on: server-sent events, without a thread for each browser.

A view returns ``response(pull)``. The server (``raspyweb.serving``) takes the connection out of the hands of
its page threads, and its one streaming thread calls ``pull`` a few times a second and sends what it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, cast

from flask import Response, abort, g, request, session

from raspyweb.app.auth import accounts
from raspyweb.app.texts import _

ENVIRON = "raspyweb.streams"

Pull = Callable[[], bytes]


class Streams(Protocol):
    """What the server has in ``environ[ENVIRON]``."""

    def adopt(self, pull: Pull, allowed: Callable[[], bool]) -> bool:
        """Go on with this request's connection after its first bytes; False when there are too many."""


def response(pull: Pull) -> Response:
    """An answer that goes on with what *pull* returns.

    Args:
        pull: returns what is to be sent now, or empty bytes. It must not wait, nor need the request.
    """
    streams = cast("Streams | None", request.environ.get(ENVIRON))
    if streams is None or not streams.adopt(pull, _still_allowed()):
        abort(503, _("Too many windows follow live values. Close some of them."))

    def beginning() -> Iterator[bytes]:
        # Proxies and browsers take an answer for begun when there is something of it.
        yield b"retry: 2000\n\n" + pull()

    answer = Response(beginning(), mimetype="text/event-stream")
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


def _still_allowed() -> Callable[[], bool]:
    """Whether who asked may still see it later: the session has not ended, the token was not removed."""
    kept = accounts()
    if g.get("by_token"):
        token = request.headers["Authorization"].partition(" ")[2].strip()
        return lambda: kept.bearer(token) is not None
    secret = str(session.get("id"))
    return lambda: kept.session(secret) is not None
