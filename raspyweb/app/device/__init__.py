# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of devices: all of them, one, its configuration, a new one."""

from raspyweb.app.device.views import blueprint

__all__ = ["blueprint"]
