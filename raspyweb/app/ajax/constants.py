# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits and times that the scripts and their server side share."""

PREFIX_MAX = 200
"""Characters of a prefix of keys that a page follows."""

STREAMS_MAX = 100
"""Browser windows that follow live values at the same time; a further one is refused."""
