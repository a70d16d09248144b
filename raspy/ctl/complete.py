# SPDX-License-Identifier: GPL-3.0-or-later
"""Completion in the shell: what may stand where the cursor is.

Names are asked for live, within ``BOUND_S``; when the broker is away there are none, and nothing is said, for
what is said would stand in the middle of the line that is being written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    get_completion_class,
    shell_complete,
)

from raspy.ctl.errors import CtlError

if TYPE_CHECKING:
    from raspy.ctl.connection import Bus

BOUND_S = 0.5
VARIABLE = "_RASPYCTL_COMPLETE"
"""The environment's, in which a shell's script asks."""

SHELLS = ("bash", "zsh", "fish")
T = TypeVar("T")


# click's own lets bash read the answer word by word, which a name with a space in it does not survive.
_BASH = """\
%(complete_func)s() {
    local response type value
    response=$(IFS=$'\\n' COMP_WORDS="$(IFS=$'\\n'; echo "${COMP_WORDS[*]}")" COMP_CWORD=$COMP_CWORD \\
        %(complete_var)s=bash_complete "$1")
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done <<< "$response"
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class _Bash(BashComplete):
    """Bash puts in what it is given as it is: a space in a name must come escaped."""

    source_template = _BASH

    def format_completion(self, item: CompletionItem) -> str:
        return f"{item.type},{item.value.replace(' ', chr(92) + ' ')}"


add_completion_class(_Bash)


def answer(cli: click.Command, program: str, instruction: str) -> int:
    """Print what a shell asks for, ``SHELL_source`` or ``SHELL_complete``; the exit status."""
    return shell_complete(cli, {}, program, VARIABLE, instruction)


def script(cli: click.Command, program: str, shell: str) -> str:
    """What teaches a shell to complete: ``bash``, ``zsh`` or ``fish``."""
    found = get_completion_class(shell)
    assert found is not None
    return found(cli, {}, program, VARIABLE).source()


def ask(ctx: click.Context, question: Callable[[Bus], list[str]]) -> list[str]:
    """What the bus answers, or nothing."""
    from raspy.ctl.connection import Bus, resolve

    session = ctx.obj
    try:
        bus = Bus(resolve(getattr(session, "broker", None), getattr(session, "host", None)), BOUND_S)
        try:
            return question(bus)
        finally:
            bus.close()
    except (CtlError, OSError):
        return []


def devices(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Devices that have published a value, by their shortest clear names; longer ones as they are begun."""
    from raspy.ctl import names

    found = list(names.published(ask(ctx, lambda bus: list(bus.values()))))
    return fitting(incomplete, [name for device in found for name in forms(device, found)])


def device_values(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """What the device before the cursor can be set to, where that is a choice."""
    from raspy.ctl import names

    def question(bus: Bus) -> list[str]:
        wanted = names.find(bus, ctx.params.get("name") or "", names.published(bus.values()))
        described = names.describe(bus, wanted.device)
        command = wanted.command or names.main_command(described, wanted.device)
        about = names.listed_command(described, wanted.device, command)
        return ["on", "off"] if about.get("type") == "Bool" else list(about.get("choices") or ())

    return [value for value in ask(ctx, question) if value.startswith(incomplete)]


def services(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Services on the bus, by their whole names."""
    return [name for name in ask(ctx, lambda bus: bus.services()) if name.startswith(incomplete)]


def forms(path: tuple[str, ...], among: Sequence[tuple[str, ...]]) -> list[str]:
    """The names of something that are clear, the shortest first: ``tank``, ``fake/tank``..."""
    clear = []
    for length in range(1, len(path) + 1):
        form = path[-length:]
        if sum(one[-length:] == form for one in among) == 1:
            clear.append("/".join(form))
    return clear


def fitting(incomplete: str, there: list[str]) -> list[str]:
    """Those that begin as what is written; with nothing written yet only the shortest."""
    slashes = incomplete.count("/")
    return sorted({name for name in there if name.startswith(incomplete) and name.count("/") == slashes})


def known_hosts(incomplete: str) -> list[str]:
    """Machines whose key is known."""
    from raspy.ctl.remote import names

    try:
        return sorted(name for name in names() if name.startswith(incomplete))
    except CtlError:
        return []
