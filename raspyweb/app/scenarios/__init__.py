# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of scenarios: ``form`` reads the editor, ``views`` has them, ``files`` is export and import."""

from raspyweb.app.scenarios.views import blueprint

__all__ = ["blueprint"]
