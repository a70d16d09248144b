# SPDX-License-Identifier: GPL-3.0-or-later
"""``raspyctl watch``: values as they change."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from raspy.ctl import complete
from raspy.ctl.frame import verb
from raspy.ctl.output import Cell, Column, Row
from raspy.ctl.session import Session
from raspy.ctl.words import ago, moment

if TYPE_CHECKING:
    from raspy.common.kvcliapi import KvSubscriberClient

TREES = ("/device/", "/event/", "/scenario/")
# How often the picture on a terminal is drawn at most, in seconds.
DRAW_S = 0.25


@verb("watch")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete.devices)
@click.option("--events", is_flag=True, help="Events and what scenarios publish, too.")
@click.option("--lines", is_flag=True, help="A line for each change also on a terminal.")
@click.pass_obj
def command(session: Session, names: tuple[str, ...], events: bool, lines: bool) -> None:
    """Show values live, of all devices or of those with one of the NAMEs in them.

    On a terminal it is a table that changes; elsewhere, or with --lines, a line for each change. A NAME is
    that of a device, a server, a machine or a command. Ctrl-C ends it.
    """
    trees = list(TREES if events else TREES[:1])
    wanted = _chooser(names)
    if session.as_json or lines or not session.on_terminal:
        _lines(session, trees, wanted)
    else:
        _table(session, trees, wanted)


def _chooser(names: tuple[str, ...]) -> Callable[[str], bool]:
    """Whether a key is wanted: a name is a run of its parts."""
    runs = [f"/{name.strip('/')}/" for name in names]
    return lambda key: not runs or any(run in f"{key}/" for run in runs)


def _follow(session: Session, client: KvSubscriberClient) -> None:
    """Follow until Ctrl-C."""
    try:
        client.run()
    finally:
        client.destroy()


def _teller(session: Session) -> Callable[[KvSubscriberClient], None]:
    """What says, once, that the broker has gone, and once that it is back."""
    there: list[bool] = []

    def tell(client: KvSubscriberClient) -> None:
        if client.synchronised and there and not there[-1]:
            click.echo("the broker is back", err=True)
        if there and there[-1] and not client.synchronised:
            click.echo("the broker has gone; waiting for it to come back", err=True)
        there[:] = [client.synchronised] if client.synchronised or there else []

    return tell


def _lines(session: Session, trees: list[str], wanted: Callable[[str], bool]) -> None:
    from raspy.ctl.values import body_of, styled

    def changed(key: str, body: bytes) -> None:
        if not wanted(key):
            return
        value = body_of(body) if body else None
        if session.as_json:
            session.print_json({"key": key, "body": value}, one_line=True)
            return
        name = key.removeprefix("/device/") if key.startswith("/device/") else key
        text = (
            "gone" if value is None else str(value["message"]) if "message" in value else styled(value).text
        )
        session.say(f"{moment(time.time())}  {name}  {text}")

    tell = _teller(session)
    client = session.bus.follow(trees, changed, lambda: tell(client))
    _follow(session, client)


def _table(session: Session, trees: list[str], wanted: Callable[[str], bool]) -> None:
    from rich.live import Live
    from rich.table import Table

    from raspy.ctl.terminal import console, make_table
    from raspy.ctl.values import body_of, styled

    values: dict[str, bytes] = {}
    columns = [Column("of"), Column("value"), Column("since", right=True)]

    def changed(key: str, body: bytes) -> None:
        if wanted(key):
            values.pop(key, None)
            if body:
                values[key] = body

    def picture() -> Table:
        rows: list[Row] = []
        # What does not fit below the head would be cut off; keys stand in order, so that lines do not jump.
        room = max(1, console().height - 4)
        for key in sorted(values)[:room]:
            body = body_of(values[key])
            text = Cell(str(body["message"])) if "message" in body else styled(body)
            rows.append(
                (Cell(key.removeprefix("/device/"), "strong"), text, Cell(ago(body.get("time")), "dim"))
            )
        if len(values) > room:
            rows.append((Cell(f"and {len(values) - room} more; name what to watch", "dim"), "", ""))
        return make_table(columns, rows)

    tell, drawn_at = _teller(session), 0.0
    with Live(console=console(), auto_refresh=False, screen=True) as live:

        def draw() -> None:
            nonlocal drawn_at
            tell(client)
            if time.monotonic() - drawn_at >= DRAW_S:
                drawn_at = time.monotonic()
                live.update(picture(), refresh=True)

        client = session.bus.follow(trees, changed, draw)
        _follow(session, client)
