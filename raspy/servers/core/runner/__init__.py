# SPDX-License-Identifier: GPL-3.0-or-later
"""Core's side of a running scenario: start its process, talk with it, do what it asks, end it."""
