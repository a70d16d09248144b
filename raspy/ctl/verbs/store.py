# SPDX-License-Identifier: GPL-3.0-or-later
"""``raspyctl store``: what titanic keeps for all servers, by service, section and key."""

from __future__ import annotations

import sys

import click

from raspy.ctl.errors import CtlError, NotFound, missing
from raspy.ctl.frame import family
from raspy.ctl.output import Cell
from raspy.ctl.session import Session
from raspy.ctl.settings import value_of

STORE = "titanic.store"
PARTS = ("service", "section", "key")


@family("store")
def command() -> None:
    """Look into what the servers have stored, and change it.

    A server reads its part when it starts, so that a change here is seen after its restart. To change
    devices, cron jobs or scenarios there are verbs of their own.

    \b
      raspyctl store list pi.fake
      raspyctl store get pi.fake devices tank
    """


def _complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from raspy.ctl.complete import ask

    before = [ctx.params.get(name) for name in ("service", "section")]
    place = [part for part in before[: ("service", "section", "key").index(parameter.name or "")] if part]
    return [
        name for name in ask(ctx, lambda bus: bus.names(STORE, "list", *place)) if name.startswith(incomplete)
    ]


SERVICE = click.argument("service", shell_complete=_complete)
SECTION = click.argument("section", shell_complete=_complete)
KEY = click.argument("key", shell_complete=_complete)


@command.command("list")
@click.argument("service", required=False, shell_complete=_complete)
@click.argument("section", required=False, shell_complete=_complete)
@click.pass_obj
def list_(session: Session, service: str | None, section: str | None) -> None:
    """List the services, the sections of one, or the keys of a section."""
    place = [part for part in (service, section) if part]
    found = session.bus.names(STORE, "list", *place)
    if not found and service:
        _check_place(session, service, section)
    if session.as_json:
        session.print_json(found)
    else:
        session.table(((PARTS[len(place)],)), [(one,) for one in found], "Nothing is stored.")


def _check_place(session: Session, service: str, section: str | None) -> None:
    """Raise when there is no such service or section: titanic answers with an empty list."""
    services = session.bus.names(STORE, "list")
    if service not in services:
        raise missing("service in the store", service, services)
    if section is not None:
        raise missing("section", section, session.bus.names(STORE, "list", service))


@command.command()
@SERVICE
@SECTION
@click.argument("key", required=False, shell_complete=_complete)
@click.pass_obj
def get(session: Session, service: str, section: str, key: str | None) -> None:
    """Show a value, or all of a section."""
    if key is not None:
        try:
            (value,) = session.bus.call(STORE, "get", service, section, key)
        except NotFound:
            _check_key(session, service, section, key)
            raise
        text = value.decode(errors="backslashreplace")
        if session.as_json:
            session.print_json(value_of(text))
        else:
            session.say(text)
        return
    frames = [
        frame.decode(errors="backslashreplace") for frame in session.bus.call(STORE, "get", service, section)
    ]
    pairs = dict(zip(frames[::2], frames[1::2], strict=True))
    if not pairs:
        _check_place(session, service, section)
    if session.as_json:
        session.print_json({name: value_of(text) for name, text in pairs.items()})
    else:
        session.table(("key", "value"), [(Cell(name, "strong"), text) for name, text in pairs.items()])


def _check_key(session: Session, service: str, section: str, key: str) -> None:
    there = session.bus.names(STORE, "list", service, section)
    if not there:
        _check_place(session, service, section)
    raise missing("key", key, there)


@command.command()
@SERVICE
@SECTION
@KEY
@click.argument("value")
@click.pass_obj
def set(session: Session, service: str, section: str, key: str, value: str) -> None:
    """Store a VALUE; "-" reads it from standard input. RasPy's servers keep JSON there."""
    frame = sys.stdin.buffer.read() if value == "-" else value.encode(errors="surrogateescape")
    if not frame:
        raise CtlError("an empty value deletes the key; to do that: raspyctl store delete")
    session.bus.call(STORE, "set", service, section, key, frame)
    session.done(f"{service} {section} {key} is stored.", [service, section, key])


@command.command()
@SERVICE
@SECTION
@click.argument("key", required=False, shell_complete=_complete)
@click.pass_obj
def delete(session: Session, service: str, section: str, key: str | None) -> None:
    """Delete a key, or with it left out a whole section."""
    place = [service, section, *([key] if key else [])]
    session.bus.call(STORE, "delete", *place)
    session.done(f"{' '.join(place)} is deleted.", place)
