# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may send which request: everybody what reads, an operator what steers a device, an admin the rest."""

from __future__ import annotations

READ, STEER, ADMIN = "viewer", "operator", "admin"

# What changes nothing and shows nothing that other pages do not, by the last part of the service's name.
READING = {
    "mmi": {"status", "info", "actions"},
    "statistics": {"list_keys", "all", "get"},
    "devices": {"list_keys", "list", "get", "templates"},
    "cron": {"list_keys", "list", "next", "preview"},
    "scenario": {"info", "status", "log"},
    "scenarios": {"list_keys", "list", "export"},
    "clock": {"status"},
    "graph": {"list_keys", "list", "fetch"},
    "log": {"list_keys", "readlines"},
    "sync": {"list_keys", "list", "status"},
}
STEERING = {"devices": {"exec"}}
BROKER = ("mmi.service", "mmi.discovery", "mmi.workers")


def role(service: str, action: str) -> str:
    """The least role that may send it.

    Args:
        service: its full name.
        action: the first frame of the request.
    """
    if service in BROKER:
        return READ
    parts = service.split(".")
    if len(parts) != 3 or not all(parts):
        return ADMIN
    suffix = parts[2]
    if action in READING.get(suffix, ()):
        return READ
    return STEER if action in STEERING.get(suffix, ()) else ADMIN
