# SPDX-License-Identifier: GPL-3.0-or-later
"""Why raspyctl could not do it: a sentence for a person, and an exit status for a script.

======  ==========================================================================
status
======  ==========================================================================
0       done
1       it could not be done; standard error says why
2       the command line is wrong
3       what it names is not there
4       the broker is away, or can't be reached
130     Ctrl-C; 141: nobody reads the output any more (``raspyctl watch | head``)
======  ==========================================================================
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

ERROR, USAGE, NOT_FOUND, NO_BROKER = 1, 2, 3, 4
INTERRUPTED, NO_READER = 130, 141


class CtlError(Exception):
    """It could not be done.

    Args:
        reason: what happened, where, and what to do; one sentence or two.
    """

    status = ERROR


class WrongUse(CtlError):
    """What was written can't be meant: an ambiguous name, a value out of range."""

    status = USAGE


class NotFound(CtlError):
    """What was named is not there."""

    status = NOT_FOUND


class NoBroker(CtlError):
    """The broker is away, or does not let us in."""

    status = NO_BROKER


def missing(what: str, name: str, there: Iterable[str]) -> NotFound:
    """The error for a name that is not there, with the names that were perhaps meant.

    Args:
        what: what it is the name of, such as ``"device"``.
        name: what was written.
        there: the names there are.
    """
    known = sorted(there)
    near = nearest(name, known)
    if near:
        return NotFound(f"there is no {what} {name!r}; did you mean {' or '.join(near)}?")
    if not known:
        return NotFound(f"there is no {what} {name!r}, nor any other")
    more = f" and {len(known) - 8} more" if len(known) > 8 else ""
    return NotFound(f"there is no {what} {name!r}; there are: {', '.join(known[:8])}{more}")


def nearest(name: str, there: Iterable[str], most: int = 3) -> list[str]:
    """The names that *name* may be a slip of, the nearest first; a name's last part counts as well."""
    known = list(there)
    found = difflib.get_close_matches(name, known, most)
    if not found:
        by_end: dict[str, list[str]] = {}
        for one in known:
            by_end.setdefault(one.rpartition("/")[2], []).append(one)
        for end in difflib.get_close_matches(name.rpartition("/")[2], by_end, most):
            found += by_end[end]
    return found[:most]
