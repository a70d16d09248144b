# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging: to the journal with fields under systemd, to standard error elsewhere.

A line carries fields by ``extra``::

    log.warning("heater off: the hold ran out", extra={"RASPY_DEVICE": "heater"})

Fields: RASPY_SERVICE (on every line), RASPY_DEVICE, RASPY_SCENARIO, RASPY_REQUEST (who asked), and
MESSAGE_ID, which ``journalctl -x`` explains from the catalog.

Source: systemd.journal-fields(7), python3-systemd's JournalHandler.
"""

from __future__ import annotations

import logging
import sys

from raspy.common.systemd import under_journal

LEVELS = ("debug", "info", "warning", "error", "critical")
FORMAT = "%(asctime)s %(levelname)-7s %(raspy_service)s: %(message)s"


class _StderrFormatter(logging.Formatter):
    """Lines for a person; the devices and scenarios that the journal would find by field are in the text."""

    def __init__(self, service: str) -> None:
        super().__init__(FORMAT, "%H:%M:%S", defaults={"raspy_service": service})


def set_up(service: str, level: str = "info") -> logging.Handler:
    """Send this process's log lines to where they belong.

    Args:
        service: the server's name, put on every line.
        level: the least level that is logged, one of ``LEVELS``.

    Returns:
        The handler, which is the only one of the root logger from now on.
    """
    handler: logging.Handler
    if under_journal():
        from systemd.journal import JournalHandler

        handler = JournalHandler(SYSLOG_IDENTIFIER=f"raspy-{service}", RASPY_SERVICE=service)
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_StderrFormatter(service))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    set_level(level)
    return handler


def set_level(level: str) -> None:
    """Change the least level that is logged.

    Raises:
        ValueError: not one of ``LEVELS``.
    """
    if level not in LEVELS:
        raise ValueError(f"log level {level!r}: must be one of {', '.join(LEVELS)}")
    logging.getLogger().setLevel(level.upper())


def get_level() -> str:
    """The least level that is logged, one of ``LEVELS``."""
    return logging.getLevelName(logging.getLogger().getEffectiveLevel()).lower()
