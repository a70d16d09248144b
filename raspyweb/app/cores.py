# SPDX-License-Identifier: GPL-3.0-or-later
"""The cores on the bus: each has the scenarios and the cron jobs of its machine."""

from __future__ import annotations

from flask import abort

from raspyweb.app.bus import bus

SERVER = "core"


def hosts() -> list[str]:
    """The machines that have a core, by name."""
    end = f".{SERVER}.scenarios"
    return sorted(name.removesuffix(end) for name in bus().services() if name.endswith(end))


def service(host: str, suffix: str) -> str:
    """The name of a service of the core on *host*; a page that says so if there is none.

    A request for a service that is not there would wait for it, and for a name that somebody made up in
    vain.
    """
    name = f"{host}.{SERVER}.{suffix}"
    if name not in bus().services():
        abort(404)
    return name
