# SPDX-License-Identifier: GPL-3.0-or-later
"""``raspyctl set DEVICE[/COMMAND] VALUE``: switch a device, or send it a command."""

from __future__ import annotations

from typing import Any

import click

from raspy.ctl import complete
from raspy.ctl.errors import WrongUse, missing
from raspy.ctl.frame import verb
from raspy.ctl.session import Session
from raspy.ctl.settings import json_text


@verb("set")
@click.argument("name", metavar="DEVICE[/COMMAND]", shell_complete=complete.devices)
@click.argument("value", required=False, shell_complete=complete.device_values)
@click.option("--hold", metavar="SECONDS", type=click.FloatRange(0), help="Keep it so for so long.")
@click.option("--why", metavar="TEXT", help="The reason, for the journal.")
@click.pass_obj
def command(session: Session, name: str, value: str | None, hold: float | None, why: str | None) -> None:
    """Switch a device, or send it one of its commands.

    VALUE is on, off, a number, a text or JSON; a button has none. With --hold an actuator goes to its safe
    state when the time is up, unless the command is sent again before.

    \b
      raspyctl set heater on --hold 60
      raspyctl set lamp/level 40
      raspyctl set lamp/color "#ff8800" --why "sunset"
    """
    from raspy.ctl.names import find

    wanted = find(session.bus, name)
    device = wanted.device
    described = session.bus.json(device.service, "get", device.name.partition(".")[0])
    key = _command(wanted.command, device.name, described)
    if value is None and described["commands"].get(key, {}).get("type") != "Button":
        raise WrongUse(f"write the value that {wanted.path} is to have, as: raspyctl set {name} VALUE")
    options = {key: given for key, given in (("hold", hold), ("why", why)) if given is not None}
    part, _, last = key.rpartition(".")
    target = f"{device.name.partition('.')[0]}.{part}" if part else device.name
    frames = [target, last, value or ""] + ([json_text(options)] if options else [])
    reply = session.bus.json(device.service, "exec", *frames)
    if session.as_json:
        session.print_json({"device": device.path, "command": last, **reply})
    else:
        session.say(f"{device.path} {last}: {_in_words(reply)}", "good")


def _command(command: str, device: str, described: dict[str, Any]) -> str:
    """The command as the device lists it: that of a part with the part before it."""
    commands, part = described["commands"], device.partition(".")[2]
    if not command:
        return (
            str(described["main"])
            if not part
            else next((key for key in commands if key.startswith(f"{part}.")), part)
        )
    key = f"{part}.{command}" if part else command
    if key in described.get("config", {}):
        raise WrongUse(f"{key} is configured and no command: raspyctl devices config {device} {key}=VALUE")
    if key not in commands:
        raise missing(f"command of {device}", key, commands)
    return key


def _in_words(reply: dict[str, Any]) -> str:
    from raspy.ctl.values import styled

    state = reply.get("state") or {}
    text = styled(reply).text or "done"
    if state.get("later") is not None:
        return f"{text}; {state['later']} in {state['later_s']:.0f} s, for it may not be switched so soon"
    return f"{text}, for {state['left_s']:.0f} s" if state.get("left_s") else text
