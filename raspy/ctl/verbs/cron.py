# SPDX-License-Identifier: GPL-3.0-or-later
"""``raspyctl cron``: jobs at a time of the clock, after an interval, or by the sun."""

from __future__ import annotations

from typing import Any

import click

from raspy.ctl.frame import family
from raspy.ctl.keepers import CRON, shown
from raspy.ctl.output import Cell, Column
from raspy.ctl.session import Session
from raspy.ctl.settings import json_text, read
from raspy.ctl.values import in_words
from raspy.ctl.words import duration, moment

STYLES = {"planned": "good", "waiting": "warn", "inactive": "dim", "over": "dim"}
COUNT_MAX = 1000

NAME = click.argument("name", shell_complete=CRON.complete)
DEFINITION = click.argument("definition", nargs=-1, required=True, metavar="KEY=VALUE...", callback=read)


@family("cron")
def command() -> None:
    """List, add and fire cron jobs. A job's keys are in the manual's chapter on cron.

    \b
      raspyctl cron add morning cron="30 7 * * mon-fri" scenario=feed
      raspyctl cron add dusk sun=sunset command.key=/device/pi/fake/lamp/state command.value=on
      raspyctl cron add pump '{"interval_s": 3600, "scenario": "pump"}'
    """


@command.command("list")
@click.pass_obj
def list_(session: Session) -> None:
    """List the jobs, with what they do and when they run next."""
    jobs = CRON.listed(session.bus)
    if session.as_json:
        session.print_json(jobs)
        return
    session.table(("job", "when", "does", "state", Column("next"), Column("fired", right=True)), [
        (
            Cell(shown(path, jobs), "strong"), when(job), does(job),
            Cell(str(job.get("state", "")), STYLES.get(str(job.get("state")), "")),
            moment(job.get("next")), str(job.get("fired", "")),
        )
        for path, job in jobs.items()
    ], "There are no cron jobs.")  # fmt: skip


def when(job: dict[str, Any]) -> str:
    """When a job runs, in words."""
    if "cron" in job:
        return str(job["cron"])
    if "interval_s" in job:
        return f"every {duration(float(job['interval_s']))}"
    if "date" in job:
        return f"at {job['date']}"
    offset = float(job.get("offset_s") or 0)
    shift = f" {'+' if offset > 0 else '-'} {duration(abs(offset))}" if offset else ""
    return f"{job.get('sun', '')}{shift}"


def does(job: dict[str, Any]) -> str:
    """What a job does besides telling its event, in words."""
    done = []
    if command := job.get("command"):
        hold = f" for {duration(float(command['hold']))}" if command.get("hold") else ""
        key = str(command.get("key", "")).removeprefix("/device/")
        done.append(f"{key} = {in_words(command.get('value'))}{hold}")
    if job.get("scenario"):
        done.append(f"scenario {job['scenario']}")
    if request := job.get("request"):
        done.append(f"{request.get('service')} {' '.join(map(str, request.get('frames', ())))}")
    return ", ".join(done)


@command.command()
@click.argument("name")
@DEFINITION
@click.pass_obj
def add(session: Session, name: str, definition: dict[str, Any]) -> None:
    """Add a job."""
    place = CRON.room(session.bus, name)
    job = session.bus.json(CRON.service(place.host), "add", place.name, json_text(definition))
    session.done(f"{place.name} is added. {_next(job)}", job)


@command.command()
@NAME
@DEFINITION
@click.pass_obj
def update(session: Session, name: str, definition: dict[str, Any]) -> None:
    """Change what is given of a job; KEY=none takes a key away."""
    place = CRON.find(session.bus, name)
    job = session.bus.json(CRON.service(place.host), "update", place.name, json_text(definition))
    session.done(f"{place.name} is changed. {_next(job)}", job)


def _next(job: dict[str, Any]) -> str:
    return f"It runs next at {moment(job['next'])}." if job.get("next") else "No run of it is planned."


@command.command()
@NAME
@click.pass_obj
def remove(session: Session, name: str) -> None:
    """Remove a job."""
    place = CRON.find(session.bus, name)
    session.bus.call(CRON.service(place.host), "remove", place.name)
    session.done(f"{place.name} is removed.", place.path)


@command.command()
@NAME
@click.pass_obj
def fire(session: Session, name: str) -> None:
    """Carry out a job now; its plan stays as it is."""
    place = CRON.find(session.bus, name)
    session.bus.call(CRON.service(place.host), "fire", place.name)
    session.done(f"{place.name} is fired.", place.path)


@command.command("next")
@NAME
@click.argument("count", type=click.IntRange(1, COUNT_MAX), default=5)
@click.pass_obj
def next_(session: Session, name: str, count: int) -> None:
    """Show the next COUNT times at which a job will run; 5 if left out."""
    place = CRON.find(session.bus, name)
    times = session.bus.json(CRON.service(place.host), "next", place.name, str(count))
    if session.as_json:
        session.print_json(times)
        return
    for then in times:
        session.say(moment(then))
    if not times:
        session.say(f"{place.name} will not run.")
