# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of requests: ``tree`` finds what may be asked, ``rights`` says by whom, ``views`` has them."""

from raspyweb.app.requests.views import blueprint, requests

__all__ = ["blueprint", "requests"]
