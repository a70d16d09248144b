# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits and times that the scripts and their server side share."""

PREFIX_MAX = 200
"""Characters of a prefix of keys that a page follows."""

STREAMS_MAX = 100
"""Browser windows that follow live values at the same time; a further one is refused."""

SERIES_MAX = 300
"""Characters of the key of a series."""

SPARK_FRESH_S = 120
"""How long a tile's small line may be shown without asking again, in seconds."""
