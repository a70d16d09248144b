# SPDX-License-Identifier: GPL-3.0-or-later
"""``raspyctl get DEVICE[/COMMAND]...``: values as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from raspy.ctl import complete
from raspy.ctl.errors import ERROR
from raspy.ctl.frame import verb
from raspy.ctl.output import Cell
from raspy.ctl.session import Session

if TYPE_CHECKING:
    from raspy.ctl.names import Device, Value


@verb("get")
@click.argument(
    "names", nargs=-1, required=True, metavar="DEVICE[/COMMAND]...", shell_complete=complete.devices
)
@click.option("--fresh", is_flag=True, help="Have the device read now, instead of what it published last.")
@click.pass_obj
def command(session: Session, names: tuple[str, ...], fresh: bool) -> int:
    """Show values.

    A DEVICE alone means its main value. One value stands alone, for scripts; of several each has its name
    beside it. A value at fault is an error, and one that is stale says so.

    \b
      raspyctl get tank
      raspyctl get tank heater --json
      raspyctl get --fresh fake/tank/temperature
    """
    from raspy.ctl import names as finding

    values = session.bus.values()
    known = finding.published(values)
    found = []
    for name in names:
        wanted = finding.find(session.bus, name, known)
        found.append(_read(session, wanted, values, known, fresh))
    if session.as_json:
        session.print_json(
            [{"device": one.device.path, "command": one.command, **body} for one, body in found]
        )
    else:
        _show(session, found)
    return ERROR if any("error" in body for _, body in found) else 0


def _read(
    session: Session, wanted: Value, values: dict[str, bytes], known: dict[Device, list[str]], fresh: bool
) -> tuple[Value, dict[str, Any]]:
    """The value that is wanted, and what is known of it."""
    from raspy.ctl import names
    from raspy.ctl.values import body_of

    device, command = wanted
    published = known.get(device, [])
    if not command:
        # Most devices have one value, and nobody needs to be asked which one is meant.
        command = (
            published[0]
            if len(published) == 1
            else names.main_command(names.describe(session.bus, device), device)
        )
    body = values.get(f"{names.TREE}{device.path}/{command}")
    if body is None:
        names.listed_command(names.describe(session.bus, device), device, command)
    if body is None or fresh:
        read = session.bus.json(device.service, "exec", device.name, command)
    else:
        read = body_of(body)
    return names.Value(device, command), read


def _show(session: Session, found: list[tuple[Value, dict[str, Any]]]) -> None:
    from raspy.ctl.values import styled

    if len(found) == 1:
        text, style = styled(found[0][1])
        session.say(text, style)
        return
    rows = []
    for value, body in found:
        rows.append((Cell(value.path, "strong"), styled(body)))
    session.table(("device", "value"), rows)
