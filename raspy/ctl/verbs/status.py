# SPDX-License-Identifier: GPL-3.0-or-later
"""``raspyctl status``: how everything is, problems first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from raspy.ctl.errors import ERROR, NO_BROKER, CtlError, NoBroker
from raspy.ctl.frame import verb
from raspy.ctl.output import Cell, Column
from raspy.ctl.session import Session
from raspy.ctl.words import duration, size

if TYPE_CHECKING:
    from raspy.ctl.connection import Bus
    from raspy.ctl.servers import Server

STYLES = {"runs": "good", "asleep": "dim", "stopped": "dim", "failed": "bad", "silent": "bad"}
# More problems of one kind than these are counted only.
SHOWN = 20


@verb("status")
@click.pass_obj
def command(session: Session) -> int:
    """Show how everything is, problems first.

    It also works while the broker is down: then the servers are asked one by one, and systemd is asked for
    their units. Exit status: 0 all is well, 1 there are problems, 4 the broker is away.
    """
    from raspy.ctl import connection, servers

    target = connection.resolve(session.broker, session.host)
    bus, away = None, ""
    try:
        bus = session.bus
        bus.services()
    except NoBroker as error:
        bus, away = None, str(error)
    found = servers.gather(target, bus)
    problems = [away] if away else []
    problems += [server.problem for server in found if server.problem]
    if bus is not None:
        problems += _devices(bus) + _scenarios(bus)
    if session.as_json:
        session.print_json({
            "broker": {"url": target.address.url, "alive": bus is not None},
            "problems": problems,
            "servers": [server._asdict() for server in found],
        })  # fmt: skip
    else:
        _show(session, target.address.url, found, problems)
    return NO_BROKER if away else ERROR if problems else 0


def _show(session: Session, url: str, found: list[Server], problems: list[str]) -> None:
    for problem in problems:
        session.say(f"! {problem}", "bad")
    running = [server for server in found if server.state == "runs"]
    memory = sum(server.memory or 0 for server in found)
    if not problems:
        session.say(
            f"All is well: {len(running)} servers run at {url}, with {size(memory)} of memory.", "good"
        )
    session.say("")
    columns = ("server", "state", Column("memory", right=True), Column("up", right=True), "")
    session.table(columns, [
        (
            Cell("/".join(part for part in (server.host, server.name) if part), "strong"),
            Cell(server.state, STYLES[server.state]),
            "" if server.memory is None else size(server.memory),
            "" if server.uptime_s is None else duration(server.uptime_s),
            server.status,
        )
        for server in found
    ], "No server runs.")  # fmt: skip


def _devices(bus: Bus) -> list[str]:
    """Values that can't be trusted."""
    from raspy.ctl.names import TREE, published
    from raspy.ctl.values import body_of, styled

    values = bus.values()
    wrong = []
    for device, commands in sorted(published(values).items()):
        for command in sorted(commands):
            body = body_of(values[f"{TREE}{device.path}/{command}"])
            if body.get("quality", "good") != "good":
                wrong.append(f"device {device.path} {command}: {styled(body).text}")
                break
    return _bounded(wrong, "devices")


def _scenarios(bus: Bus) -> list[str]:
    """Scenarios that have given up or can't be used."""
    from raspy.ctl.keepers import SCENARIOS

    try:
        listed = SCENARIOS.listed(bus)
    except CtlError:
        # Core is away; it is in the list of servers.
        return []
    wrong = [
        f"scenario {path}: {one['state']}; see: raspyctl scenario log {path}"
        for path, one in listed.items()
        if one.get("state") in ("gave up", "broken")
    ]
    return _bounded(wrong, "scenarios")


def _bounded(wrong: list[str], what: str) -> list[str]:
    more = len(wrong) - SHOWN
    return wrong if more <= 0 else [*wrong[:SHOWN], f"and {more} more {what}"]
