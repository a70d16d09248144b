# SPDX-License-Identifier: GPL-3.0-or-later
"""Cron: jobs that are due at a time of the clock, after an interval, once, or by the sun."""
