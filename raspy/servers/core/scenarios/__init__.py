# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios: what they look at, when they fire, how they are kept and shared."""
