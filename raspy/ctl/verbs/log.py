# SPDX-License-Identifier: GPL-3.0-or-later
"""``raspyctl log``: what happened. The journal of this machine, or the events that the logger has kept."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from raspy.ctl import complete
from raspy.ctl.errors import CtlError, missing
from raspy.ctl.frame import verb
from raspy.ctl.keepers import LOGS, SCENARIOS
from raspy.ctl.output import Cell, Row
from raspy.ctl.session import Session
from raspy.ctl.verbs.graph import read_period
from raspy.ctl.words import moment

if TYPE_CHECKING:
    from raspy.common.journal_reader import JournalReader, Line, Query

PRIORITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
STYLES = {"emerg": "bad", "alert": "bad", "crit": "bad", "err": "bad", "error": "bad", "critical": "bad",
          "warning": "warn", "debug": "dim"}  # fmt: skip
LINES_MAX = 1000
# A folder of other journal files than the machine's.
JOURNAL: str | None = None
# How long to wait for the next line at a time while following, in seconds: libsystemd does not see Ctrl-C.
FOLLOW_S = 0.5


@verb("log")
@click.option("--server", metavar="NAME", default="", help="Of this server, as core.")
@click.option(
    "--device", metavar="NAME", default="", shell_complete=complete.devices, help="About this device."
)
@click.option(
    "--scenario", metavar="NAME", default="", shell_complete=SCENARIOS.complete, help="Of this scenario."
)
@click.option("--priority", type=click.Choice(PRIORITIES), default="debug", help="So grave or graver.")
@click.option("--last", metavar="PERIOD", callback=lambda *given: given[2] and read_period(*given),
              help="Of the last 90min, 6h, 2d...")  # fmt: skip
@click.option("--text", metavar="TEXT", default="", help="With this text in it.")
@click.option(
    "-n", "--lines", type=click.IntRange(1, LINES_MAX), default=50, show_default=True, help="How many."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with the lines to come.")
@click.option("--events", is_flag=True, help="The logger's events, instead of the journal.")
@click.pass_obj
def command(session: Session, events: bool, last: int | None, follow: bool, **wanted: Any) -> None:
    """Show what happened: "why was it on at 03:12?"

    It is the journal of this machine where RasPy runs under systemd; for another machine, and for a stack in
    the foreground, it is the events that the logger has kept.

    \b
      raspyctl log --device heater --last 12h
      raspyctl log --priority warning -f
    """
    since = None if last is None else time.time() - last
    journal = None if events else _journal(session)
    if journal is None:
        if follow:
            raise CtlError(
                "only the journal can be followed here; to see events as they come: raspyctl watch --events"
            )
        _show(session, _events(session, since, wanted))
        return
    from raspy.common.journal_reader import PRIORITIES as KNOWN
    from raspy.common.journal_reader import Query

    query = Query(
        server=wanted["server"], device=wanted["device"].rpartition("/")[2], scenario=wanted["scenario"],
        priority=KNOWN.index(wanted["priority"]), since=since, text=wanted["text"], limit=wanted["lines"],
    )  # fmt: skip
    with journal:
        _read(session, journal, query, follow)


def _journal(session: Session) -> JournalReader | None:
    """The journal, if it is the one that the broker's machine writes."""
    from raspy.common.journal_reader import JournalReader
    from raspy.common.MDP import GenericError
    from raspy.ctl.connection import START_SERVICE, resolve
    from raspy.ctl.units import available

    target = resolve(session.broker, session.host)
    if not target.address.is_local or target.start != START_SERVICE or not available():
        return None
    try:
        return JournalReader(JOURNAL)
    except GenericError as error:
        raise CtlError(f"{error}; or see the events with: raspyctl log --events") from error


def _read(session: Session, journal: JournalReader, query: Query, follow: bool) -> None:
    page = journal.read(query)
    _show(session, [_of_journal(line) for line in page.lines], one_line=follow)
    last = page.last
    while follow:
        if not page.more:
            journal.wait(FOLLOW_S)
        page = journal.after(last, query)
        last = page.last
        _show(session, [_of_journal(line) for line in page.lines], one_line=True)


def _of_journal(line: Line) -> dict[str, Any]:
    return line.to_json()


def _events(session: Session, since: float | None, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of all the logger's logs together, in the order of their times."""
    places = LOGS.places(session.bus)
    if wanted["server"]:
        names = {place.name for place in places}
        if wanted["server"] not in names:
            raise missing("log of events", wanted["server"], names)
        places = [place for place in places if place.name == wanted["server"]]
    found = []
    for place in places:
        start = "0" if since is None else str(int(since))
        lines = session.bus.json(LOGS.service(place.host), "readlines", place.name, start, "", str(LINES_MAX))
        found += [{"server": place.name, **line} for line in lines]
    chosen = [line for line in found if _chosen(line, wanted)]
    return sorted(chosen, key=lambda line: float(line["time"]))[-wanted["lines"] :]


def _chosen(line: dict[str, Any], wanted: dict[str, Any]) -> bool:
    graver = {"error": "err", "critical": "crit"}
    level = str(line.get("level", "info"))
    if PRIORITIES.index(graver.get(level, level)) > PRIORITIES.index(wanted["priority"]):
        return False
    about = (f"/{line['server']}/{line.get('key', '')}/", str(line.get("message", "")))
    names = [wanted["device"], wanted["scenario"]]
    if any(name and f"/{name}/" not in about[0] and name not in about[1] for name in names):
        return False
    return wanted["text"].casefold() in about[1].casefold()


def _show(session: Session, lines: list[dict[str, Any]], *, one_line: bool = False) -> None:
    if session.as_json:
        if one_line:
            for line in lines:
                session.print_json(line, one_line=True)
        else:
            session.print_json(lines)
        return
    if one_line:
        for line in lines:
            session.say(f"{moment(line['time'])} {line['server']}: {line['message']}", _style(line))
        return
    rows: list[Row] = [
        (Cell(moment(line["time"]), "dim"), str(line["server"]), Cell(str(line["message"]), _style(line)))
        for line in lines
    ]
    session.table(("time", "server", "what happened"), rows, "Nothing of that kind has happened.")


def _style(line: dict[str, Any]) -> str:
    return STYLES.get(str(line.get("priority") or line.get("level")), "")
