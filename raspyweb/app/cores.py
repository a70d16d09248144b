# SPDX-License-Identifier: GPL-3.0-or-later
"""The cores on the bus: each has the scenarios and the cron jobs of its machine."""

from __future__ import annotations

from typing import Any

from flask import abort

from raspyweb.app.bus import bus

SERVER = "core"

ANSWER_S = 15.0
"""How long core may take, in seconds: to store a change it waits for titanic, and that for an SD card."""


def hosts() -> list[str]:
    """The machines that have a core, by name."""
    end = f".{SERVER}.scenarios"
    return sorted(name.removesuffix(end) for name in bus().services() if name.endswith(end))


def check(host: str) -> None:
    """See that there is a core on *host*; else a page that says so.

    A request for a service that is not there would wait for it, and for a name that somebody made up in
    vain.
    """
    if host not in hosts():
        abort(404)


def call(host: str, suffix: str, *request: str | bytes) -> list[bytes]:
    """Ask a service of the core on *host*.

    Args:
        host: its machine.
        suffix: the service, such as ``cron``.
        request: the action and its arguments.

    Returns:
        The frames of the reply, without the status.

    Raises:
        BusAway: there was no answer in time.
        Refused: core said no.
    """
    check(host)
    return bus().call(f"{host}.{SERVER}.{suffix}", *request, timeout_s=ANSWER_S)


def ask(host: str, suffix: str, *request: str | bytes) -> Any:
    """The same for an answer of one frame of JSON."""
    check(host)
    return bus().json(f"{host}.{SERVER}.{suffix}", *request, timeout_s=ANSWER_S)
