# SPDX-License-Identifier: GPL-3.0-or-later
from tests.raspyweb.app.automation import alone, house

__all__ = ["alone", "house"]
