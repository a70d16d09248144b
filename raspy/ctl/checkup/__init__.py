# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``raspyctl doctor`` looks at: ``machine`` what is around RasPy, ``house`` RasPy itself."""

from __future__ import annotations

from typing import NamedTuple

GOOD, WARNING, PROBLEM = "good", "warning", "problem"


class Finding(NamedTuple):
    """Something that was looked at.

    Args:
        state: ``good``, ``warning`` (works, but not for long or not all of it) or ``problem``.
        what: what is so.
        where: the file, unit or device.
        todo: what to do; empty when nothing is.
    """

    state: str
    what: str
    where: str
    todo: str = ""


def good(what: str, where: str) -> Finding:
    """All is well."""
    return Finding(GOOD, what, where)


def warning(what: str, where: str, todo: str) -> Finding:
    """It works, but not for long, or not all of it."""
    return Finding(WARNING, what, where, todo)


def problem(what: str, where: str, todo: str) -> Finding:
    """It does not work, or lets in who should stay outside."""
    return Finding(PROBLEM, what, where, todo)
