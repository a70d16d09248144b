# SPDX-License-Identifier: GPL-3.0-or-later
from tests.raspyweb.app.automation import alone, coreless, house

__all__ = ["alone", "coreless", "house"]
