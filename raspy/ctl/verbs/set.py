# SPDX-License-Identifier: GPL-3.0-or-later
"""``raspyctl set DEVICE[/COMMAND] VALUE``: switch a device, or send it a command."""

from __future__ import annotations

from typing import Any

import click

from raspy.ctl import complete
from raspy.ctl.errors import WrongUse
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
    from raspy.ctl import names

    device, key = names.find(session.bus, name)
    described = names.describe(session.bus, device)
    key = key or names.main_command(described, device)
    listed = names.listed_command(described, device, key)
    if value is None and listed.get("type") != "Button":
        raise WrongUse(f"write the value that {device.path} {key} is to have, as: raspyctl set {name} VALUE")
    options = {word: given for word, given in (("hold", hold), ("why", why)) if given is not None}
    frames = [device.name, key, value or ""] + ([json_text(options)] if options else [])
    reply = session.bus.json(device.service, "exec", *frames)
    if session.as_json:
        session.print_json({"device": device.path, "command": key, **reply})
    else:
        session.say(f"{device.path} {key}: {_in_words(reply)}", "good")


def _in_words(reply: dict[str, Any]) -> str:
    from raspy.ctl.values import styled

    state = reply.get("state") or {}
    text = styled(reply).text or "done"
    if state.get("later") is not None:
        later = styled({"value": state["later"]}).text
        return f"{text}; {later} in {state['later_s']:.0f} s, for it may not be switched so soon"
    return f"{text}, for {state['left_s']:.0f} s" if state.get("left_s") else text
