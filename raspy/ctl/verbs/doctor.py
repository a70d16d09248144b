# SPDX-License-Identifier: GPL-3.0-or-later
"""``raspyctl doctor``: look at everything around RasPy, and say what to do."""

from __future__ import annotations

import os
from pathlib import Path

import click

from raspy.ctl import errors
from raspy.ctl.frame import verb
from raspy.ctl.session import Session

# Where /proc and /sys are.
ROOT = Path("/")
_STYLES = {"good": "good", "warning": "warn", "problem": "bad"}


@verb("doctor")
@click.option("--all", "everything", is_flag=True, help="Show also what is well.")
@click.pass_obj
def command(session: Session, everything: bool) -> int:
    """Look at configuration, units, permissions, keys, clock, disk, SD card, memory, power and 1-wire.

    Nothing is changed. Each finding says what is so, where, and what to do. As root it sees more.
    Exit status: 0 when there is no problem (warnings are none), 1 when there is one.
    """
    from raspy.ctl.checkup import GOOD, PROBLEM, house, machine
    from raspy.ctl.connection import resolve
    from raspy.ctl.place import place

    where = place(session)
    found = [
        *house.findings(session, where, resolve(session.broker, None)),
        *machine.findings(ROOT, where.state),
    ]
    problems = sum(finding.state == PROBLEM for finding in found)
    status = errors.ERROR if problems else 0
    if session.as_json:
        session.print_json([finding._asdict() for finding in found])
        return status
    shown = [finding for finding in found if everything or finding.state != GOOD]
    for finding in sorted(shown, key=lambda one: ("problem", "warning", "good").index(one.state)):
        session.say(f"{finding.state}: {finding.where}: {finding.what}", _STYLES[finding.state])
        if finding.todo:
            session.say(f"    {finding.todo}")
    well = sum(finding.state == GOOD for finding in found)
    warnings = len(found) - well - problems
    counts = f"{_many(problems, 'problem')}, {_many(warnings, 'warning')}, {well} well."
    session.say(counts, "bad" if problems else "good")
    if os.geteuid() != 0 and where.installed:
        session.say("As root (sudo raspyctl doctor) it sees more.")
    return status


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
