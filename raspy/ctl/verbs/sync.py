# SPDX-License-Identifier: GPL-3.0-or-later
"""``raspyctl sync``: copies of folders to another place."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from raspy.ctl.errors import CtlError
from raspy.ctl.frame import family
from raspy.ctl.keepers import SYNC, Place, shown
from raspy.ctl.output import Cell, Column
from raspy.ctl.session import Session
from raspy.ctl.settings import json_text, read
from raspy.ctl.words import duration, moment, size

STYLES = {"running": "good", "waiting": "warn", "disabled": "dim", "done": "good", "failed": "bad",
          "stopped": "warn", "interrupted": "warn"}  # fmt: skip
# How often a run is looked at, in seconds.
LOOK_S = 0.3
UNDERWAY = ("running", "waiting")

NAME = click.argument("name", shell_complete=SYNC.complete)
DEFINITION = click.argument("definition", nargs=-1, required=True, metavar="KEY=VALUE...", callback=read)


@family("sync")
def command() -> None:
    """Copy folders to a NAS, a server or a disk. A job's keys are in the manual's chapter on sync.

    \b
      raspyctl sync add history source=/var/lib/raspy/logger remote=ssh://pi@nas/backup schedule="daily 03:30"
      raspyctl sync run history
    """


@command.command("list")
@click.pass_obj
def list_(session: Session) -> None:
    """List the jobs, with what came of the last run of each."""
    jobs = SYNC.listed(session.bus)
    if session.as_json:
        session.print_json(jobs)
        return
    session.table(("job", "from", "to", "schedule", "state", "last run", "next"), [
        (
            Cell(shown(path, jobs), "strong"), str(job.get("source", "")), str(job.get("remote", "")),
            str(job.get("schedule", "")), _state(job), _last(job.get("last")), moment(job.get("next")),
        )
        for path, job in jobs.items()
    ], "There are no jobs.")  # fmt: skip


def _state(job: dict[str, Any]) -> Cell:
    state = str(job.get("state", ""))
    return Cell(f"{state} {job['percent']} %" if state == "running" and "percent" in job else state,
                STYLES.get(state, ""))  # fmt: skip


def _last(run: dict[str, Any] | None) -> Cell:
    if not run:
        return Cell("never", "dim")
    return Cell(f"{run['outcome']} {moment(run.get('started'))}", STYLES.get(str(run["outcome"]), ""))


@command.command()
@click.argument("name")
@DEFINITION
@click.pass_obj
def add(session: Session, name: str, definition: dict[str, Any]) -> None:
    """Add a job."""
    place = SYNC.room(session.bus, name)
    job = session.bus.json(SYNC.service(place.host), "add", place.name, json_text(definition))
    session.done(f"{place.name} is added.", job)


@command.command()
@NAME
@DEFINITION
@click.pass_obj
def update(session: Session, name: str, definition: dict[str, Any]) -> None:
    """Change what is given of a job; a run of it is stopped."""
    place = SYNC.find(session.bus, name)
    job = session.bus.json(SYNC.service(place.host), "update", place.name, json_text(definition))
    session.done(f"{place.name} is changed.", job)


@command.command()
@NAME
@click.pass_obj
def remove(session: Session, name: str) -> None:
    """Remove a job. What it has copied stays where it is."""
    place = SYNC.find(session.bus, name)
    session.bus.call(SYNC.service(place.host), "remove", place.name)
    session.done(f"{place.name} is removed.", place.path)


@command.command()
@click.argument("name", required=False, shell_complete=SYNC.complete)
@click.pass_obj
def status(session: Session, name: str | None) -> None:
    """Show the last runs of a job; without a NAME the server's ssh key and what it may copy."""
    bus = session.bus
    if name is None:
        answers = {host: bus.json(SYNC.service(host), "status") for host in SYNC.hosts(bus)}
        if session.as_json:
            session.print_json(answers)
            return
        for host, answer in answers.items():
            session.say(host, "strong")
            session.say(f"  ssh key      {answer['public_key']}")
            session.say(f"  may copy     {', '.join(answer['folders'])}")
            if not answer["stored"]:
                session.say("  titanic is away: jobs can't be changed now", "warn")
        return
    found = bus.json(SYNC.service((place := SYNC.find(bus, name)).host), "status", place.name)
    if session.as_json:
        session.print_json(found)
        return
    session.say(f"{place.name}: {_state(found).text}", STYLES.get(str(found.get("state")), ""))
    session.table(("started", "outcome", Column("took", right=True), Column("files", right=True),
                   Column("size", right=True), "message"), [
        (
            moment(run.get("started")), Cell(str(run["outcome"]), STYLES.get(str(run["outcome"]), "")),
            duration(run.get("took_s") or 0), str(run.get("files", "")), size(run.get("bytes") or 0),
            str(run.get("message", "")),
        )
        for run in found["runs"]
    ], "It has not run yet.")  # fmt: skip


@command.command()
@NAME
@click.pass_obj
def run(session: Session, name: str) -> None:
    """Run a job now, and show how it goes. Ctrl-C leaves it running."""
    place = SYNC.find(session.bus, name)
    before = _look(session, place)
    session.bus.call(SYNC.service(place.host), "run", place.name)
    try:
        after = _watch(session, place, before["runs"])
    except KeyboardInterrupt:
        click.echo(f"\n{place.name} goes on; see: raspyctl sync status {name}", err=True)
        raise
    if session.as_json:
        session.print_json(after)
    if after["outcome"] != "done":
        raise CtlError(f"{place.name}: {after['outcome']}: {after['message']}")
    session.say(
        f"{place.name} is done: {after['files']} files, {size(after['bytes'])}, {size(after['sent'])} sent,"
        f" in {duration(after['took_s'])}.",
        "good",
    )


def _look(session: Session, place: Place) -> dict[str, Any]:
    found: dict[str, Any] = session.bus.json(SYNC.service(place.host), "status", place.name)
    return found


def _watch(session: Session, place: Place, before: list[dict[str, Any]]) -> dict[str, Any]:
    """Show the progress until the run is over; its record."""
    known = before[0]["started"] if before else None
    with click.progressbar(
        length=100, label=place.name, file=sys.stderr, show_eta=False, item_show_func=_in_words
    ) as bar:
        while True:
            found = _look(session, place)
            runs: list[dict[str, Any]] = found["runs"]
            over = runs and runs[0]["started"] != known and runs[0]["outcome"] != "running"
            percent = 100 if over and runs[0]["outcome"] == "done" else int(found.get("percent") or 0)
            bar.update(percent - bar.pos)
            bar.current_item = None if over else found
            bar.render_progress()
            if over and found["state"] not in UNDERWAY:
                return runs[0]
            time.sleep(LOOK_S)


def _in_words(found: Any) -> str:
    if not isinstance(found, dict):
        return ""
    if found.get("state") == "waiting" and found.get("tries", 1) > 1:
        return f"try {found['tries']} in {found.get('next_try_s', 0):.0f} s"
    rate = size(found.get("rate_bps") or 0)
    return (
        f"{found.get('files', 0)} files, {rate}/s" if found.get("state") == "running" else str(found["state"])
    )
