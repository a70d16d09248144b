# SPDX-License-Identifier: GPL-3.0-or-later
"""``raspyctl scenario``: write scenarios, run and stop them, see what they say, share them."""

from __future__ import annotations

import sys
from typing import IO, Any

import click

from raspy.ctl import scenario_text
from raspy.ctl.errors import CtlError
from raspy.ctl.frame import family
from raspy.ctl.keepers import SCENARIOS, Place, shown
from raspy.ctl.output import Cell, Column
from raspy.ctl.session import Session
from raspy.ctl.settings import json_text
from raspy.ctl.words import duration, moment

STYLES = {"running": "good", "stopping": "warn", "restarting": "warn", "waiting": "warn", "failed": "bad",
          "gave up": "bad", "broken": "bad", "inactive": "dim"}  # fmt: skip
LEVELS = {"warning": "warn", "error": "bad", "critical": "bad", "debug": "dim"}
ONE = "scenario"

NAME = click.argument("name", shell_complete=SCENARIOS.complete)


@family("scenario")
def command() -> None:
    """List, write, run and share scenarios.

    \b
      raspyctl scenario add feed            opens $EDITOR
      raspyctl scenario run feed
      raspyctl scenario log feed
      raspyctl scenario export > mine.json
    """


@command.command("list")
@click.pass_obj
def list_(session: Session) -> None:
    """List the scenarios and how each is."""
    found = SCENARIOS.listed(session.bus)
    if session.as_json:
        session.print_json(found)
        return
    session.table(("scenario", "state", "", "starts", "last run"), [
        (
            Cell(shown(path, found), "strong"), _state(str(one.get("state"))),
            _detail(one), str(one.get("starts", "")), _last(one.get("last")),
        )
        for path, one in found.items()
    ], "There are no scenarios; write one with: raspyctl scenario add NAME")  # fmt: skip


def _state(state: str) -> Cell:
    return Cell(state, STYLES.get(state, ""))


def _detail(one: dict[str, Any]) -> str:
    if one.get("broken"):
        return str(one["broken"])
    if one.get("running_s"):
        return f"for {duration(max(one['running_s']))}"
    if one.get("waiting_for"):
        return f"there is no {', '.join(map(str, one['waiting_for']))}"
    return str(one.get("conf", {}).get("info", ""))


def _last(last: dict[str, Any] | None) -> str:
    return (
        "" if not last else f"{last.get('kind', '')} {moment(last.get('time') or last.get('ended'))}".strip()
    )


@command.command()
@NAME
@click.pass_obj
def show(session: Session, name: str) -> None:
    """Print a scenario as "add" and "edit" take it."""
    place = SCENARIOS.find(session.bus, name)
    one = _info(session, place)
    if session.as_json:
        session.print_json(one)
    else:
        for line in scenario_text.write(one).splitlines():
            session.say(line)


def _info(session: Session, place: Place) -> dict[str, Any]:
    found: dict[str, Any] = session.bus.json(SCENARIOS.service(place.host, ONE), "info", place.name)
    return found


@command.command()
@click.argument("name")
@click.argument("file", type=click.File(), required=False)
@click.pass_obj
def add(session: Session, name: str, file: IO[str] | None) -> None:
    """Add a scenario from a FILE ("-": standard input), or one that is written in $EDITOR."""
    place = SCENARIOS.room(session.bus, name)
    if place.name in session.bus.names(SCENARIOS.service(place.host), "list_keys"):
        raise CtlError(
            f"there is a scenario {place.name} already; change it with: raspyctl scenario edit {name}"
        )
    _store(session, place, "add", scenario_text.new(), file)


@command.command()
@NAME
@click.argument("file", type=click.File(), required=False)
@click.pass_obj
def edit(session: Session, name: str, file: IO[str] | None) -> None:
    """Change a scenario in $EDITOR, or to what is in a FILE; if it runs it is started again."""
    place = SCENARIOS.find(session.bus, name)
    _store(session, place, "update", scenario_text.write(_info(session, place)), file)


def _store(session: Session, place: Place, action: str, text: str, file: IO[str] | None) -> None:
    """Store a scenario; in the editor as often as it takes."""
    service = SCENARIOS.service(place.host)
    if file is not None:
        result = session.bus.json(service, action, place.name, json_text(scenario_text.read(file.read())))
        session.done(f"{place.name} is stored.", result)
        return
    while True:
        edited = click.edit(text, extension=".raspy.py")
        if edited is None or edited == text:
            raise CtlError("nothing was changed, and nothing is stored")
        text = edited
        try:
            # It may have been in the editor for hours: what is known of the bus is from before.
            result = session.bus.json(service, action, place.name, json_text(scenario_text.read(text)))
        except CtlError as error:
            if not sys.stdin.isatty():
                raise
            click.echo(str(error), err=True)
            click.confirm("Go on editing?", default=True, abort=True, err=True)
            continue
        session.done(f"{place.name} is stored.", result)
        return


@command.command()
@NAME
@click.pass_obj
def run(session: Session, name: str) -> None:
    """Start a scenario now."""
    place = SCENARIOS.find(session.bus, name)
    started = session.bus.json(SCENARIOS.service(place.host, ONE), "start", place.name)
    session.done(f"{place.name} {'is started' if started else 'runs already'}.", started)


@command.command()
@NAME
@click.pass_obj
def stop(session: Session, name: str) -> None:
    """Stop a scenario; it is given a few seconds to leave things in order."""
    place = SCENARIOS.find(session.bus, name)
    stopped = session.bus.json(SCENARIOS.service(place.host, ONE), "stop", place.name)
    session.done(f"{place.name} {'is being stopped' if stopped else 'was not running'}.", stopped)


@command.command()
@NAME
@click.argument("lines", type=click.IntRange(1, 1000), default=50)
@click.pass_obj
def log(session: Session, name: str, lines: int) -> None:
    """Show the last LINES that a scenario has said since core started; 50 if left out."""
    place = SCENARIOS.find(session.bus, name)
    found = session.bus.json(SCENARIOS.service(place.host, ONE), "log", place.name, str(lines))
    if session.as_json:
        session.print_json(found)
        return
    session.table((Column("time"), "level", "said"), [
        (Cell(moment(line["time"]), "dim"), Cell(line["level"], LEVELS.get(line["level"], "")), line["text"])
        for line in found
    ], f"{place.name} has not said anything since core started.")  # fmt: skip


@command.command()
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=SCENARIOS.complete)
@click.pass_obj
def export(session: Session, names: tuple[str, ...]) -> None:
    """Print scenarios, or all of them, as JSON to keep or to share."""
    places = [SCENARIOS.find(session.bus, name) for name in names]
    hosts = {place.host for place in places} or set(SCENARIOS.hosts(session.bus))
    if len(hosts) > 1:
        raise CtlError(f"an export is of one machine; these are of {', '.join(sorted(hosts))}")
    wanted = [place.name for place in places]
    session.print_json(session.bus.json(SCENARIOS.service(hosts.pop()), "export", *wanted))


@command.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--replace", is_flag=True, help="Replace scenarios of the same names.")
@click.option("--to", metavar="HOST", default="", help="The machine, where there are several.")
@click.pass_obj
def import_(session: Session, file: IO[bytes], replace: bool, to: str) -> None:
    """Add the scenarios of a FILE ("-": standard input) that was exported.

    They are not active: read them, put your own keys into their entries, and set "active" to true.
    """
    place = SCENARIOS.room(session.bus, f"{to}/" if to else "")
    mode = ["replace"] if replace else []
    found = session.bus.json(SCENARIOS.service(place.host), "import", file.read(), *mode)
    session.done(f"Imported, not active yet: {', '.join(found)}", found)


@command.command()
@NAME
@click.pass_obj
def remove(session: Session, name: str) -> None:
    """Remove a scenario; if it runs it is stopped."""
    place = SCENARIOS.find(session.bus, name)
    session.bus.call(SCENARIOS.service(place.host), "delete", place.name)
    session.done(f"{place.name} is removed.", place.path)
