# SPDX-License-Identifier: GPL-3.0-or-later
"""raspy.conf and the daemons' command line, from their declarations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raspy.common import daemon
from raspy.common.config import COMMON, COMMON_SECTION, Option
from raspy_reference import services


def settings(section: str) -> Sequence[Option]:
    """The keys of a section of raspy.conf."""
    return COMMON if section == COMMON_SECTION else services.server(section).SETTINGS


def section(name: str) -> Iterator[str]:
    """The keys of a section as a list of definitions; a sentence if it has none of its own."""
    options = settings(name)
    if not options:
        yield f"`[{name}]` has only the keys of `[{COMMON_SECTION}]`."
    for option in options:
        yield f"`{option.name}`"
        default = shown(option.default, in_bytes=option.name.endswith("_bytes"))
        yield f":   {option.info[:1].upper()}{option.info[1:]}. It is {option.allowed()}{default}.\n"


def shown(default: object, *, in_bytes: bool = False) -> str:
    """The default of a key, in words."""
    if in_bytes and isinstance(default, int):
        size = f"{default >> 20} MiB" if default >= 1 << 20 else f"{default >> 10} KiB"
        return f"; the default is `{default}` ({size})"
    if default is None or default == "" or default == []:
        return "; not set by default"
    if isinstance(default, bool):
        default = "yes" if default else "no"
    elif isinstance(default, list):
        default = ", ".join(map(str, default))
    elif isinstance(default, float):
        default = f"{default:.10g}"
    return f"; the default is `{default}`"


def arguments(name: str) -> Iterator[str]:
    """The command line of a daemon as a list of definitions."""
    for action in daemon.parser(name, "")._actions:
        if action.dest == "help":
            yield "`-h`, `--help`\n:   Show this command line and end.\n"
            continue
        value = "" if action.nargs == 0 else " " + (action.metavar or action.dest.upper())
        if action.choices:
            value = " " + "|".join(action.choices)
        text = "Show the version and end" if action.dest == "version" else str(action.help)
        again = "; may be given several times" if isinstance(action.default, list) else ""
        yield f"`{action.option_strings[0]}{value}`\n:   {text[:1].upper()}{text[1:]}{again}.\n"
