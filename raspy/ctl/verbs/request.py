# SPDX-License-Identifier: GPL-3.0-or-later
"""``raspyctl request SERVICE [FRAME]...``: any request, with the frames of its reply."""

from __future__ import annotations

import json
import sys

import click

from raspy.ctl import complete
from raspy.ctl.errors import ERROR, NOT_FOUND
from raspy.ctl.frame import verb
from raspy.ctl.session import Session


@verb("request")
@click.argument("service", shell_complete=complete.services)
@click.argument("frames", nargs=-1, metavar="[FRAME]...")
@click.pass_obj
def command(session: Session, service: str, frames: tuple[str, ...]) -> int:
    """Send a request to a service, and show the frames of its reply, the status among them.

    A FRAME is text; the single "-" stands for what comes on standard input. "raspyctl services SERVICE" lists
    what can be asked.

    \b
      raspyctl request pi.core.cron next morning 3
      raspyctl request mmi.discovery '.*[.]devices'
    """
    from raspy.common import MDP
    from raspy.ctl.names import find_service

    name = find_service(session.bus, service)
    body = [sys.stdin.buffer.read() if frame == "-" else frame for frame in frames]
    reply = session.bus.request(name, *body)
    first = name.encode().startswith(MDP.STATUS_FIRST_PREFIX)
    status = (reply[0] if first else reply[-1]) if reply else b""
    if session.as_json:
        shown = [frame.decode(errors="replace") for frame in reply]
        session.print_json({"service": name, "status": status.decode(errors="replace"), "frames": shown})
    else:
        for number, frame in enumerate(reply):
            is_status = number == (0 if first else len(reply) - 1)
            _show(session, number + 1, frame, is_status)
    if status in (MDP.T_OK, MDP.T_PENDING):
        return 0
    return NOT_FOUND if status == MDP.T_NOTFOUND else ERROR


def _show(session: Session, number: int, frame: bytes, is_status: bool) -> None:
    """A frame with its number and size; JSON over several lines, and what is no text as bytes."""
    try:
        text = frame.decode()
    except UnicodeDecodeError:
        lines = [repr(frame)[2:-1]]
    else:
        lines = _lines(text)
    head = "status" if is_status else f"{len(frame)} bytes"
    if len(lines) == 1:
        session.say(f"[{number}] {head:>10}  {lines[0]}", "dim" if is_status and frame == b"200" else "")
        return
    session.say(f"[{number}] {head:>10}")
    for line in lines:
        session.say(f"    {line}")


def _lines(text: str) -> list[str]:
    if text[:1] in "[{":
        try:
            return json.dumps(json.loads(text), ensure_ascii=False, indent=2).splitlines()
        except (ValueError, RecursionError):
            pass
    return text.splitlines() or [""]
