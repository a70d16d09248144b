# SPDX-License-Identifier: GPL-3.0-or-later
"""``raspyctl graph``: the history of values, drawn in the terminal; and graphs of several values together."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import click

from raspy.ctl import complete
from raspy.ctl.errors import WrongUse, missing
from raspy.ctl.frame import family
from raspy.ctl.keepers import GRAPHS, Place, shown
from raspy.ctl.output import Cell, clean
from raspy.ctl.session import Session
from raspy.ctl.settings import json_text

if TYPE_CHECKING:
    from raspy.ctl.chart import Line
    from raspy.ctl.connection import Bus

PERIODS = {"min": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "m": 30 * 86400, "y": 365 * 86400}
# A chart in a pipe has no terminal to fill.
PIPE_COLUMNS = 80
_PERIOD = re.compile(r"(\d{1,6})(min|[hdwmy])")


@family("graph")
def command() -> None:
    """Draw the history of values; keep graphs of several.

    \b
      raspyctl graph show tank --last 6h
      raspyctl graph add water tank/temperature heater/state --title "Water and heater"
    """


def read_period(_ctx: click.Context, _parameter: click.Parameter, text: str) -> int:
    """``90min``, ``6h``, ``1d``, ``2w``, ``1m`` or ``1y`` in seconds.

    Raises:
        BadParameter: it is none of these.
    """
    found = _PERIOD.fullmatch(text)
    if found is None or not int(found[1]):
        raise click.BadParameter(f"{text!r} is no period; write 90min, 6h, 1d, 2w, 1m or 1y")
    return int(found[1]) * PERIODS[found[2]]


@command.command("list")
@click.pass_obj
def list_(session: Session) -> None:
    """List the graphs: those that were added, then one of each value that is logged."""
    graphs = GRAPHS.listed(session.bus)
    if session.as_json:
        session.print_json(graphs)
        return
    rows = [
        (
            Cell(shown(path, graphs), "strong"), str(graph.get("title", "")),
            ", ".join(graph.get("units", ())),
            ", ".join(str(line.get("key")) for line in graph["series"]) if graph.get("added") else "",
        )
        for path, graph in sorted(graphs.items(), key=lambda item: not item[1].get("added"))
    ]  # fmt: skip
    session.table(("graph", "title", "unit", "added, of"), rows, "Nothing is logged yet.")


def _complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    added = complete.ask(
        ctx, lambda bus: [place.name for place in GRAPHS.places(bus) if "/" not in place.name]
    )
    return complete.fitting(incomplete, added) + complete.devices(ctx, parameter, incomplete)


@command.command()
@click.argument("name", metavar="GRAPH", shell_complete=_complete)
@click.option("--last", metavar="PERIOD", default="1d", show_default=True, callback=read_period,
              help="90min, 6h, 1d, 2w, 1m, 1y...")  # fmt: skip
@click.pass_obj
def show(session: Session, name: str, last: int) -> None:
    """Draw a graph: one that was added, or that of a device or a value."""
    place = _find(session.bus, name)
    data = session.bus.json(GRAPHS.service(place.host), "fetch", place.name, str(-last))
    if session.as_json:
        session.print_json(data)
        return
    session.say(str(data.get("title", "")), "strong")
    kinds: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for number, series in enumerate(data["series"]):
        kinds.setdefault(series["unit"], []).append((number, series))
    for unit, found in kinds.items():
        _draw(session, data, unit, found)


def _find(bus: Bus, text: str) -> Place:
    """The graph that *text* means: its whole key, or an end or the device of one that is clear."""
    places = GRAPHS.places(bus)
    wanted = text.strip("/")
    exact = [place for place in places if wanted in (place.name, place.path)]
    found = exact or [place for place in places if f"/{place.name}/".endswith(f"/{wanted}/")]
    found = found or [place for place in places if place.name.rpartition("/")[0].endswith(f"/{wanted}")]
    if not found:
        raise missing("graph", text, {place.name for place in places})
    if len(found) > 1:
        raise WrongUse(f"{text!r} can mean several: {', '.join(place.name for place in found)}")
    return found[0]


def _draw(session: Session, data: dict[str, Any], unit: str, found: list[tuple[int, dict[str, Any]]]) -> None:
    """A chart of the series of one unit, and below it what each is."""
    from raspy.ctl.chart import Curve, draw

    columns = shutil.get_terminal_size().columns if session.on_terminal else PIPE_COLUMNS
    curves = [Curve(one["label"], unit, one["time"], one["average"]) for _, one in found]
    lines = draw(curves, data["start"], data["end"], columns)
    colors = [str(one.get("color", "")) for _, one in found]
    if not lines:
        session.say(f"Nothing is known of {', '.join(curve.label for curve in curves)} in this time.")
        return
    if unit:
        session.say(unit, "dim")
    for line in lines:
        _write(session, line, colors)
    for number, (_, one) in enumerate(found):
        figures = "  ".join(
            f"{name} {value:.6g} {unit}".rstrip()
            for name, value in one["summary"].items()
            if value is not None
        )
        mark = session.on_terminal or len(found) > 1
        _write(session, _legend(f"{'━━ ' if mark else ''}{one['label']}: {figures}", number, mark), colors)


def _legend(text: str, number: int, mark: bool) -> Line:
    from raspy.ctl.chart import Letter

    return [Letter(letter, number if mark and place < 2 else -1) for place, letter in enumerate(clean(text))]


def _write(session: Session, line: Line, colors: list[str]) -> None:
    if session.on_terminal:
        from raspy.ctl.terminal import show_colored

        show_colored([(letter.text, colors[letter.curve] if letter.curve >= 0 else "") for letter in line])
    else:
        session.write("".join(letter.text for letter in line).rstrip())


@command.command()
@click.argument("name")
@click.argument("values", nargs=-1, required=True, metavar="VALUE...", shell_complete=complete.devices)
@click.option("--title", metavar="TEXT", help="What stands above it; its name if left out.")
@click.pass_obj
def add(session: Session, name: str, values: tuple[str, ...], title: str | None) -> None:
    """Keep a graph of several VALUEs of devices, or replace that of the same name."""
    place = GRAPHS.room(session.bus, name)
    series = [_find(session.bus, value).name for value in values]
    graph = {"series": series, **({"title": title} if title else {})}
    session.bus.call(GRAPHS.service(place.host), "add", place.name, json_text(graph))
    session.done(f"{place.name} is added; see it with: raspyctl graph show {place.name}", place.path)


@command.command()
@click.argument("name", shell_complete=_complete)
@click.pass_obj
def remove(session: Session, name: str) -> None:
    """Remove a graph that was added. The values keep their history, and each its own graph."""
    place = GRAPHS.find(session.bus, name)
    session.bus.call(GRAPHS.service(place.host), "remove", place.name)
    session.done(f"{place.name} is removed.", place.path)
