# SPDX-License-Identifier: GPL-3.0-or-later
"""``raspyctl services [SERVICE]``: who can be asked, and for what."""

from __future__ import annotations

import click

from raspy.ctl import complete
from raspy.ctl.frame import verb
from raspy.ctl.output import Cell, Column
from raspy.ctl.session import Session


@verb("services")
@click.argument("service", required=False, shell_complete=complete.services)
@click.pass_obj
def command(session: Session, service: str | None) -> None:
    """List the services on the bus; of one SERVICE, what it can be asked for.

    \b
      raspyctl services
      raspyctl services core.cron
    """
    if service:
        _actions(session, service)
        return
    workers, asleep = session.bus.json("mmi.workers"), session.bus.asleep()
    found = []
    for name in session.bus.services():
        server = name.rpartition(".")[0]
        found.append({"service": name, "workers": workers.get(name, 0), "asleep": server in asleep})
    if session.as_json:
        session.print_json(found)
        return
    session.table(("service", Column("workers", right=True), ""), [
        (
            Cell(str(one["service"]), "dim" if one["asleep"] else "strong"),
            "" if one["asleep"] or not one["workers"] else str(one["workers"]),
            Cell("asleep; starts when it is asked", "dim") if one["asleep"] else "",
        )
        for one in found
    ])  # fmt: skip


def _actions(session: Session, service: str) -> None:
    from raspy.ctl.names import find_service

    name = find_service(session.bus, service)
    server, _, suffix = name.rpartition(".")
    actions = session.bus.json(f"{server}.mmi", "actions").get(suffix, {})
    if session.as_json:
        session.print_json(actions)
        return
    rows = []
    for action, about in actions.items():
        # The handler's first line is "ACTION ARGUMENTS: what it does".
        head, colon, what = str(about.get("info", "")).partition(": ")
        rows.append((Cell(head if colon and head.startswith(action) else action, "strong"), what or head))
    session.table(("request", "what it does"), rows, f"{name} does not tell its actions.")
