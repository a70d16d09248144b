# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of cron jobs: ``words`` tells what a job does, ``form`` reads the editor, ``views`` has them."""

from raspyweb.app.cron.views import blueprint

__all__ = ["blueprint"]
