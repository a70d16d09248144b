# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages' own scripts ask for: JSON, and live values."""

from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("ajax", __name__, url_prefix="/ajax")

from raspyweb.app.ajax import views  # noqa: E402 - the views need the blueprint

__all__ = ["blueprint", "views"]
