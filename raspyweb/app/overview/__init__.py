# SPDX-License-Identifier: GPL-3.0-or-later
"""The overview: a tile for each device; ``arrangement`` is what each user made of it."""

from raspyweb.app.overview.views import blueprint, index

__all__ = ["blueprint", "index"]
