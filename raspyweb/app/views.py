# SPDX-License-Identifier: GPL-3.0-or-later
"""The main views by the names of RasPy's manual; each is at home in its family."""

from __future__ import annotations

from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, NotFound

from raspyweb.app import errors
from raspyweb.app.overview import index as home
from raspyweb.app.requests import requests

__all__ = ["home", "not_found", "requests"]


def not_found(error: HTTPException | None = None) -> ResponseReturnValue:
    """The page that says that there is no such page.

    Args:
        error: what the application raised; None for one that nothing raised.
    """
    return errors.http_error(error or NotFound())
